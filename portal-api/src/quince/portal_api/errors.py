"""What the door says no to."""

from typing import ClassVar

from quince.model.errors import QuinceError


class NotAuthenticatedError(QuinceError):
    """No token, or none that we know."""

    code: ClassVar[str] = "not_authenticated"


class AccessDeniedError(QuinceError):
    """Not the caller's, or not there at all: the answer is the same, so that it tells nothing."""

    code: ClassVar[str] = "access_denied"
