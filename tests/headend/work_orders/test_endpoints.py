import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from quince.headend import wiring
from quince.headend.identity.rules import Principal, Role
from quince.headend.ingest.service import Ingest
from quince.model.event import EventKind
from quince.model.quality import Quality
from quince.protocols.gateway.messages import Content
from quince.protocols.visits.documents import DOCUMENT_BYTES_MAX
from quince.protocols.visits.reports import REPORT_FORM, sign_report, write_report

ANA = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
SINCE = {"since": "2026-03-09T11:20:00Z"}


def report(verdict: object = "pass", key: Ed25519PrivateKey = ANA, **fields: object) -> bytes:
    document = {
        "form": REPORT_FORM,
        "order": "WO-1",
        "meter": "m-7",
        "metering_point": "mp-7",
        "verdict": verdict,
        **fields,
    }
    return write_report(sign_report(document, key))


async def state_of(client: httpx.AsyncClient, order_id: str) -> str:
    return str((await client.get(f"/v1/work-orders/{order_id}")).json()["state"])


async def zone_of(database: Path, meter_id: str) -> str | None:
    async with wiring.open_read_side(database) as side:
        return await side.assets.zone_of(tenant_id=1, meter_id=meter_id)


async def test_a_list_of_orders_tells_no_password(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/work-orders")
    assert [one["order_id"] for one in answer.json()["orders"]] == ["WO-1", "WO-2"]
    assert answer.json()["orders"][0]["meter_id"] == "m-7"
    assert "12345678" not in answer.text


async def test_a_list_continues_after_an_order(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/work-orders", params={"after": "WO-1"})).json()
    assert [one["order_id"] for one in answer["orders"]] == ["WO-2"]
    assert answer["next"] is None


async def test_an_order_comes_whole_and_is_not_to_be_cached(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/work-orders/WO-1")
    assert answer.json()["order"]["meter"]["security"]["password"] == "12345678"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_what_is_done_gives_no_keys_away_any_more(client: httpx.AsyncClient) -> None:
    await client.put("/v1/work-orders/WO-1/report", content=report())
    answer = await client.get("/v1/work-orders/WO-1")
    assert answer.json()["state"] == "done"
    assert "12345678" not in answer.text


async def test_an_order_nobody_wrote_is_not_there(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/work-orders/WO-9")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_order")


async def test_a_report_that_passed_closes_its_order_and_registers_the_meter(
    client: httpx.AsyncClient, database: Path
) -> None:
    octets = report()
    answer = await client.put("/v1/work-orders/WO-1/report", content=octets)
    assert answer.json() == {
        "order_id": "WO-1",
        "sha256": hashlib.sha256(octets).hexdigest(),
        "state": "done",
    }
    assert await zone_of(database, "m-7") == "America/El_Salvador"
    assert (await client.get("/v1/work-orders")).json()["orders"][0]["order_id"] == "WO-2"


async def test_a_report_that_failed_leaves_the_meter_unregistered_and_a_better_one_mends_it(
    client: httpx.AsyncClient, database: Path
) -> None:
    await client.put("/v1/work-orders/WO-1/report", content=report("fail"))
    assert await state_of(client, "WO-1") == "failed"
    assert await zone_of(database, "m-7") is None
    assert len((await client.get("/v1/work-orders")).json()["orders"]) == 2
    await client.put("/v1/work-orders/WO-1/report", content=report("warn"))
    assert await state_of(client, "WO-1") == "done"
    assert await zone_of(database, "m-7") == "America/El_Salvador"


async def test_the_same_report_again_changes_nothing(
    client: httpx.AsyncClient, database: Path
) -> None:
    first = await client.put("/v1/work-orders/WO-1/report", content=report())
    await client.put("/v1/work-orders/WO-1/report", content=report("fail"))
    again = await client.put("/v1/work-orders/WO-1/report", content=report())
    assert again.json() == first.json()
    async with wiring.open_order_book(database) as book:
        assert len(await book.reports(tenant_id=1, order_id="WO-1")) == 2
    assert await state_of(client, "WO-1") == "done"


async def test_a_visit_registers_nothing(client: httpx.AsyncClient, database: Path) -> None:
    octets = report(order="WO-2", meter="m-1", metering_point="mp-1")
    assert (await client.put("/v1/work-orders/WO-2/report", content=octets)).status_code == 200
    assert await zone_of(database, "m-1") == "America/New_York"


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"nonsense", "codec_error"),
        (b"{" * (DOCUMENT_BYTES_MAX + 1), "codec_error"),
        (report().replace(b'"pass"', b'"warn"'), "report_refused"),
        (report(key=Ed25519PrivateKey.from_private_bytes(b"b" * 32)), "report_refused"),
        (report(order="WO-2"), "report_refused"),
        (report(meter="m-8"), "report_refused"),
        (report(metering_point=["mp-7"]), "report_refused"),
        (report("splendid"), "report_refused"),
        (report(verdict={"pass": 1}), "report_refused"),
    ],
)
async def test_a_report_that_cannot_be_is_refused_with_its_reason(
    client: httpx.AsyncClient, octets: bytes, code: str
) -> None:
    answer = await client.put("/v1/work-orders/WO-1/report", content=octets)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert await state_of(client, "WO-1") == "open"


async def test_another_tenants_order_and_technician_are_not_there(
    client: httpx.AsyncClient, database: Path
) -> None:
    async with wiring.open_identity(database) as identity:
        stranger = await identity.issue_token(Principal(tenant_id=2, role=Role.STAFF))
    client.headers["Authorization"] = f"Bearer {stranger}"
    assert (await client.get("/v1/work-orders")).json()["orders"] == []
    answer = await client.put("/v1/work-orders/WO-1/report", content=report())
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/v1/work-orders", "/v1/meters/m-1/events?since=2026-03-09"])
async def test_nobody_and_customers_are_told_nothing(
    door: FastAPI, database: Path, path: str
) -> None:
    async with wiring.open_identity(database) as identity:
        customer = Principal(tenant_id=1, role=Role.CUSTOMER, customer_id="c-1")
        token = await identity.issue_token(customer)
    transport = httpx.ASGITransport(door)
    async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
        refused = await client.get(path)
        assert refused.status_code == 401
        assert refused.json()["code"] == "not_authenticated"
        assert refused.headers["www-authenticate"] == "Bearer"
        for word, status in (("wrong", 401), (token, 403)):
            answer = await client.get(path, headers={"Authorization": f"Bearer {word}"})
            assert answer.status_code == status


async def test_a_meter_has_not_arrived_before_it_has(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/meters/m-7/arrival", params=SINCE)).json()
    assert answer == {"now": "2026-03-09T12:07:00+00:00", "arrival": None}
    soon = {"since": "2026-03-09T12:06:00Z"}
    assert (await client.get("/v1/meters/m-7/arrival", params=soon)).json()["arrival"] is None


async def test_the_first_interval_since_is_the_arrival_and_is_held_against_the_register(
    client: httpx.AsyncClient, ingest: Ingest, gateway: Any, series: Any, reading: Any
) -> None:
    ingest(
        [
            gateway.send(
                Content(
                    series=(series("2026-03-09T11:00", 1, 2, None, 3, meter_id="m-7"),),
                    readings=(
                        reading("2026-03-09T11:45", 100, "m-7"),
                        reading("2026-03-09T12:00", 103, "m-7"),
                    ),
                )
            )
        ]
    )
    answer = (await client.get("/v1/meters/m-7/arrival", params=SINCE)).json()["arrival"]
    assert answer == {
        "start": "2026-03-09T11:45:00+00:00",
        "energy_wh": 3,
        "quality": [],
        "count": 1,
        "conservation": "conserved",
    }


async def test_an_arrival_tells_its_flags_and_how_many_follow(
    client: httpx.AsyncClient, ingest: Ingest, gateway: Any, series: Any
) -> None:
    doubtful = series("2026-03-09T11:30", 4, 5, None, meter_id="m-7", flags=Quality.CLOCK_DOUBTFUL)
    doubtful = replace(doubtful, quality=(*doubtful.quality[:2], Quality.MISSING))
    ingest([gateway.send(Content(series=(doubtful,)))])
    answer = (await client.get("/v1/meters/m-7/arrival", params=SINCE)).json()["arrival"]
    assert (answer["quality"], answer["count"]) == (["clock_doubtful"], 2)
    assert answer["conservation"] == "unknown"


async def test_events_come_latest_first_with_their_place_in_the_log(
    client: httpx.AsyncClient, ingest: Ingest, gateway: Any, event: Callable[..., Any]
) -> None:
    events = (
        event(EventKind.LAST_GASP, "2026-03-09T11:58"),
        event(EventKind.POWER_UP, "2026-03-09T11:59"),
        event(EventKind.POWER_UP, "2026-03-09T11:59", meter_id="m-2"),
    )
    ingest([gateway.send(Content(events=events))])
    asked = {"since": "2026-03-08T00:00:00"}
    answer = (await client.get("/v1/meters/m-1/events", params=asked)).json()
    assert [(one["entry"], one["kind"]) for one in answer["events"]] == [
        (2, "power_up"),
        (1, "last_gasp"),
    ]


@pytest.mark.parametrize("since", ["2025-01-01", "2027-01-01", "0001-01-01T00:00:00+14:00", "x"])
@pytest.mark.parametrize("what", ["arrival", "events"])
async def test_a_moment_too_far_away_is_refused(
    client: httpx.AsyncClient, since: str, what: str
) -> None:
    answer = await client.get(f"/v1/meters/m-1/{what}", params={"since": since})
    assert answer.status_code == 422
