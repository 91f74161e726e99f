"""A moment on both clocks: the wall clock, which may be set, and monotonic time, which may not.

Law: durations are measured in monotonic time; the wall clock only says which quarter-hour it is.
Monotonic times compare within one start of the machine, across the process's own.
"""

import asyncio
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from quince.model.clock import Clock


def now_s() -> float:
    """Return the event loop's monotonic time."""
    return asyncio.get_running_loop().time()


def real_s(clock: Clock, duration: timedelta) -> float:
    """Return how many real seconds a duration of the clock takes; a demonstration's runs fast."""
    return math.copysign(
        clock.seconds_until(clock.now_utc() + abs(duration)), duration.total_seconds()
    )


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment on both clocks."""

    utc: datetime
    at_s: float

    @classmethod
    def now(cls, clock: Clock) -> Self:
        """Return the present one."""
        return cls(clock.now_utc(), now_s())


def step_s(clock: Clock, before: Instant, after: Instant) -> float:
    """Return by how much the wall clock was set between two instants, in real seconds."""
    return real_s(clock, after.utc - before.utc) - (after.at_s - before.at_s)
