"""Following the committed events, and keeping outages true to all evidence."""

from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from quince.headend.ingest.service import LoggedEvent
from quince.headend.outage.rules import Evidence, Outage, outages_of

# One transaction's worth. It holds the write lock over several round trips per metering point, and
# ingest must not wait long; a storm takes several.
EVENTS_MAX = 50


class EventLog(Protocol):
    """The events ingest committed, in that order."""

    def events_after(self, *, tenant_id: int, entry: int, limit: int) -> Sequence[LoggedEvent]:
        """Return the first `limit` events committed after `entry`."""
        ...


class MeteringPoints(Protocol):
    """Where meters stand."""

    async def metering_points(self, *, tenant_id: int, meter_ids: Sequence[str]) -> dict[str, str]:
        """Return each registered meter's metering point."""
        ...


class OutageBook(Protocol):
    """One tenant's outages, within one transaction."""

    async def move_cursor(self, entry: int) -> None:
        """Remember the last event written."""
        ...

    async def add_evidence(self, evidence: Iterable[Evidence]) -> None:
        """Keep evidence; the same again changes nothing."""
        ...

    async def gasp_points(self, meter_ids: AbstractSet[str]) -> Mapping[str, AbstractSet[str]]:
        """Return, by meter, the metering points it ever gasped at."""
        ...

    async def last_start(self, metering_point: str, at_or_before: datetime) -> datetime | None:
        """Return the start of the latest outage that began by then."""
        ...

    async def evidence(self, metering_point: str, since: datetime) -> Sequence[Evidence]:
        """Return the evidence from `since` on.

        The power-ups of the meters that gasped here are part of it, wherever they are filed.
        """
        ...

    async def replace(
        self, metering_point: str, since: datetime, outages: Iterable[Outage]
    ) -> None:
        """Put `outages` in the place of those that began at `since` or later."""
        ...


class OutageStore(Protocol):
    """Every tenant's outages."""

    async def cursor(self, tenant_id: int) -> int:
        """Return the last event already written, 0 before any."""
        ...

    def writing(self, tenant_id: int) -> AbstractAsyncContextManager[OutageBook]:
        """Open one tenant's book; what is written is kept as a whole."""
        ...


async def absorb(
    *, tenant_id: int, events: EventLog, points: MeteringPoints, store: OutageStore
) -> int:
    """Write the next EVENTS_MAX events into the outages; return how many there were.

    Evidence is a set and outages are told from it, so an event read twice changes nothing.
    """
    logged = events.events_after(
        tenant_id=tenant_id, entry=await store.cursor(tenant_id), limit=EVENTS_MAX
    )
    if not logged:
        return 0
    places = await points.metering_points(
        tenant_id=tenant_id, meter_ids=sorted({one.event.meter_id for one in logged})
    )
    evidence = [
        Evidence(
            # A meter nobody registered yet stands for its own metering point.
            metering_point=places.get(one.event.meter_id, one.event.meter_id),
            meter_id=one.event.meter_id,
            kind=one.event.kind,
            at_utc=one.event.at_utc,
        )
        for one in logged
    ]
    async with store.writing(tenant_id) as book:
        await book.add_evidence(evidence)
        for point, earliest in sorted((await _heard_from(book, evidence)).items()):
            await _retell(book, point, earliest)
        await book.move_cursor(logged[-1].entry)
    return len(logged)


async def _heard_from(book: OutageBook, evidence: Sequence[Evidence]) -> dict[str, datetime]:
    """Return the metering points the evidence bears on, each with its earliest moment.

    A meter's word counts where it stands and wherever it gasped: it may have been registered or
    moved since.
    """
    gasped = await book.gasp_points({word.meter_id for word in evidence})
    earliest: dict[str, datetime] = {}
    for word in evidence:
        for point in {word.metering_point, *gasped.get(word.meter_id, ())}:
            earliest[point] = min(word.at_utc, earliest.get(point, word.at_utc))
    return earliest


async def _retell(book: OutageBook, metering_point: str, earliest: datetime) -> None:
    """Tell the outages anew from where the news begins.

    Before an outage's start the supply was on, so nothing earlier than the latest start can bear
    on what follows.
    """
    since = await book.last_start(metering_point, earliest) or earliest
    evidence = await book.evidence(metering_point, since)
    await book.replace(metering_point, since, outages_of(metering_point, evidence))
