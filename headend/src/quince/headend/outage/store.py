"""Outages and their evidence in SQL."""

from collections.abc import AsyncIterator, Iterable, Sequence, Set as AbstractSet
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import Column, Index, Integer, String, Table, and_, delete, func, select, union
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from quince.headend.outage.rules import Evidence, Outage
from quince.headend.platform.moments import from_ms, to_ms
from quince.headend.platform.sql import metadata, writing
from quince.model.event import EventKind

outage = Table(
    "outage",
    metadata,
    Column("tenant_id", Integer, primary_key=True),
    Column("metering_point", String, primary_key=True),
    Column("start_ms", Integer, primary_key=True),
    Column("end_ms", Integer),
    Index("outage_recent", "tenant_id", "start_ms"),
)
outage_evidence = Table(
    "outage_evidence",
    metadata,
    Column("tenant_id", Integer, primary_key=True),
    Column("metering_point", String, primary_key=True),
    Column("at_ms", Integer, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("meter_id", String, primary_key=True),
    # All columns: else SQLite prefers the primary key, and reads all of the tenant's evidence.
    Index("outage_evidence_of_meter", "tenant_id", "meter_id", "kind", "at_ms", "metering_point"),
)
outage_cursor = Table(
    "outage_cursor",
    metadata,
    Column("tenant_id", Integer, primary_key=True),
    Column("entry", Integer, nullable=False),
)


class SqlOutageStore:
    """Every tenant's outages."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def cursor(self, tenant_id: int) -> int:
        """Return the last event already written, 0 before any."""
        query = select(outage_cursor.c.entry).where(outage_cursor.c.tenant_id == tenant_id)
        async with self._engine.connect() as connection:
            return await connection.scalar(query) or 0

    @asynccontextmanager
    async def writing(self, tenant_id: int) -> AsyncIterator["SqlOutageBook"]:
        """Open one tenant's book; what is written is kept as a whole."""
        async with writing(self._engine) as connection:
            yield SqlOutageBook(connection, tenant_id)

    async def recent(self, *, tenant_id: int, limit: int) -> tuple[Outage, ...]:
        """Return at most `limit` outages: the open ones first, then the latest."""
        query = (
            select(outage)
            .where(outage.c.tenant_id == tenant_id)
            .order_by(outage.c.end_ms.is_not(None), outage.c.start_ms.desc())
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
        return tuple(
            Outage(
                metering_point=row.metering_point,
                start_utc=from_ms(row.start_ms),
                end_utc=None if row.end_ms is None else from_ms(row.end_ms),
            )
            for row in rows
        )


class SqlOutageBook:
    """One tenant's outages, within one transaction."""

    def __init__(self, connection: AsyncConnection, tenant_id: int) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    async def move_cursor(self, entry: int) -> None:
        """Remember the last event written."""
        upsert = insert(outage_cursor).values(tenant_id=self._tenant_id, entry=entry)
        await self._connection.execute(upsert.on_conflict_do_update(set_={"entry": entry}))

    async def add_evidence(self, evidence: Iterable[Evidence]) -> None:
        """Keep evidence; the same again changes nothing."""
        rows = [
            {
                "tenant_id": self._tenant_id,
                "metering_point": word.metering_point,
                "at_ms": to_ms(word.at_utc),
                "kind": word.kind.value,
                "meter_id": word.meter_id,
            }
            for word in evidence
        ]
        if rows:
            await self._connection.execute(insert(outage_evidence).on_conflict_do_nothing(), rows)

    async def gasp_points(self, meter_ids: AbstractSet[str]) -> dict[str, set[str]]:
        """Return, by meter, the metering points it ever gasped at."""
        query = (
            select(outage_evidence.c.meter_id, outage_evidence.c.metering_point)
            .distinct()
            .where(
                outage_evidence.c.tenant_id == self._tenant_id,
                outage_evidence.c.meter_id.in_(sorted(meter_ids)),
                outage_evidence.c.kind == EventKind.LAST_GASP.value,
            )
        )
        points: dict[str, set[str]] = {}
        for row in await self._connection.execute(query):
            points.setdefault(row.meter_id, set()).add(row.metering_point)
        return points

    async def last_start(self, metering_point: str, at_or_before: datetime) -> datetime | None:
        """Return the start of the latest outage that began by then."""
        query = select(func.max(outage.c.start_ms)).where(
            outage.c.tenant_id == self._tenant_id,
            outage.c.metering_point == metering_point,
            outage.c.start_ms <= to_ms(at_or_before),
        )
        start_ms = await self._connection.scalar(query)
        return None if start_ms is None else from_ms(start_ms)

    async def evidence(self, metering_point: str, since: datetime) -> Sequence[Evidence]:
        """Return the evidence from `since` on.

        The power-ups of the meters that gasped here are part of it, wherever they are filed.
        """
        columns = outage_evidence.c
        recent = and_(columns.tenant_id == self._tenant_id, columns.at_ms >= to_ms(since))
        here = and_(recent, columns.metering_point == metering_point)
        gasped_here = select(columns.meter_id).where(
            here, columns.kind == EventKind.LAST_GASP.value
        )
        their_power_ups = and_(
            recent,
            columns.kind == EventKind.POWER_UP.value,
            columns.meter_id.in_(gasped_here.correlate(None)),
        )
        # Not one query with "or": SQLite would read all of the tenant's evidence for it.
        query = union(*(select(outage_evidence).where(which) for which in (here, their_power_ups)))
        rows = await self._connection.execute(query)
        return [
            Evidence(
                metering_point=row.metering_point,
                meter_id=row.meter_id,
                kind=EventKind(row.kind),
                at_utc=from_ms(row.at_ms),
            )
            for row in rows
        ]

    async def replace(
        self, metering_point: str, since: datetime, outages: Iterable[Outage]
    ) -> None:
        """Put `outages` in the place of those that began at `since` or later."""
        await self._connection.execute(
            delete(outage).where(
                outage.c.tenant_id == self._tenant_id,
                outage.c.metering_point == metering_point,
                outage.c.start_ms >= to_ms(since),
            )
        )
        rows = [
            {
                "tenant_id": self._tenant_id,
                "metering_point": one.metering_point,
                "start_ms": to_ms(one.start_utc),
                "end_ms": None if one.end_utc is None else to_ms(one.end_utc),
            }
            for one in outages
        ]
        if rows:
            await self._connection.execute(insert(outage), rows)
