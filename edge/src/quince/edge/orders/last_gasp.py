"""The last gasp, tried: from the supply being broken to its word at the head-end.

Where the head-end cannot be asked, the gateway on this device shows that the meter was heard.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from quince.edge.errors import HeadendUnreachableError
from quince.edge.orders.arrival import Waited, poll
from quince.edge.outbox.view import waiting_events
from quince.model.clock import Clock
from quince.model.event import EventKind
from quince.protocols.visits.documents import Document

GASP_S = 120  # a last gasp comes within seconds, or the meter's battery is dead
POWER_UP_S = 300  # a meter starts anew, and its modem finds the network
_POLL_S = 1
_SILENCES_MAX = 10
_RECENT = timedelta(days=1)  # whatever anybody's clock says, what is new is new in this list


class Events(Protocol):
    """Who knows what meters said."""

    async def events(self, meter_id: str, since_utc: datetime) -> list[Document]:
        """Return the meter's latest events since."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """Where the words of one meter are listened for: at the head-end, else on this device."""

    meter_id: str
    headend: Events | None
    outbox: Path
    clock: Clock

    async def heard(self) -> frozenset[str]:
        """Return what was said up to now, so that what comes is news."""
        return frozenset(one["name"] for one in await self._words())

    async def wait_for(
        self, kind: EventKind, known: frozenset[str], *, wait_s: int, waited: Waited
    ) -> Document | None:
        """Return the meter's first word of this kind that is not `known`, None if none comes."""

        async def news() -> Document | None:
            fresh = [
                one
                for one in await self._words()
                if one["name"] not in known and one["kind"] == kind.value
            ]
            return fresh[0] if fresh else None

        return await poll(
            news,
            clock=self.clock,
            wait_s=wait_s,
            poll_s=_POLL_S,
            silences_max=_SILENCES_MAX,
            waited=waited,
        )

    async def _words(self) -> list[Document]:
        if self.headend is not None:
            since_utc = self.clock.now_utc() - _RECENT
            events = await self.headend.events(self.meter_id, since_utc)
            return [{"name": f"{one.get('entry')}", **one} for one in events]
        return [
            {"name": f"{one.kind} {at}", "kind": one.kind.value, "at": at}
            for one in waiting_events(self.outbox, self.meter_id)
            for at in (one.at_utc.isoformat(),)
        ]


Guide = Callable[[str], None]  # says what to do, and waits until it is done


async def try_last_gasp(ear: Ear, *, guide: Guide, waited: Waited) -> Document:
    """Guide a technician through a break of the supply; return what was heard, and how fast."""
    known = await ear.heard()
    guide("Break the meter's supply as you go on.")
    broken_utc = ear.clock.now_utc()
    gasp = await ear.wait_for(EventKind.LAST_GASP, known, wait_s=GASP_S, waited=waited)
    heard_utc = ear.clock.now_utc()
    guide("Restore the meter's supply.")
    restored = gasp and await ear.wait_for(
        EventKind.POWER_UP, known, wait_s=POWER_UP_S, waited=waited
    )
    return {
        "meter": ear.meter_id,
        "heard_at": "gateway" if ear.headend is None else "head-end",
        "last_gasp": gasp and gasp["at"],
        "latency_ms": gasp and (heard_utc - broken_utc) // timedelta(milliseconds=1),
        "power_up": restored and restored["at"],
    }


async def choose_ear(ear: Ear) -> Ear:
    """Return an ear that hears: the head-end's if it answers, else this device's."""
    try:
        await ear.heard()
    except HeadendUnreachableError:
        return Ear(meter_id=ear.meter_id, headend=None, outbox=ear.outbox, clock=ear.clock)
    return ear
