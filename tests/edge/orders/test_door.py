import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from quince.edge.config import HeadendConfig
from quince.edge.errors import (
    HeadendRefusedError,
    HeadendUnreachableError,
    TokenRefusedError,
)
from quince.edge.orders.door import ORDERS_MAX, HeadendDoor, open_door
from quince.model.errors import InvalidValueError
from quince.protocols.visits.documents import DOCUMENT_BYTES_MAX

NOON = datetime(2026, 5, 2, 12, tzinfo=UTC)
ORDER = {
    "order_id": "WO-1",
    "kind": "visit",
    "metering_point": "mp",
    "premise": "p",
    "zone": "UTC",
    "gateway": "gw-1",
    "serial": "s",
    "meter": {"id": "M1"},
}
Answer = Callable[[httpx.Request], httpx.Response]


def door(answer: Answer) -> HeadendDoor:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://h")
    return HeadendDoor(client)


def says(status: int = 200, **document: Any) -> Answer:
    return lambda _: httpx.Response(status, json=document)


async def test_the_pages_of_a_list_are_followed_to_the_last() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        pages = {
            "/v1/work-orders?after=": {"orders": [{"order_id": "WO-1"}], "next": "WO-1"},
            "/v1/work-orders?after=WO-1": {"orders": [{"order_id": "W/2"}], "next": None},
            "/v1/work-orders/WO-1": {"order": ORDER},
            "/v1/work-orders/W%2F2": {"order": {**ORDER, "order_id": "WO-2"}},
        }
        return httpx.Response(200, json=pages[request.url.raw_path.decode()])

    assert [one.order_id for one in await door(answer).orders()] == ["WO-1", "WO-2"]


async def test_a_list_without_an_end_is_cut() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        page = {"orders": [{"order_id": "WO-1"}] * 100, "next": "WO-1"}
        return httpx.Response(200, json={"order": ORDER} if "WO" in request.url.path else page)

    assert len(await door(answer).orders()) == ORDERS_MAX
    assert asked.count("/v1/work-orders") == ORDERS_MAX // 100


@pytest.mark.parametrize(
    "answer",
    [
        says(),
        says(orders=7),
        says(orders=[], next="WO-1"),
        says(orders=[7], next="WO-1"),
        says(orders=[{}], next=None),
        lambda _: httpx.Response(200, content=b"<html>"),
        lambda _: httpx.Response(200, content=b" " * (DOCUMENT_BYTES_MAX + 1)),
        says(404, detail="no such thing"),
        says(422, detail="x" * 9_999),
        lambda _: httpx.Response(302),
    ],
)
async def test_an_answer_that_makes_no_sense_is_no_list(answer: Answer) -> None:
    with pytest.raises(HeadendRefusedError) as refused:
        await door(answer).orders()
    assert len(str(refused.value)) <= 500


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_not_known_is_told_as_such(status: int) -> None:
    with pytest.raises(TokenRefusedError):
        await door(says(status)).put_report("WO-1", b"{}")


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_head_end_that_cannot_now_is_asked_again_later(status: int) -> None:
    with pytest.raises(HeadendUnreachableError):
        await door(says(status)).put_report("WO-1", b"{}")


async def test_a_line_that_breaks_is_a_head_end_that_is_away() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late", request=request)

    with pytest.raises(HeadendUnreachableError, match="ReadTimeout: late"):
        await door(answer).arrival("M1", NOON)


@pytest.mark.parametrize("document", [{"arrival": 7}, {"arrival": [1]}])
async def test_an_arrival_is_a_table_or_none(document: dict[str, Any]) -> None:
    assert await door(says(arrival=None)).arrival("M1", NOON) is None
    assert await door(says(arrival={"start": "x"})).arrival("M1", NOON) == {"start": "x"}
    with pytest.raises(HeadendRefusedError):
        await door(says(**document)).arrival("M1", NOON)


@pytest.mark.parametrize("events", [7, [7], None])
async def test_events_are_tables(events: object) -> None:
    with pytest.raises(HeadendRefusedError):
        await door(says(events=events)).events("M1", NOON)


async def test_a_report_goes_as_the_octets_that_were_signed() -> None:
    sent: list[tuple[str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((f"{request.method} {request.url.path}", request.content))
        return httpx.Response(200, json={})

    body = json.dumps({"signed": True}).encode()
    await door(answer).put_report("WO-1", body)
    assert sent == [("PUT /v1/work-orders/WO-1/report", body)]


@pytest.mark.parametrize(
    "headend",
    [
        None,
        HeadendConfig(url="http://headend.example"),
        HeadendConfig(url="https://headend.example", ca_file=Path("/nowhere/ca.pem")),
    ],
)
async def test_a_door_that_is_not_safe_is_not_opened(headend: HeadendConfig | None) -> None:
    with pytest.raises(InvalidValueError):
        async with open_door(headend, "token"):
            pytest.fail("it was opened")
