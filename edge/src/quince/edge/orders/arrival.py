"""The closed loop: waiting, within bounds, until the head-end has what the meter measured."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from quince.edge.errors import HeadendRefusedError, HeadendUnreachableError
from quince.edge.orders.checks import check_arrival
from quince.edge.orders.verdicts import Check, failed, warned
from quince.model.clock import Clock
from quince.model.interval import floor_boundary
from quince.protocols.visits.documents import Document

# The quarter-hour that is running, a whole one for a meter that has to be sampled at both its ends,
# and the gateway's own delay behind it.
ARRIVAL_S = 35 * 60
POLL_S = 10
SILENCES_MAX = 3  # a head-end that is away so often in a row will be away for longer

Waited = Callable[[int, int], None]  # seconds so far, seconds at most
FoundT = TypeVar("FoundT")


class Arrivals(Protocol):
    """Who knows what arrived."""

    async def arrival(self, meter_id: str, since_utc: datetime) -> Document | None:
        """Return the meter's first interval since; None before any."""
        ...


async def poll(
    ask: Callable[[], Awaitable[FoundT | None]],
    *,
    clock: Clock,
    wait_s: int,
    poll_s: int,
    silences_max: int,
    waited: Waited,
) -> FoundT | None:
    """Ask until there is an answer, or `wait_s` are over: None.

    HeadendUnreachableError when nobody answers `silences_max` times in a row.
    """
    start_utc, silences = clock.now_utc(), 0
    while True:
        try:
            found = await ask()
            silences = 0
        except HeadendUnreachableError:
            silences += 1
            if silences == silences_max:
                raise
            found = None
        so_far = clock.now_utc() - start_utc
        waited(min(wait_s, int(so_far.total_seconds())), wait_s)
        if found is not None or so_far >= timedelta(seconds=wait_s):
            return found
        await asyncio.sleep(clock.seconds_until(clock.now_utc() + timedelta(seconds=poll_s)))


async def prove_arrival(
    arrivals: Arrivals, meter_id: str, *, clock: Clock, wait_s: int, waited: Waited
) -> tuple[Check, Document | None]:
    """Return whether the quarter-hour now running arrives, and what the head-end says of it.

    Who has waited enough (Ctrl-C) goes on without: the report is made whatever came out.
    """
    start_utc = clock.now_utc()
    running_utc = floor_boundary(start_utc)
    try:
        arrival = await poll(
            lambda: arrivals.arrival(meter_id, running_utc),
            clock=clock,
            wait_s=wait_s,
            poll_s=POLL_S,
            silences_max=SILENCES_MAX,
            waited=waited,
        )
    except (HeadendUnreachableError, HeadendRefusedError) as error:
        says = "The head-end cannot be asked from here whether the meter arrives: {reason}"
        return warned("arrival", says, reason=str(error)), None
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        says = "Waiting for its arrival at the head-end was broken off after {minutes} min."
        waited_s = int((clock.now_utc() - start_utc).total_seconds())
        return warned("arrival", says, minutes=waited_s // 60), None
    if arrival is None:
        says = "Nothing of the meter arrived within {minutes} min."
        return failed("arrival", says, minutes=wait_s // 60), None
    waited_s = int((clock.now_utc() - start_utc).total_seconds())
    return check_arrival(arrival, waited_s), arrival
