from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.clocks import StoppedClock

from quince.headend import process, wiring
from quince.headend.assets.rules import read_registration
from quince.headend.dashboard.endpoints import create_app
from quince.headend.ingest.service import Ingest, Received
from quince.headend.outage.service import absorb
from quince.headend.usage import service
from quince.model.event import EventKind, GatewayEvent, GatewayEventKind, MeterEvent
from quince.model.interval import IntervalSeries
from quince.protocols.gateway.messages import Content

NOW_UTC = datetime(2026, 3, 9, 12, tzinfo=UTC)


@pytest.fixture
async def client(database: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with process.open_desk(database, StoppedClock(NOW_UTC)) as desk:
        transport = httpx.ASGITransport(create_app(desk))
        async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
            yield client


@pytest.fixture
async def dark(
    database: Path, ingest: Ingest, gateway: Any, event: Callable[..., MeterEvent]
) -> None:
    gasp = event(EventKind.LAST_GASP, "2026-03-09T11:30:00")
    ingest([gateway.send(Content(events=(gasp,)))])
    async with wiring.open_read_side(database) as parts:
        await absorb(tenant_id=1, events=parts.reader, points=parts.assets, store=parts.outages)


@pytest.mark.usefixtures("dark")
async def test_the_page_shows_the_dark_the_missing_and_the_lost(
    client: httpx.AsyncClient, ingest: Ingest, gateway: Any
) -> None:
    state = Received(
        topic=gateway.address.up("st"), payload=b'{"state":"offline"}', received_utc=NOW_UTC
    )
    ingest([state])
    page = (await client.get("/")).text
    assert "mp-1" in page
    assert '<span class="bad">dark</span>' in page
    assert "30 min" in page
    assert "0 / 92" in page
    assert "contact lost" in page


async def test_the_page_escapes_what_meters_are_called(
    client: httpx.AsyncClient, ingest: Ingest, gateway: Any, series: Callable[..., IntervalSeries]
) -> None:
    ingest([gateway.send(Content(series=(series("2026-03-09", 1, meter_id="<script>"),)))])
    page = (await client.get("/")).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


async def test_gateways_are_there_for_programs_with_what_they_run_and_what_happened_to_them(
    client: httpx.AsyncClient, ingest: Ingest, gateway: Any
) -> None:
    twin = Received(
        topic=gateway.address.up("tw"), payload=b'{"version":"1"}', received_utc=NOW_UTC
    )
    full = GatewayEvent(kind=GatewayEventKind.OUTBOX_FULL, at_utc=NOW_UTC)
    ingest([twin, gateway.send(Content(gateway_events=(full,)))])
    answer = (await client.get("/api/gateways")).json()
    assert answer["gateways"] == [
        {
            "cell": "north",
            "gateway": "gw-1",
            "online": None,
            "since": None,
            "twin": {"version": "1"},
            "events": [{"kind": "outbox_full", "at": "2026-03-09T12:00:00+00:00", "detail": ""}],
        }
    ]


async def test_completeness_is_there_for_programs(
    client: httpx.AsyncClient, ingest: Ingest, gateway: Any, series: Callable[..., IntervalSeries]
) -> None:
    ingest([gateway.send(Content(series=(series("2026-03-08T05:00", *[5] * 91),)))])
    answer = (await client.get("/api/completeness", params={"day": "2026-03-08"})).json()
    last = answer["rows"][-1]
    assert (last["day"], last["received"], last["expected"]) == ("2026-03-08", 91, 92)
    assert last["missing"] == [["2026-03-09T03:45:00+00:00", "2026-03-09T04:00:00+00:00"]]
    assert last["conservation"] == "unknown"
    assert answer["next"] is None


async def test_a_table_that_goes_on_says_after_which_meter(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quince.headend.dashboard.endpoints.METERS_MAX", 1)
    monkeypatch.setattr(service, "METERS_MAX", 1)
    assert (await client.get("/api/completeness")).json()["next"] == "m-1"
    assert "after=m-1" in (await client.get("/")).text
    assert (await client.get("/api/completeness?after=m-1")).json()["rows"] == []


@pytest.mark.usefixtures("dark")
async def test_outages_are_there_for_programs(client: httpx.AsyncClient) -> None:
    (outage,) = (await client.get("/api/outages")).json()["outages"]
    assert outage == {
        "metering_point": "mp-1",
        "start": "2026-03-09T11:30:00+00:00",
        "end": None,
        "duration_s": 1800,
    }


@pytest.mark.usefixtures("dark")
async def test_another_tenant_sees_nothing_of_this_one(
    client: httpx.AsyncClient, database: Path
) -> None:
    other = '[tenant]\nid = 2\nname = "Other"\ncells = ["south"]\n'
    await wiring.register(database, read_registration(other))
    page = (await client.get("/?tenant=2")).text
    assert "m-1" not in page
    assert "gw-1" not in page
    assert (await client.get("/api/outages?tenant=2")).json()["outages"] == []
    assert (await client.get("/api/completeness?tenant=2")).json()["rows"] == []


@pytest.mark.parametrize("path", ["/", "/api/completeness", "/api/outages"])
async def test_a_tenant_nobody_registered_is_not_found(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path, params={"tenant": 9})
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_tenant"


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_a_day_that_cannot_be_is_refused(client: httpx.AsyncClient, day: str) -> None:
    answer = await client.get("/api/completeness", params={"day": day})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_value")


async def test_every_answer_bears_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/", "/health", "/nowhere"):
        headers = (await client.get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"


async def test_health_is_ok_when_the_database_answers(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health")).json() == {"status": "ok"}
