"""The one tree of errors: each has a stable `code` for logs, metrics and problem documents."""

from typing import ClassVar


class QuinceError(Exception):
    """Everything Quince raises on purpose."""

    code: ClassVar[str] = "quince_error"


class InvalidValueError(QuinceError):
    """A value from outside that cannot be: names the field and the value."""

    code: ClassVar[str] = "invalid_value"

    def __init__(self, field: str, value: object, reason: str) -> None:
        """Name the `field`, the offending `value` and the `reason`, in words one can act on."""
        super().__init__(f"{field} = {value!r}: {reason}")
        self.field = field
        self.value = value
        self.reason = reason


class CodecError(QuinceError):
    """Bytes from outside that are not what they claim: truncated, oversized, unknown."""

    code: ClassVar[str] = "codec_error"


class LocalProtocolError(QuinceError):
    """Our side tried something the protocol's state does not allow: a bug of ours."""

    code: ClassVar[str] = "local_protocol_error"


class RemoteProtocolError(QuinceError):
    """The other side (a meter, mostly) answered something the protocol does not allow."""

    code: ClassVar[str] = "remote_protocol_error"
