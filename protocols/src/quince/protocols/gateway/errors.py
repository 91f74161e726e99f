"""What can be wrong with a message between head-end and gateway, beyond its octets."""

from typing import ClassVar

from quince.model.errors import QuinceError


class SignatureError(QuinceError):
    """A command nobody we believe has signed."""

    code: ClassVar[str] = "signature_refused"


class SealError(QuinceError):
    """A secret that is not for us, or not for this."""

    code: ClassVar[str] = "seal_refused"
