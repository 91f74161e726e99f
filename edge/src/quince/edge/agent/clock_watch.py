"""Watches the wall clock against monotonic time, so that a clock that is set is noticed.

Law: durations are measured in monotonic time; the wall clock only says which quarter-hour it is.
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import structlog

from quince.edge.schedule.instant import Instant, step_s
from quince.model.clock import Clock

log = structlog.get_logger()

WATCH_S = 2.0
# A clock that is slewed gains or loses a fifth of a second between two looks at the most.
CLOCK_STEP_S_MIN = 2.0


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
