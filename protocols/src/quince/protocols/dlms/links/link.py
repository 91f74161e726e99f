"""What every link offers: octets of the line in, APDUs out, and the other way round.

Law: one event at a time. `receive_data` keeps octets, `next_event` judges the next frame of them;
so whoever acts on an event (answers a request) does so before the frame behind it is judged, also
where both came in one read.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """APDUs may be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApduReceived:
    """One whole APDU."""

    apdu: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UnnumberedReceived:
    """An APDU outside of the link's counting: pushed, perhaps to all, acknowledged by nobody."""

    apdu: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Transmit:
    """Octets that the link itself wants written: an acknowledgement, the next segment."""

    octets: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The other side closed the link, or agreed to."""


LinkEvent = Connected | ApduReceived | UnnumberedReceived | Transmit | Disconnected


class Link(ABC):
    """One link, of either role; octets that are not of the link raise CodecError."""

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """Whether APDUs may be sent."""

    @abstractmethod
    def connect(self) -> bytes:
        """Return what to write to open the link; nothing where it needs no opening."""

    @abstractmethod
    def send(self, apdu: bytes) -> bytes:
        """Return what to write now; the rest, if any, comes as Transmit events."""

    @abstractmethod
    def receive_data(self, data: bytes) -> None:
        """Keep octets as they come, in pieces of any size; take the events before the next."""

    @abstractmethod
    def next_event(self) -> LinkEvent | None:
        """Return what the octets so far say next; None when more are needed."""

    @abstractmethod
    def retransmit(self) -> bytes:
        """Return what to write again when the answer is late; nothing where this side cannot."""

    @abstractmethod
    def keep_alive(self) -> bytes:
        """Return what to write so that an idle link stays open; nothing where none closes."""

    @abstractmethod
    def expire(self) -> None:
        """Take note that nothing was heard for the link's inactivity time."""

    @abstractmethod
    def disconnect(self) -> bytes:
        """Return what to write to close the link; nothing where closing the socket does."""

    def receive(self, data: bytes) -> list[LinkEvent]:
        """Take octets and all they say, for those who only listen and answer nothing between."""
        self.receive_data(data)
        return list(iter(self.next_event, None))
