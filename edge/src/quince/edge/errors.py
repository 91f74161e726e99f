"""What can go wrong at the edge, drawn once."""

from typing import ClassVar

from quince.model.errors import QuinceError, RemoteProtocolError


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


class StorageError(QuinceError):
    """A file beside the outbox could not be written; the one before is as it was."""

    code: ClassVar[str] = "storage_error"


class UnsupportedError(QuinceError):
    """The meter cannot be asked this: it keeps no profile, or has no clock to set."""

    code: ClassVar[str] = "unsupported"


class BusyError(QuinceError):
    """Too many wait for the same line already."""

    code: ClassVar[str] = "busy"


class OrderBookError(QuinceError):
    """The file of orders and reports takes no more, or is none."""

    code: ClassVar[str] = "order_book"


class HeadendUnreachableError(QuinceError):
    """The head-end's door does not answer, or says later; what was to be sent is kept."""

    code: ClassVar[str] = "headend_unreachable"


class HeadendRefusedError(QuinceError):
    """The head-end answered, and will not do it however often it is asked."""

    code: ClassVar[str] = "headend_refused"


class TokenRefusedError(HeadendRefusedError):
    """The head-end does not know who asks."""

    code: ClassVar[str] = "token_refused"


class PasswordRefusedError(RemoteProtocolError):
    """The meter does not take the password."""

    code: ClassVar[str] = "password_refused"
