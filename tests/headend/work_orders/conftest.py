"""Work orders, technicians' tokens and the routes they ask, on a database with real ingest."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from tests.clocks import StoppedClock

from quince.headend import wiring
from quince.headend.field.app import create_field_app
from quince.headend.identity.rules import Principal, Role
from quince.headend.work_orders.endpoints import work_order_router
from quince.headend.work_orders.rules import Technician, read_orders

ORDERS = """
[[order]]
order_id = "WO-1"
kind = "commission"
metering_point = "mp-7"
premise = "Calle 7"
zone = "America/El_Salvador"
gateway = "gw-1"
serial = "SN-7"
technician = "ana"

[order.meter]
id = "m-7"
kind = "dlms"
security = { kind = "lls", password = "12345678" }

[[order]]
order_id = "WO-2"
kind = "visit"
metering_point = "mp-1"
premise = "12 Elm Street"
zone = "America/New_York"
gateway = "gw-1"
serial = "SN-1"
meter = { id = "m-1" }
"""
ANA = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
NOW_UTC = datetime(2026, 3, 9, 12, 7, tzinfo=UTC)


@pytest.fixture
def orders_file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.toml"
    path.write_text(ORDERS)
    return path


@pytest.fixture
async def token(database: Path) -> str:
    async with wiring.open_order_book(database) as book:
        await book.put(tenant_id=1, orders=read_orders(ORDERS))
        ana = Technician(name="ana", public_key=ANA.public_key().public_bytes_raw())
        await book.put_technician(tenant_id=1, person=ana)
    async with wiring.open_identity(database) as identity:
        return await identity.issue_token(Principal(tenant_id=1, role=Role.STAFF))


@pytest.fixture
async def door(database: Path) -> AsyncIterator[FastAPI]:
    async with (
        wiring.open_identity(database) as identity,
        wiring.open_work_orders(database, StoppedClock(NOW_UTC)) as work_orders,
    ):
        yield create_field_app([work_order_router(identity, work_orders)])


@pytest.fixture
async def client(door: FastAPI, token: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(door),
        base_url="http://door",
        headers={"Authorization": f"Bearer {token}"},
    ) as client:
        yield client
