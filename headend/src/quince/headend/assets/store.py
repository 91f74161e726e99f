"""Registrations in SQL: who owns a cell, which gateways and meters are known."""

import sqlite3
from collections.abc import Sequence

from sqlalchemy import Column, ForeignKey, Integer, String, Table, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from quince.headend.assets.rules import Meter, Registration, Tenant
from quince.headend.errors import AssetConflictError
from quince.headend.platform.sql import metadata, writing
from quince.protocols.gateway.topics import GatewayAddress

tenant = Table(
    "tenant",
    metadata,
    Column("tenant_id", Integer, primary_key=True, autoincrement=False),
    Column("name", String, nullable=False),
)
cell = Table(
    "cell",
    metadata,
    Column("cell", String, primary_key=True),  # a topic level, so one name in the whole system
    Column("tenant_id", ForeignKey("tenant.tenant_id"), nullable=False),
)
gateway = Table(
    "gateway",
    metadata,
    Column("tenant_id", ForeignKey("tenant.tenant_id"), primary_key=True),
    Column("cell", ForeignKey("cell.cell"), primary_key=True),
    Column("gateway", String, primary_key=True),
)
meter = Table(
    "meter",
    metadata,
    Column("tenant_id", ForeignKey("tenant.tenant_id"), primary_key=True),
    Column("meter_id", String, primary_key=True),
    Column("metering_point", String, nullable=False),
    Column("premise", String, nullable=False),
    Column("zone", String, nullable=False),
)


class AssetStore:
    """Everything registered."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def register(self, registration: Registration) -> None:
        """Add or update what the registration names; AssetConflictError for a stranger's cell."""
        tenant_id = registration.tenant.tenant_id
        gateways = [
            {"tenant_id": tenant_id, "cell": row.cell, "gateway": row.gateway}
            for row in registration.gateways
        ]
        async with writing(self._engine) as connection:
            await _register_tenant(connection, registration.tenant)
            if gateways:
                await connection.execute(insert(gateway).on_conflict_do_nothing(), gateways)
            await put_meters(connection, tenant_id, registration.meters)

    async def tenants(self) -> tuple[Tenant, ...]:
        """Return the tenants by number."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(select(tenant).order_by(tenant.c.tenant_id))
            cells = (await connection.execute(select(cell).order_by(cell.c.cell))).all()
        return tuple(
            Tenant(
                tenant_id=row.tenant_id,
                name=row.name,
                cells=tuple(owned.cell for owned in cells if owned.tenant_id == row.tenant_id),
            )
            for row in rows
        )

    async def meters(self, *, tenant_id: int, after: str, limit: int) -> tuple[Meter, ...]:
        """Return the tenant's first `limit` meters whose identifier follows `after`."""
        query = (
            select(meter)
            .where(meter.c.tenant_id == tenant_id, meter.c.meter_id > after)
            .order_by(meter.c.meter_id)
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
        return tuple(
            Meter(
                meter_id=row.meter_id,
                metering_point=row.metering_point,
                premise=row.premise,
                zone=row.zone,
            )
            for row in rows
        )

    async def zone_of(self, *, tenant_id: int, meter_id: str) -> str | None:
        """Return the time zone a registered meter stands in."""
        query = select(meter.c.zone).where(
            meter.c.tenant_id == tenant_id, meter.c.meter_id == meter_id
        )
        async with self._engine.connect() as connection:
            zone: str | None = await connection.scalar(query)
        return zone

    async def metering_points(self, *, tenant_id: int, meter_ids: Sequence[str]) -> dict[str, str]:
        """Return each registered meter's metering point."""
        query = select(meter.c.meter_id, meter.c.metering_point).where(
            meter.c.tenant_id == tenant_id, meter.c.meter_id.in_(meter_ids)
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
        return {row.meter_id: row.metering_point for row in rows}


class GatewayDirectory:
    """Whose a gateway is, asked on the ingest connection within the ingest transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def tenant_of(self, address: GatewayAddress) -> int | None:
        """Return the tenant, or None for a gateway nobody registered in that cell."""
        row = self._connection.execute(
            # The cell comes first: the key of gateway begins with the tenant.
            "select tenant_id from cell cross join gateway using (tenant_id, cell)"
            " where cell = ? and gateway = ?",
            (address.cell, address.gateway),
        ).fetchone()
        return None if row is None else int(row[0])


async def _register_tenant(connection: AsyncConnection, row: Tenant) -> None:
    upsert = insert(tenant).values(tenant_id=row.tenant_id, name=row.name)
    await connection.execute(upsert.on_conflict_do_update(set_={"name": row.name}))
    for name in row.cells:
        await connection.execute(
            insert(cell).values(cell=name, tenant_id=row.tenant_id).on_conflict_do_nothing()
        )
        owner = await connection.scalar(select(cell.c.tenant_id).where(cell.c.cell == name))
        if owner != row.tenant_id:
            raise AssetConflictError(f"cell {name!r} belongs to tenant {owner}")


async def put_meters(connection: AsyncConnection, tenant_id: int, meters: Sequence[Meter]) -> None:
    """Register meters, or where those known now stand, in the caller's transaction."""
    if not meters:
        return
    rows = [
        {
            "tenant_id": tenant_id,
            "meter_id": row.meter_id,
            "metering_point": row.metering_point,
            "premise": row.premise,
            "zone": row.zone,
        }
        for row in meters
    ]
    upsert = insert(meter)
    update = {name: upsert.excluded[name] for name in ("metering_point", "premise", "zone")}
    await connection.execute(upsert.on_conflict_do_update(set_=update), rows)
