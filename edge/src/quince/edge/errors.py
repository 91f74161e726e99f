"""What can go wrong at the edge, drawn once."""

from typing import ClassVar

from quince.model.errors import QuinceError


class TransportError(QuinceError):
    """The line to a meter failed: refused, closed, gone."""

    code: ClassVar[str] = "transport_error"


class ReadTimeoutError(TransportError):
    """Nothing came from the meter before the deadline."""

    code: ClassVar[str] = "read_timeout"


class LinkError(QuinceError):
    """The session with the broker ended."""

    code: ClassVar[str] = "link_error"


class OutboxError(QuinceError):
    """The outbox could not be read or written; nothing of the attempt is in it."""

    code: ClassVar[str] = "outbox_error"


class OutboxFullError(OutboxError):
    """The outbox takes no more intervals; the meters' own profiles keep them until it does."""

    code: ClassVar[str] = "outbox_full"


class UnsupportedError(QuinceError):
    """The meter cannot be asked this: it keeps no profile, or has no clock to set."""

    code: ClassVar[str] = "unsupported"
