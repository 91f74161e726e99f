"""Which request an answer belongs to: the invoke id, and how the request wants to be treated."""

from dataclasses import dataclass, replace
from typing import Self

from quince.model.errors import InvalidValueError
from quince.protocols.dlms.encoding.reader import Reader

INVOKE_IDS = 16
LONG_INVOKE_IDS = 1 << 24
_INVOKE_ID_BITS = INVOKE_IDS - 1
# The two highest bits of the octet, and of the long form's four.
_URGENT, _CONFIRMED = 0x80, 0x40


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoked:
    """A request or a response of an invocation, 0..15.

    Confirmed and urgent ("high priority") is what every client seen in the field asks for. A
    request that is not confirmed is performed and not answered.
    """

    invoke_id: int
    is_confirmed: bool = True
    is_urgent: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.invoke_id < INVOKE_IDS:
            raise InvalidValueError("invoke_id", self.invoke_id, f"0..{INVOKE_IDS - 1}")

    @property
    def flags(self) -> int:
        """The two flags, where they stand in their octet."""
        return (_URGENT if self.is_urgent else 0) | (_CONFIRMED if self.is_confirmed else 0)

    def flagged(self, octet: int) -> Self:
        """Return this with the flags of `octet`."""
        is_urgent, is_confirmed = bool(octet & _URGENT), bool(octet & _CONFIRMED)
        if (is_urgent, is_confirmed) == (self.is_urgent, self.is_confirmed):
            return self
        return replace(self, is_urgent=is_urgent, is_confirmed=is_confirmed)

    def head(self, tag: int, kind: int) -> bytes:
        """Write what all short services begin with."""
        return bytes((tag, kind, self.flags | self.invoke_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class LongInvoked(Invoked):
    """The same with an invoke id of 24 bits."""

    def __post_init__(self) -> None:
        if not 0 <= self.invoke_id < LONG_INVOKE_IDS:
            raise InvalidValueError("invoke_id", self.invoke_id, "24 bits")

    def head(self, tag: int, kind: int = 0) -> bytes:
        """Write what all long services begin with; they have no kinds."""
        del kind
        return bytes((tag, self.flags)) + self.invoke_id.to_bytes(3, "big")


def read_head(reader: Reader) -> tuple[int, int]:
    """Read the kind and the invoke id of a short service."""
    return reader.octet(), reader.octet() & _INVOKE_ID_BITS


def read_long_invoke_id(reader: Reader) -> int:
    """Read the invoke id of a long service."""
    return reader.uint(4) & (LONG_INVOKE_IDS - 1)
