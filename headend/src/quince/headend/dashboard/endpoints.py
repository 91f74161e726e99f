"""The dashboard: one page and its JSON twins.

It asks nobody who they are yet: bind it to loopback, or put it behind a proxy that does.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Protocol

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from quince.headend.assets.rules import Tenant
from quince.headend.errors import UnknownTenantError
from quince.headend.ingest.service import Attention, GatewayContact
from quince.headend.outage.rules import Outage
from quince.headend.usage.service import METERS_MAX, DayCompleteness, Usage
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError, QuinceError
from quince.model.event import GatewayEvent
from quince.protocols.gateway.topics import GatewayAddress

OUTAGES_MAX = 200  # a screen's worth: the open ones come first
DAYS_SHOWN = 3
GATEWAY_EVENTS_MAX = 10  # of each gateway: the latest
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none';"
        " base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Tenants(Protocol):
    """Who there is."""

    async def tenants(self) -> Sequence[Tenant]:
        """Return every tenant, by number."""
        ...


class Contacts(Protocol):
    """What ingest knows of gateways, and of what needs a person."""

    def contacts(self, *, tenant_id: int) -> Sequence[GatewayContact]:
        """Return the registered gateways."""
        ...

    def twin(self, *, tenant_id: int, address: GatewayAddress) -> str | None:
        """Return the JSON object a gateway last said it runs."""
        ...

    def gateway_events(
        self, *, tenant_id: int, address: GatewayAddress, limit: int
    ) -> Sequence[GatewayEvent]:
        """Return the latest events of a gateway, the latest first."""
        ...

    def attention(self, *, tenant_id: int) -> Attention:
        """Count what a person should look at."""
        ...


class Outages(Protocol):
    """Who is dark."""

    async def recent(self, *, tenant_id: int, limit: int) -> Sequence[Outage]:
        """Return the open outages, then the latest."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where the dashboard's answers come from."""

    usage: Usage
    outages: Outages
    contacts: Contacts
    tenants: Tenants
    clock: Clock

    async def tenant(self, tenant_id: int | None) -> Tenant:
        """Return the tenant asked for, or the first; UnknownTenantError if there is none."""
        for tenant in await self.tenants.tenants():
            if tenant_id in (None, tenant.tenant_id):
                return tenant
        raise UnknownTenantError("no such tenant is registered")


TenantQuery = Annotated[int | None, Query(description="the tenant's number; the first if absent")]


def create_app(desk: Desk) -> FastAPI:
    """Return the dashboard."""
    app = FastAPI(title="Quince head-end", docs_url=None, redoc_url=None)
    app.include_router(_pages(desk))
    app.include_router(_programs(desk))

    @app.middleware("http")
    async def _add_headers(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    for kind, status in ((InvalidValueError, 422), (UnknownTenantError, 404)):
        app.add_exception_handler(kind, partial(_refuse, status=status))

    return app


async def _refuse(_request: Request, error: Exception, *, status: int) -> JSONResponse:
    code = error.code if isinstance(error, QuinceError) else QuinceError.code
    return JSONResponse({"code": code, "detail": str(error)}, status_code=status)


def _pages(desk: Desk) -> APIRouter:
    router = APIRouter()
    # Autoescape: meters and premises are named by others.
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )

    @router.get("/", response_class=HTMLResponse)
    async def overview(
        tenant: TenantQuery = None, day: date | None = None, after: str = ""
    ) -> HTMLResponse:
        owner = await desk.tenant(tenant)
        now_utc = desk.clock.now_utc()
        last_day = day or now_utc.date()
        rows = await _completeness(desk, owner, last_day, now_utc, after)
        page = pages.get_template("overview.html").render(
            tenant=owner,
            tenants=await desk.tenants.tenants(),
            now=now_utc,
            day=last_day,
            previous_day=last_day - DAYS_SHOWN * timedelta(days=1),
            rows=rows,
            next_meter=next_meter(rows),
            outages=await desk.outages.recent(tenant_id=owner.tenant_id, limit=OUTAGES_MAX),
            contacts=desk.contacts.contacts(tenant_id=owner.tenant_id),
            attention=desk.contacts.attention(tenant_id=owner.tenant_id),
        )
        return HTMLResponse(page)

    return router


def _programs(desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.get("/api/completeness")
    async def completeness(
        tenant: TenantQuery = None, day: date | None = None, after: str = ""
    ) -> dict[str, object]:
        owner = await desk.tenant(tenant)
        now_utc = desk.clock.now_utc()
        rows = await _completeness(desk, owner, day or now_utc.date(), now_utc, after)
        return {
            "tenant_id": owner.tenant_id,
            "rows": [completeness_document(row) for row in rows],
            "next": next_meter(rows),
        }

    @router.get("/api/outages")
    async def outages(tenant: TenantQuery = None) -> dict[str, object]:
        owner = await desk.tenant(tenant)
        recent = await desk.outages.recent(tenant_id=owner.tenant_id, limit=OUTAGES_MAX)
        now_utc = desk.clock.now_utc()
        return {
            "tenant_id": owner.tenant_id,
            "outages": [outage_document(outage, now_utc) for outage in recent],
        }

    @router.get("/api/gateways")
    async def gateways(tenant: TenantQuery = None) -> dict[str, object]:
        owner = await desk.tenant(tenant)
        return {
            "tenant_id": owner.tenant_id,
            "gateways": [
                _gateway_document(contact, desk.contacts, owner)
                for contact in desk.contacts.contacts(tenant_id=owner.tenant_id)
            ],
        }

    @router.get("/health")
    async def health() -> dict[str, str]:
        await desk.tenants.tenants()  # the database answers
        return {"status": "ok"}

    return router


async def _completeness(
    desk: Desk, owner: Tenant, last_day: date, now_utc: datetime, after: str
) -> Sequence[DayCompleteness]:
    return await desk.usage.completeness(
        tenant_id=owner.tenant_id,
        first_day=max(last_day, date(1972, 1, 1)) - timedelta(days=DAYS_SHOWN - 1),
        last_day=last_day,
        now_utc=now_utc,
        after_meter=after,
    )


def next_meter(rows: Sequence[DayCompleteness]) -> str | None:
    """Return the meter to continue after, or None where the table ends."""
    meters = sorted({row.meter_id for row in rows})
    return meters[-1] if len(meters) == METERS_MAX else None


def completeness_document(row: DayCompleteness) -> dict[str, object]:
    """Return a row as JSON has it: moments in ISO 8601, energy in the OBIS code's unit."""
    return {
        "meter": row.meter_id,
        "obis": str(row.obis),
        "zone": row.zone,
        "day": row.day.isoformat(),
        "expected": row.expected,
        "received": row.received,
        "estimated": row.estimated,
        "energy": row.energy,
        "missing": [[span.start_utc.isoformat(), span.end_utc.isoformat()] for span in row.missing],
        "conservation": row.conservation.value,
    }


def _gateway_document(
    contact: GatewayContact, contacts: Contacts, owner: Tenant
) -> dict[str, object]:
    events = contacts.gateway_events(
        tenant_id=owner.tenant_id, address=contact.address, limit=GATEWAY_EVENTS_MAX
    )
    twin = contacts.twin(tenant_id=owner.tenant_id, address=contact.address)
    return {
        "cell": contact.address.cell,
        "gateway": contact.address.gateway,
        "online": contact.online,
        "since": None if contact.since_utc is None else contact.since_utc.isoformat(),
        "twin": None if twin is None else json.loads(twin),
        "events": [
            {"kind": event.kind.value, "at": event.at_utc.isoformat(), "detail": event.detail}
            for event in events
        ],
    }


def outage_document(outage: Outage, now_utc: datetime) -> dict[str, object]:
    """Return an outage as JSON has it; `end` is null while it lasts."""
    return {
        "metering_point": outage.metering_point,
        "start": outage.start_utc.isoformat(),
        "end": None if outage.end_utc is None else outage.end_utc.isoformat(),
        "duration_s": int(outage.duration(now_utc).total_seconds()),
    }
