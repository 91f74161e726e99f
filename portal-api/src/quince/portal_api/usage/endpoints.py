"""GET /api/meters/{meter_id}/usage."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from quince.headend.errors import AccessDeniedError
from quince.portal_api.access import CallingCustomer, OwnSupplies, TheDoor
from quince.portal_api.usage.rules import own_stretch
from quince.portal_api.usage.schemas import Resolution, UsageOut

router = APIRouter(prefix="/api/meters", tags=["usage"])


@router.get("/{meter_id}/usage")
async def read_usage(  # noqa: PLR0913 - three parameters are the caller's, three are injected
    *,
    meter_id: str,
    first_day: Annotated[date, Query(alias="from", description="first local day")],
    last_day: Annotated[date, Query(alias="to", description="last local day, included")],
    door: TheDoor,
    customer: CallingCustomer,
    supplies: OwnSupplies,
    period: Resolution = Resolution.INTERVAL,
) -> UsageOut:
    """Show what a meter of the calling customer measured, on the days it measured for them."""
    own = own_stretch(supplies, meter_id, first_day, last_day)
    if own is None:
        raise AccessDeniedError("not yours, or not there")
    meter, first_own, last_own = own
    span = await door.usage.local_days(
        tenant_id=customer.tenant_id, meter_id=meter_id, first_day=first_own, last_day=last_own
    )
    series = await door.usage.final_series(
        tenant_id=customer.tenant_id,
        meter_id=meter_id,
        obis=meter.channel,
        start_utc=span.start_utc,
        end_utc=span.end_utc,
    )
    return UsageOut.of(series, days=(first_own, last_own), resolution=period)
