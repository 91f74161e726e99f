"""What every link offers: octets of the line in, APDUs out, and the other way round."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """APDUs may be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApduReceived:
    """One whole APDU."""

    apdu: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Transmit:
    """Octets that the link itself wants written: an acknowledgement, the next segment."""

    octets: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The other side closed the link, or agreed to."""


LinkEvent = Connected | ApduReceived | Transmit | Disconnected


class Link(Protocol):
    """One link, of either role; octets that are not of the link raise CodecError."""

    @property
    def is_connected(self) -> bool:
        """Whether APDUs may be sent."""
        ...

    def connect(self) -> bytes:
        """Return what to write to open the link; nothing where it needs no opening."""
        ...

    def send(self, apdu: bytes) -> bytes:
        """Return what to write now; the rest, if any, comes as Transmit events."""
        ...

    def receive(self, data: bytes) -> list[LinkEvent]:
        """Take octets as they come, in pieces of any size."""
        ...

    def retransmit(self) -> bytes:
        """Return what to write again when the answer is late; nothing where TCP sees to it."""
        ...

    def disconnect(self) -> bytes:
        """Return what to write to close the link; nothing where closing the socket does."""
        ...
