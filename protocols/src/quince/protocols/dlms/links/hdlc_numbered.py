"""The numbered frames of one HDLC direction: what leaves in windows, what arrives in order.

Law: frames count modulo 8 and at most 7 are on their way, so that on a line that keeps the order
(it may lose, repeat and spoil) a frame is taken once, and no frame is taken for another.
"""

from collections import deque
from dataclasses import dataclass

from quince.model.errors import LocalProtocolError, RemoteProtocolError
from quince.protocols.dlms.links.hdlc_parameters import INFORMATION_OCTETS_DEFAULT, WINDOW_DEFAULT

_MODULUS = 8
# As much as the wrapper link carries, and the LLC header; a meter's blocks are far smaller.
OCTETS_MAX = 0xFFFF + 3
# A window of general blocks is 63 APDUs in a row; who wants more waits for an answer first.
APDUS_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The information of one frame, its number, and whether more of the same APDU follows."""

    number: int
    information: bytes
    more: bool


class Sending:
    """Segments until they are acknowledged: what is not goes out again with the next flight."""

    def __init__(self) -> None:
        self.octets, self.window = INFORMATION_OCTETS_DEFAULT, WINDOW_DEFAULT
        self._first = 0
        # The segments of APDUS_MAX at most.
        self._segments: deque[tuple[bytes, bool]] = deque()
        self._flown = 0

    @property
    def is_under_way(self) -> bool:
        """Whether frames were sent and not acknowledged."""
        return self._flown > 0

    @property
    def next_number(self) -> int:
        """The number of the frame that was never sent yet."""
        return (self._first + self._flown) % _MODULUS

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be sent or acknowledged."""
        return not self._segments

    def queue(self, octets: bytes) -> None:
        """Cut `octets` into segments, behind those that wait already."""
        if sum(not more for _information, more in self._segments) == APDUS_MAX:
            raise LocalProtocolError(f"the link is still sending {APDUS_MAX} APDUs")
        if len(octets) > OCTETS_MAX:
            raise LocalProtocolError(f"an APDU of {len(octets)} octets")
        for start in range(0, len(octets), self.octets):
            end = start + self.octets
            self._segments.append((octets[start:end], end < len(octets)))

    def flight(self) -> list[Segment]:
        """Return the frames of one turn: the oldest that is not acknowledged, and on."""
        self._flown = min(self.window, len(self._segments))
        return [
            Segment(number=(self._first + at) % _MODULUS, information=information, more=more)
            for at, (information, more) in enumerate(list(self._segments)[: self._flown])
        ]

    def acknowledge(self, number: int) -> bool:
        """Take the peer's N(R), the frame it expects next; return whether that is news."""
        count = (number - self._first) % _MODULUS
        if count > self._flown:
            raise RemoteProtocolError(f"acknowledges {number}, {self._flown} are on their way")
        for _ in range(count):
            self._segments.popleft()
        self._first, self._flown = number, self._flown - count
        return count > 0


class Receiving:
    """Puts segments together, in their order."""

    def __init__(self) -> None:
        self.next_number = 0
        self.has_gap = False
        self.is_partial = False
        self._assembly = bytearray()

    def take(self, segment: Segment) -> bytes | None:
        """Return the octets that `segment` completes; RemoteProtocolError if they never end.

        A segment out of its order is left; it counts as a gap but where it is the last one
        again, for then the whole flight came twice.
        """
        if segment.number != self.next_number:
            self.has_gap = (segment.number + 1) % _MODULUS != self.next_number
            return None
        self.has_gap, self.is_partial = False, segment.more
        self.next_number = (segment.number + 1) % _MODULUS
        self._assembly += segment.information
        if len(self._assembly) > OCTETS_MAX:
            raise RemoteProtocolError(f"an APDU of more than {OCTETS_MAX} octets")
        if segment.more:
            return None
        octets, self._assembly = bytes(self._assembly), bytearray()
        return octets
