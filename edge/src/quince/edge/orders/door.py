"""What a technician's device asks at the head-end's door: orders, reports, who has arrived."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from quince.edge.config import HeadendConfig
from quince.edge.errors import HeadendRefusedError
from quince.edge.headend_door import ask, open_client
from quince.model.errors import InvalidValueError
from quince.protocols.visits.documents import DOCUMENT_BYTES_MAX, Document
from quince.protocols.visits.orders import WorkOrder

ORDERS_MAX = 1_000  # a technician's month; more is somebody else's list


class HeadendDoor:
    """The questions. HeadendUnreachableError: ask again later; HeadendRefusedError: do not."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def orders(self) -> tuple[WorkOrder, ...]:
        """Return every order that is not done, whole."""
        names: list[str] = []
        page: Document = {"next": ""}
        while isinstance(page.get("next"), str) and len(names) < ORDERS_MAX:
            page = await self._get("/v1/work-orders", {"after": page["next"]})
            names += _names(page)
        return tuple([await self._order(name) for name in names[:ORDERS_MAX]])

    async def _order(self, name: str) -> WorkOrder:
        answer = await self._get(f"/v1/work-orders/{quote(name, safe='')}", {})
        order = answer.get("order")
        if not isinstance(order, dict):
            raise HeadendRefusedError(f"work order {name}: the answer has none")
        return WorkOrder.read(order)

    async def put_report(self, order_id: str, body: bytes) -> None:
        """Hand a signed report over; the same one again changes nothing."""
        path = f"/v1/work-orders/{quote(order_id, safe='')}/report"
        await self._ask("PUT", path, content=body)

    async def arrival(self, meter_id: str, since_utc: datetime) -> Document | None:
        """Return the meter's first interval since, as the head-end has it; None before any."""
        answer = await self._of_meter(meter_id, "arrival", since_utc)
        arrival = answer.get("arrival")
        if arrival is not None and not isinstance(arrival, dict):
            raise HeadendRefusedError("the answer has no arrival")
        return arrival

    async def events(self, meter_id: str, since_utc: datetime) -> list[Document]:
        """Return the meter's latest events since, the latest first."""
        events = (await self._of_meter(meter_id, "events", since_utc)).get("events")
        if not isinstance(events, list) or not all(isinstance(one, dict) for one in events):
            raise HeadendRefusedError("the answer has no events")
        return events

    async def _of_meter(self, meter_id: str, what: str, since_utc: datetime) -> Document:
        path = f"/v1/meters/{quote(meter_id, safe='')}/{what}"
        return await self._get(path, {"since": since_utc.isoformat()})

    async def _get(self, path: str, query: dict[str, str]) -> Document:
        return await self._ask("GET", path, params=query)

    async def _ask(self, method: str, path: str, **asked: Any) -> Document:
        return await ask(self._client, method, path, bytes_max=DOCUMENT_BYTES_MAX, **asked)


@asynccontextmanager
async def open_door(headend: HeadendConfig | None, token: str) -> AsyncIterator[HeadendDoor]:
    """Open the door; InvalidValueError if the configuration names none, or none that is safe."""
    if headend is None:
        raise InvalidValueError("headend", None, "the configuration needs [headend] url = …")
    async with open_client(headend.url, ca_file=headend.ca_file, token=token) as client:
        yield HeadendDoor(client)


def _names(page: Document) -> list[str]:
    match page.get("orders"):
        # An empty page is the last: each page has to bring a name, or there would be no end.
        case [*orders] if (orders or page.get("next") is None) and all(
            isinstance(one, dict) for one in orders
        ):
            return [str(one.get("order_id")) for one in orders]
        case _:
            raise HeadendRefusedError("the answer has no orders")
