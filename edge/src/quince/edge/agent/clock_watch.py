"""Watches the wall clock against monotonic time, so that a clock that is set is noticed.

Law: durations are measured in monotonic time; the wall clock only says which quarter-hour it is.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn, Self

import structlog

from quince.model.clock import Clock

log = structlog.get_logger()

WATCH_S = 2.0
# A clock that is slewed gains or loses a fifth of a second between two looks at the most.
CLOCK_STEP_S_MIN = 2.0


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


class ClockWatch:
    """Tells of each step of the wall clock."""

    def __init__(self, clock: Clock, tell: Callable[[float], None]) -> None:
        """`tell` takes a step's seconds, below zero for a clock that was set back."""
        self._clock = clock
        self._tell = tell

    async def run(self) -> NoReturn:
        """Look every few seconds, until cancelled."""
        before = Instant.now(self._clock)
        while True:
            await asyncio.sleep(WATCH_S)
            after = Instant.now(self._clock)
            step = step_s(self._clock, before, after)
            if abs(step) >= CLOCK_STEP_S_MIN:
                log.warning("clock_stepped", step_s=round(step, 1))
                self._tell(step)
            before = after
