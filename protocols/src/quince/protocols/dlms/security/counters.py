"""Who counts invocations: our own counter of each key, and which of a peer's were seen.

Law: a counter is handed out once, and believed once. Own ones come from a port that keeps them
before they are used; a peer's is remembered only behind a tag that verified.
"""

from dataclasses import dataclass
from typing import Protocol

from quince.protocols.dlms.errors import CounterExhaustedError, ReplayError

COUNTER_OCTETS = 4
COUNTER_MAX = 2**32 - 1
# How far back a counter that was skipped may still arrive. A meter counts its pushes and its
# answers with one counter, and a push by UDP may be overtaken by an answer.
WINDOW = 32
_WINDOW_FULL = 2**WINDOW - 1


@dataclass(frozen=True, slots=True)
class ReplayWindow:
    """One peer's counters: the next in order, and which of the `WINDOW` before it were seen.

    A peer never heard of counts as heard up to its first counter: nothing older is believed.
    Nothing is shifted by more than `WINDOW`, for a replayed counter may be 2^32 back and a
    transaction 2^62 ahead.
    """

    expected: int = 0
    seen: int = _WINDOW_FULL  # bit 0 is the counter just before `expected`

    def accept(self, counter: int) -> "ReplayWindow":
        """Return the window behind `counter`; ReplayError if it was seen, or is too old."""
        ahead = counter - self.expected
        if ahead >= 0:
            # Only of a known peer the skipped ones are missing rather than unknown.
            skipped = self.seen << min(ahead, WINDOW) if self.expected else _WINDOW_FULL
            return ReplayWindow(counter + 1, (skipped << 1 | 1) & _WINDOW_FULL)
        if -ahead > WINDOW or self.seen & 1 << (-ahead - 1):
            raise ReplayError(counter, self.expected)
        return ReplayWindow(self.expected, self.seen | 1 << (-ahead - 1))


class Counters(Protocol):
    """The invocation counters of one key: our own, and those seen of each peer."""

    def reserve(self) -> int:
        """Return a counter that was never returned before, kept before it is used."""
        ...

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember a peer's counter; ReplayError if it was seen before, or is too old."""
        ...


class MemoryCounters:
    """Counters of a process's lifetime: of dedicated keys, of simulated meters, of tests.

    What it remembers of its peers is lost with it: a simulated meter that starts again believes
    what it heard before.
    """

    def __init__(self, first: int = 1) -> None:
        self._next = first
        # Grows by peers that hold the key alone: their tags verified before.
        self._windows: dict[bytes, ReplayWindow] = {}

    def reserve(self) -> int:
        """Return the next counter; CounterExhaustedError behind the last."""
        if self._next > COUNTER_MAX:
            raise CounterExhaustedError("all invocation counters are used: change the key")
        self._next += 1
        return self._next - 1

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember a peer's counter; ReplayError if it was seen before, or is too old."""
        window = self._windows.get(peer, ReplayWindow())
        self._windows[peer] = window.accept(counter)
