"""A meter's circuit breaker: whoever fell silent is asked rarely, until it answers again.

closed → open at the first failure → half open while a probe is under way → closed or open.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

BACKOFF_S_MIN, BACKOFF_S_MAX = 5, 300  # a dead meter is asked again within five minutes
_DOUBLINGS_MAX = 6  # 5 s doubled six times is beyond the maximum


class BreakerState(StrEnum):
    """Whether a meter is asked as scheduled, rarely, or right now to see whether it is back."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True)
class Breaker:
    """How a meter has been doing; `failures` are in a row."""

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0

    @property
    def is_closed(self) -> bool:
        """Whether the meter is asked as scheduled."""
        return self.state is BreakerState.CLOSED

    @property
    def backoff(self) -> timedelta:
        """How long to leave the meter alone behind a failure."""
        doublings = min(max(self.failures - 1, 0), _DOUBLINGS_MAX)
        return timedelta(seconds=min(BACKOFF_S_MIN * 2**doublings, BACKOFF_S_MAX))

    def probe(self) -> None:
        """Note that an open breaker's meter is asked again."""
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN

    def succeeded(self) -> None:
        """Close."""
        self.state, self.failures = BreakerState.CLOSED, 0

    def failed(self) -> None:
        """Open: the meter did not answer, or not to the end."""
        self.state, self.failures = BreakerState.OPEN, self.failures + 1

    def refused(self) -> None:
        """Close, and wait all the same: the meter is there, but what it said cannot be taken."""
        self.state, self.failures = BreakerState.CLOSED, self.failures + 1
