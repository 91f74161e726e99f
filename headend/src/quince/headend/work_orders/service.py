"""Taking a visit's report, and telling whether its meter arrives.

Law: whose a report is, is told by the key that signed it and by nothing the report says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from quince.headend.assets.rules import Meter
from quince.headend.errors import ReportRefusedError, UnknownOrderError
from quince.headend.ingest.service import LoggedEvent
from quince.headend.usage.rules import Conservation, judge_conservation
from quince.headend.usage.service import Usage
from quince.headend.work_orders.rules import Arrival, KeptOrder, KeptReport, outcome, place
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP, floor_boundary
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER
from quince.protocols.visits.documents import Document
from quince.protocols.visits.orders import OrderKind, OrderState
from quince.protocols.visits.reports import (
    ReportSignatureError,
    SignedReport,
    read_report,
    verify_report,
    write_report,
)

SINCE_MAX = timedelta(days=31)  # a visit is over by then, and a month is soon read
EVENTS_MAX = 200  # a supply that is broken by hand says a few words a minute


class Orders(Protocol):
    """Where orders, reports and technicians are kept."""

    async def order(self, *, tenant_id: int, order_id: str) -> KeptOrder | None:
        """Return one order."""
        ...

    async def orders(
        self, *, tenant_id: int, after: str, limit: int, to_do: bool
    ) -> Sequence[KeptOrder]:
        """Return the tenant's first `limit` orders whose name follows `after`."""
        ...

    async def technician_of(self, *, tenant_id: int, public_key: bytes) -> str | None:
        """Return the name of the technician whose key this is."""
        ...

    async def add_report(self, *, tenant_id: int, report: KeptReport, places: Meter | None) -> None:
        """Append a report, move its order, register the meter it places."""
        ...


class Events(Protocol):
    """What meters said happened."""

    def meter_events(
        self, *, tenant_id: int, meter_id: str, since_utc: datetime, limit: int
    ) -> Sequence[LoggedEvent]:
        """Return the latest events of a meter, latest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOrders:
    """The use cases, bound to where things are kept."""

    orders: Orders
    usage: Usage
    events: Events
    clock: Clock

    async def order(self, *, tenant_id: int, order_id: str) -> KeptOrder:
        """Return one order; UnknownOrderError if the tenant has none of this name."""
        kept = await self.orders.order(tenant_id=tenant_id, order_id=order_id)
        if kept is None:
            raise UnknownOrderError(f"no work order {order_id!r}")
        return kept

    async def take_report(self, *, tenant_id: int, order_id: str, octets: bytes) -> KeptReport:
        """Keep a signed report, once however often it comes; a meter that passed is registered.

        CodecError, ReportRefusedError, UnknownOrderError: nothing is kept.
        """
        order = (await self.order(tenant_id=tenant_id, order_id=order_id)).order
        signed = read_report(octets)
        person = await self.orders.technician_of(tenant_id=tenant_id, public_key=signed.key)
        if person is None:
            raise ReportRefusedError(f"key {signed.key.hex()} is no technician's here")
        kept = KeptReport(
            order_id=order_id,
            body=write_report(signed),
            technician=person,
            state=outcome(order, _verified(signed)),
            received_utc=self.clock.now_utc(),
        )
        placed = kept.state is OrderState.DONE and order.kind is not OrderKind.VISIT
        await self.orders.add_report(
            tenant_id=tenant_id, report=kept, places=place(order) if placed else None
        )
        return kept

    async def arrival(
        self, *, tenant_id: int, meter_id: str, since_utc: datetime
    ) -> Arrival | None:
        """Return the first interval that begins at or behind `since_utc`, None before any."""
        now_utc = self.clock.now_utc()
        self._require_recent(since_utc)
        start_utc = floor_boundary(since_utc)
        start_utc += STEP if start_utc < since_utc else timedelta(0)
        if start_utc > floor_boundary(now_utc) - STEP:
            return None
        series = await self.usage.final_series(
            tenant_id=tenant_id,
            meter_id=meter_id,
            obis=ACTIVE_IMPORT_INTERVAL,
            start_utc=start_utc,
            end_utc=floor_boundary(now_utc),
        )
        first = next((i for i, one in enumerate(series.values) if one is not None), None)
        if first is None:
            return None
        values = list(_unbroken(series.values[first:]))
        first_utc = start_utc + first * STEP
        return Arrival(
            start_utc=first_utc,
            energy_wh=values[0],
            quality=series.quality[first],
            count=len(values),
            conservation=self._conservation(tenant_id, meter_id, first_utc, values),
        )

    def happened(
        self, *, tenant_id: int, meter_id: str, since_utc: datetime
    ) -> Sequence[LoggedEvent]:
        """Return a meter's latest events since, latest first, EVENTS_MAX at most."""
        self._require_recent(since_utc)
        return self.events.meter_events(
            tenant_id=tenant_id, meter_id=meter_id, since_utc=since_utc, limit=EVENTS_MAX
        )

    def _require_recent(self, since_utc: datetime) -> None:
        if abs(self.clock.now_utc() - since_utc) > SINCE_MAX:
            raise InvalidValueError(
                "since", since_utc.isoformat(), f"within {SINCE_MAX.days} days of now"
            )

    def _conservation(
        self, tenant_id: int, meter_id: str, start_utc: datetime, values: Sequence[int]
    ) -> Conservation:
        before, after = (
            self.usage.intervals.register_values(
                tenant_id=tenant_id, meter_id=meter_id, obis=ACTIVE_IMPORT_REGISTER, at_utc=moment
            )
            for moment in (start_utc, start_utc + len(values) * STEP)
        )
        return judge_conservation(energy=sum(values), complete=True, before=before, after=after)


def _verified(signed: SignedReport) -> Document:
    try:
        return verify_report(signed)
    except ReportSignatureError as error:
        raise ReportRefusedError(str(error)) from error


def _unbroken(values: Sequence[int | None]) -> Iterator[int]:
    """Return the values up to the first that is missing."""
    for value in values:
        if value is None:
            return
        yield value
