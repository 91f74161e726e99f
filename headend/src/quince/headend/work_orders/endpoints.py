"""The technician's half of the head-end's door: work orders, reports, whether a meter arrives.

Staff tokens only. An order holds its meter's keys: these routes are for HTTPS.
"""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from quince.headend.errors import AccessDeniedError, NotAuthenticatedError
from quince.headend.identity.rules import Principal, Role
from quince.headend.identity.service import Identity
from quince.headend.ingest.service import LoggedEvent
from quince.headend.platform.http import read_body
from quince.headend.work_orders.rules import Arrival, KeptOrder
from quince.headend.work_orders.service import WorkOrders
from quince.model.errors import InvalidValueError
from quince.model.quality import Quality
from quince.protocols.visits.documents import DOCUMENT_BYTES_MAX, Document
from quince.protocols.visits.orders import OrderState

PAGE_MAX = 30  # orders in one answer, which is no longer than a document; ask again for the next

_bearer = HTTPBearer(auto_error=False)


def work_order_router(identity: Identity, work_orders: WorkOrders) -> APIRouter:
    """Return the routes, for the application that serves technicians."""
    router = APIRouter(prefix="/v1")

    async def tenant_of_staff(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> int:
        principal = None if given is None else await identity.authenticate(given.credentials)
        return _require_staff(principal).tenant_id

    Tenant = Annotated[int, Depends(tenant_of_staff)]  # noqa: N806 - a type, made of the identity

    @router.get("/work-orders")
    async def orders(tenant_id: Tenant, after: str = "") -> Document:
        kept = await work_orders.orders.orders(
            tenant_id=tenant_id, after=after, limit=PAGE_MAX, to_do=True
        )
        return {
            "orders": [order_summary(one) for one in kept],
            "next": kept[-1].order.order_id if len(kept) == PAGE_MAX else None,
        }

    @router.get("/work-orders/{order_id}")
    async def order(tenant_id: Tenant, order_id: str, response: Response) -> Document:
        kept = await work_orders.order(tenant_id=tenant_id, order_id=order_id)
        response.headers["Cache-Control"] = "no-store"
        # What is done needs no keys any more: a token in strange hands shall not collect them.
        is_done = kept.state is OrderState.DONE
        document = kept.order.summary() if is_done else kept.order.document()
        return {"order": document, "state": kept.state.value}

    @router.put("/work-orders/{order_id}/report")
    async def report(tenant_id: Tenant, order_id: str, request: Request) -> Document:
        kept = await work_orders.take_report(
            tenant_id=tenant_id,
            order_id=order_id,
            octets=await read_body(request, bytes_max=DOCUMENT_BYTES_MAX),
        )
        return {"order_id": order_id, "sha256": kept.sha256, "state": kept.state.value}

    @router.get("/meters/{meter_id}/arrival")
    async def arrival(tenant_id: Tenant, meter_id: str, since: datetime) -> Document:
        found = await work_orders.arrival(
            tenant_id=tenant_id, meter_id=meter_id, since_utc=_utc(since)
        )
        now_utc = work_orders.clock.now_utc()
        return {"now": now_utc.isoformat(), "arrival": found and arrival_document(found)}

    @router.get("/meters/{meter_id}/events")
    async def events(tenant_id: Tenant, meter_id: str, since: datetime) -> Document:
        found = work_orders.happened(tenant_id=tenant_id, meter_id=meter_id, since_utc=_utc(since))
        now_utc = work_orders.clock.now_utc()
        return {"now": now_utc.isoformat(), "events": [event_document(one) for one in found]}

    return router


def _require_staff(principal: Principal | None) -> Principal:
    if principal is None:
        raise NotAuthenticatedError("a token is needed")
    if principal.role is not Role.STAFF:
        raise AccessDeniedError("for staff only")
    return principal


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise InvalidValueError("since", moment.isoformat(), "not in the year 1") from error


def order_summary(kept: KeptOrder) -> Document:
    """Return what a list shows of an order: nothing secret."""
    return {**kept.order.summary(), "state": kept.state.value}


def arrival_document(arrival: Arrival) -> Document:
    """Return an arrival as JSON has it; `quality` names the flags, none when it is plain good."""
    return {
        "start": arrival.start_utc.isoformat(),
        "energy_wh": arrival.energy_wh,
        "quality": [str(flag.name).lower() for flag in Quality if flag in arrival.quality],
        "count": arrival.count,
        "conservation": arrival.conservation.value,
    }


def event_document(logged: LoggedEvent) -> Document:
    """Return an event as JSON has it; `entry` grows with every event that was kept."""
    return {
        "entry": logged.entry,
        "kind": logged.event.kind.value,
        "at": logged.event.at_utc.isoformat(),
        "received": logged.event.received_utc.isoformat(),
        "detail": logged.event.detail,
    }
