"""Work orders, their reports and the technicians who sign them, in SQL.

Law: reports are appended, never changed. An order's document holds its meter's keys.
"""

import json
from collections.abc import Sequence

from sqlalchemy import Column, Integer, LargeBinary, String, Table, case, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from quince.headend.assets.rules import Meter
from quince.headend.assets.store import put_meters
from quince.headend.platform.moments import to_ms
from quince.headend.platform.sql import metadata, writing
from quince.headend.work_orders.rules import KeptOrder, KeptReport, Technician
from quince.protocols.visits.orders import OrderState, WorkOrder

work_order = Table(
    "work_order",
    metadata,
    Column("tenant_id", Integer, primary_key=True),
    Column("order_id", String, primary_key=True),
    Column("document", String, nullable=False),
    Column("state", String, nullable=False),
)
work_order_report = Table(
    "work_order_report",
    metadata,
    Column("tenant_id", Integer, primary_key=True),
    Column("order_id", String, primary_key=True),
    Column("sha256", String, primary_key=True),
    Column("technician", String, nullable=False),
    Column("state", String, nullable=False),
    Column("received_ms", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
technician = Table(
    "technician",
    metadata,
    Column("tenant_id", Integer, primary_key=True),
    Column("name", String, primary_key=True),
    Column("public_key", LargeBinary, nullable=False),
)


class WorkOrderStore:
    """Every tenant's orders."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put(self, *, tenant_id: int, orders: Sequence[WorkOrder]) -> int:
        """Add orders, renew those not done; return how many that are."""
        upsert = insert(work_order)
        statement = upsert.on_conflict_do_update(
            set_={"document": upsert.excluded.document},
            where=work_order.c.state != OrderState.DONE.value,
        ).returning(work_order.c.order_id)
        kept = 0
        async with writing(self._engine) as connection:
            for order in orders:
                row = {
                    "tenant_id": tenant_id,
                    "order_id": order.order_id,
                    "document": json.dumps(order.document()),
                    "state": OrderState.OPEN.value,
                }
                kept += len((await connection.execute(statement, row)).all())
        return kept

    async def orders(
        self, *, tenant_id: int, after: str, limit: int, to_do: bool
    ) -> tuple[KeptOrder, ...]:
        """Return the tenant's first `limit` orders whose name follows `after`.

        Those `to_do` are the ones not done: one whose report failed is to be tried again.
        """
        query = (
            select(work_order)
            .where(work_order.c.tenant_id == tenant_id, work_order.c.order_id > after)
            .order_by(work_order.c.order_id)
            .limit(limit)
        )
        if to_do:
            query = query.where(work_order.c.state != OrderState.DONE.value)
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
        return tuple(_kept(row.document, row.state) for row in rows)

    async def order(self, *, tenant_id: int, order_id: str) -> KeptOrder | None:
        """Return one order."""
        query = select(work_order).where(
            work_order.c.tenant_id == tenant_id, work_order.c.order_id == order_id
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _kept(row.document, row.state)

    async def add_report(self, *, tenant_id: int, report: KeptReport, places: Meter | None) -> None:
        """Append a report, move its order, register the meter it `places`; once, and as a whole."""
        row = {
            "tenant_id": tenant_id,
            "order_id": report.order_id,
            "sha256": report.sha256,
            "technician": report.technician,
            "state": report.state.value,
            "received_ms": to_ms(report.received_utc),
            "body": report.body,
        }
        statement = insert(work_order_report).values(row).on_conflict_do_nothing()
        async with writing(self._engine) as connection:
            if (await connection.execute(statement)).rowcount == 0:
                return  # the same again: a later report's verdict stands
            await _move(connection, tenant_id, report)
            if places is not None:
                await put_meters(connection, tenant_id, [places])

    async def reports(self, *, tenant_id: int, order_id: str) -> tuple[bytes, ...]:
        """Return an order's reports, as they came and in that order."""
        query = (
            select(work_order_report.c.body)
            .where(
                work_order_report.c.tenant_id == tenant_id,
                work_order_report.c.order_id == order_id,
            )
            .order_by(work_order_report.c.received_ms, work_order_report.c.sha256)
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
        return tuple(row.body for row in rows)

    async def put_technician(self, *, tenant_id: int, person: Technician) -> None:
        """Add a technician, or give the one of this name another key."""
        upsert = insert(technician)
        statement = upsert.on_conflict_do_update(set_={"public_key": upsert.excluded.public_key})
        row = {"tenant_id": tenant_id, "name": person.name, "public_key": person.public_key}
        async with writing(self._engine) as connection:
            await connection.execute(statement, row)

    async def technician_of(self, *, tenant_id: int, public_key: bytes) -> str | None:
        """Return the name of the technician whose key this is."""
        query = select(technician.c.name).where(
            technician.c.tenant_id == tenant_id, technician.c.public_key == public_key
        )
        async with self._engine.connect() as connection:
            names = (await connection.scalars(query.order_by(technician.c.name))).all()
        return names[0] if names else None


async def _move(connection: AsyncConnection, tenant_id: int, report: KeptReport) -> None:
    """Give an order its latest report's state; one that is done stays done."""
    done = work_order.c.state == OrderState.DONE.value
    await connection.execute(
        update(work_order)
        .where(work_order.c.tenant_id == tenant_id, work_order.c.order_id == report.order_id)
        .values(state=case((done, OrderState.DONE.value), else_=report.state.value))
    )


def _kept(document: str, state: str) -> KeptOrder:
    return KeptOrder(order=WorkOrder.read(json.loads(document)), state=OrderState(state))
