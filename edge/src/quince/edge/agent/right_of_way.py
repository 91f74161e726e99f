"""Who may speak on a bus: one at a time, the most urgent first.

Law: whoever holds the bus holds it until he gives it up; he looks at the borders of his
transactions whether somebody more urgent waits.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum


class Urgency(IntEnum):
    """What a bus is wanted for, the most urgent first."""

    SAMPLE = 0  # a register at a border: each second of delay is energy in the wrong quarter-hour
    ASKED = 1  # somebody waits for the answer; behind samples, which are over in a minute
    POLL = 2
    PROBE = 3  # a dead meter's poll
    REREAD = 4
    BACKFILL = 5
    PROBE_AGAIN = 6  # right behind another: first whatever a living meter is wanted for


@dataclass(frozen=True, slots=True)
class _Waiter:
    urgency: Callable[[], Urgency]
    granted: "asyncio.Future[None]"


class RightOfWay:
    """One bus's. What a waiter wants it for may become more urgent while he waits."""

    def __init__(self) -> None:
        """Begin with nobody on the bus."""
        self._held = False
        self._waiters: list[_Waiter] = []

    @property
    def waiting(self) -> int:
        """How many wait for the bus."""
        return len(self._waiters)

    def is_wanted_above(self, urgency: Urgency) -> bool:
        """Whether somebody more urgent waits."""
        return any(
            waiter.urgency() < urgency for waiter in self._waiters if not waiter.granted.done()
        )

    @asynccontextmanager
    async def hold(self, urgency: Callable[[], Urgency]) -> AsyncIterator[None]:
        """Hold the bus, once everybody more urgent had it."""
        await self._enter(urgency)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, urgency: Callable[[], Urgency]) -> None:
        if not self._held:
            self._held = True
            return
        waiter = _Waiter(urgency, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if not waiter.granted.cancelled():  # granted in the same moment: it is the next one's
                self._leave()
            raise
        finally:
            self._waiters.remove(waiter)

    def _leave(self) -> None:
        # Whoever gave up, or was granted and is not awake yet, is still in the list.
        waiting = [waiter for waiter in self._waiters if not waiter.granted.done()]
        self._held = bool(waiting)
        if waiting:
            min(waiting, key=lambda waiter: waiter.urgency()).granted.set_result(None)
