"""The head-end's own door, as a technician's device asks it: orders, reports, who has arrived.

Law: what comes through it holds meters' keys, so it is HTTPS wherever it is not this machine.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import quote, urlsplit

import httpx

from quince.edge.config import HeadendConfig
from quince.edge.errors import (
    HeadendRefusedError,
    HeadendUnreachableError,
    TokenRefusedError,
)
from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.visits.documents import DOCUMENT_BYTES_MAX, Document, read_document
from quince.protocols.visits.orders import WorkOrder

ANSWER_S_MAX = 20.0  # a mobile network in a cellar
ORDERS_MAX = 1_000  # a technician's month; more is somebody else's list
_REASON_CHARS_MAX = 500
_WHO_ASKS = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
_LATER = (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


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
        return await self._ask("GET", path, query=query)

    async def _ask(
        self, method: str, path: str, *, query: dict[str, str] | None = None, content: bytes = b""
    ) -> Document:
        try:
            async with self._client.stream(
                method, path, params=query, content=content or None
            ) as answer:
                octets = await _body(answer)
        except httpx.HTTPError as error:
            raise HeadendUnreachableError(f"{type(error).__name__}: {error}") from error
        if answer.is_success:
            return _document(octets)
        raise _refusal(answer.status_code, octets)


@asynccontextmanager
async def open_door(headend: HeadendConfig | None, token: str) -> AsyncIterator[HeadendDoor]:
    """Open the door; InvalidValueError if the configuration names none, or none that is safe."""
    if headend is None:
        raise InvalidValueError("headend", None, "the configuration needs [headend] url = …")
    where = urlsplit(headend.url)
    if where.scheme != "https" and where.hostname not in _LOOPBACK:
        raise InvalidValueError("headend.url", headend.url, "https, as orders hold keys")
    async with httpx.AsyncClient(
        base_url=headend.url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=ANSWER_S_MAX,
        verify=_trust(headend),
        trust_env=False,  # the configuration says the way; a stray proxy must not
    ) as client:
        yield HeadendDoor(client)


def _trust(headend: HeadendConfig) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=headend.ca_file)
    except OSError as error:
        raise InvalidValueError("headend.ca_file", str(headend.ca_file), str(error)) from error


async def _body(answer: httpx.Response) -> bytes:
    octets = bytearray()
    async for part in answer.aiter_bytes():
        octets += part
        if len(octets) > DOCUMENT_BYTES_MAX:
            raise HeadendRefusedError(f"an answer of more than {DOCUMENT_BYTES_MAX} octets")
    return bytes(octets)


def _document(octets: bytes) -> Document:
    try:
        return read_document(octets)
    except CodecError as error:
        raise HeadendRefusedError(f"the answer makes no sense: {error}") from error


def _refusal(status: int, octets: bytes) -> HeadendRefusedError | HeadendUnreachableError:
    """Return what an answer that is no success means."""
    try:
        reason = str(read_document(octets).get("detail", ""))
    except CodecError:
        reason = ""
    said = f"{status} {reason}".strip()[:_REASON_CHARS_MAX]
    if status in _WHO_ASKS:
        return TokenRefusedError(said)
    if status in _LATER or httpx.codes.is_server_error(status):
        return HeadendUnreachableError(said)
    return HeadendRefusedError(said)


def _names(page: Document) -> list[str]:
    match page.get("orders"):
        case [*orders] if orders or page.get("next") is None:  # an empty page is the last
            return [str(one.get("order_id")) for one in orders if isinstance(one, dict)]
        case _:
            raise HeadendRefusedError("the answer has no orders")
