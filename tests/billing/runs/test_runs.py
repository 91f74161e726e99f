from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.clocks import StoppedClock

from quince.billing.contracts.service import import_tariff
from quince.billing.contracts.store import SqlContractStore
from quince.billing.customers.rules import parse_roster
from quince.billing.customers.store import SqlCustomerStore
from quince.billing.errors import (
    AlreadyBilledError,
    IncompleteIntervalsError,
    NotBillableError,
    UnknownRecordError,
    UsageMismatchError,
)
from quince.billing.invoices.service import Invoice
from quince.billing.invoices.store import SqlInvoiceStore
from quince.billing.runs.service import Office, bill_account, verify
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff
from quince.headend.usage.service import FinalSeries
from quince.model.interval import STEP
from quince.model.obis import Obis
from quince.model.quality import Quality

ROSTER = """
customers = [{ id = "C-1", name = "Panadería La Esperanza" }]

[[accounts]]
id = "A-1"
customer = "C-1"
premise = "Calle Arce 12"
tariff = "SV-HORARIO"
meters = [{ id = "SV-1", first_day = 2026-01-01 }]
"""
NOON = datetime(2026, 5, 2, 18, tzinfo=UTC)
PERIOD = Period(first_day=date(2026, 4, 30), last_day=date(2026, 5, 1))


@dataclass
class Meter:
    """A head-end that knows one meter: 1 kWh a quarter-hour, but for what a test changes."""

    changed: dict[int, int | None] = field(default_factory=dict)
    flags: dict[int, Quality] = field(default_factory=dict)
    revisions: tuple[int, ...] = (3, 3, 1)
    sha256: str = "ab" * 32
    answers_as: str = "SV-1"
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    async def final_series(
        self,
        *,
        tenant_id: int,
        meter_id: str,
        obis: Obis,
        start_utc: datetime,
        end_utc: datetime,
    ) -> FinalSeries:
        assert (tenant_id, meter_id) == (1, "SV-1")
        self.asked.append((start_utc, end_utc))
        slots = range((end_utc - start_utc) // STEP)
        values = tuple(self.changed.get(slot, 1000) for slot in slots)
        return FinalSeries(
            meter_id=self.answers_as,
            obis=obis,
            start_utc=start_utc,
            values=values,
            quality=tuple(
                self.flags.get(slot, Quality.MISSING if values[slot] is None else Quality.GOOD)
                for slot in slots
            ),
            revisions=self.revisions,
            sha256=self.sha256,
        )


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
async def office(engine: AsyncEngine, meter: Meter, tariff: Tariff) -> Office:
    office = Office(
        customers=SqlCustomerStore(engine),
        contracts=SqlContractStore(engine),
        invoices=SqlInvoiceStore(engine),
        usage=meter,
        clock=StoppedClock(NOON),
        code_version="0.1.0",
    )
    await office.customers.put_roster(tenant_id=1, roster=parse_roster(ROSTER))
    await import_tariff(office.contracts, tenant_id=1, tariff=tariff)
    return office


async def bill_two_days(office: Office) -> Invoice:
    return await bill_account(office, tenant_id=1, account_id="A-1", period=PERIOD)


async def test_two_local_days_become_one_bill(office: Office, meter: Meter) -> None:
    invoice = await bill_two_days(office)
    assert meter.asked == [
        (datetime(2026, 4, 30, 6, tzinfo=UTC), datetime(2026, 5, 2, 6, tzinfo=UTC))
    ]
    assert str(invoice.bill.total) == "36.77"
    assert invoice.bill.evidence.expected == 192
    assert invoice.issued_utc == NOON


async def test_billing_twice_gives_the_same_invoice(office: Office) -> None:
    assert await bill_two_days(office) == await bill_two_days(office)


async def test_a_revision_that_moved_on_gives_the_invoice_of_the_first_time(
    office: Office, meter: Meter
) -> None:
    first = await bill_two_days(office)
    meter.revisions = (3, 3, 2)
    assert (await bill_two_days(office)).bill.provenance.as_of == (3, 3, 1)
    assert (await verify(office, tenant_id=1, bill_id=first.bill_id)).same


async def test_missing_intervals_are_named_and_never_billed(office: Office, meter: Meter) -> None:
    meter.changed = {0: None, 7: None, 8: None, 191: None}
    with pytest.raises(IncompleteIntervalsError) as refused:
        await bill_two_days(office)
    assert [str(gap) for gap in refused.value.gaps] == [
        "2026-04-30T06:00Z..2026-04-30T06:15Z",
        "2026-04-30T07:45Z..2026-04-30T08:15Z",
        "2026-05-02T05:45Z..2026-05-02T06:00Z",
    ]
    assert await office.invoices.by_account(tenant_id=1, account_id="A-1") == ()


async def test_many_gaps_are_counted_after_the_fifth(office: Office, meter: Meter) -> None:
    meter.changed = dict.fromkeys(range(0, 16, 2))
    with pytest.raises(IncompleteIntervalsError, match=r"T08:15Z and 3 more$"):
        await bill_two_days(office)


async def test_a_zero_is_no_gap(office: Office, meter: Meter) -> None:
    meter.changed = dict.fromkeys(range(192), 0)
    invoice = await bill_two_days(office)
    assert str(invoice.bill.subtotal) == "0.87"


async def test_estimated_intervals_are_counted_on_the_bill(office: Office, meter: Meter) -> None:
    meter.flags = {5: Quality.ESTIMATED, 6: Quality.ESTIMATED | Quality.CLOCK_ADJUSTED}
    evidence = (await bill_two_days(office)).bill.evidence
    assert (evidence.received, evidence.estimated) == (190, 2)


async def test_a_series_of_another_meter_is_refused(office: Office, meter: Meter) -> None:
    meter.answers_as = "SV-2"
    with pytest.raises(UsageMismatchError, match="SV-2"):
        await bill_two_days(office)


async def test_an_unchanged_store_verifies(office: Office) -> None:
    invoice = await bill_two_days(office)
    verification = await verify(office, tenant_id=1, bill_id=invoice.bill_id)
    assert verification.same
    assert verification.issued_sha256 == invoice.sha256


async def test_an_edited_interval_is_seen(office: Office, meter: Meter) -> None:
    invoice = await bill_two_days(office)
    meter.changed = {100: 1001}
    meter.sha256 = "cd" * 32
    assert not (await verify(office, tenant_id=1, bill_id=invoice.bill_id)).same


async def test_an_interval_lost_after_the_bill_is_seen(office: Office, meter: Meter) -> None:
    invoice = await bill_two_days(office)
    meter.changed = {100: None}
    with pytest.raises(IncompleteIntervalsError):
        await verify(office, tenant_id=1, bill_id=invoice.bill_id)


async def test_a_customer_renamed_since_makes_no_other_bill(office: Office) -> None:
    invoice = await bill_two_days(office)
    renamed = parse_roster(ROSTER.replace("Panadería La Esperanza", "La Esperanza S.A."))
    await office.customers.put_roster(tenant_id=1, roster=renamed)
    assert (await verify(office, tenant_id=1, bill_id=invoice.bill_id)).same
    assert await bill_two_days(office) == invoice


@pytest.mark.parametrize("first_day", [date(2026, 5, 1), date(2026, 7, 1)])
async def test_a_tariff_version_imported_since_makes_no_other_bill(
    office: Office, tariff: Tariff, first_day: date
) -> None:
    invoice = await bill_two_days(office)
    later = replace(tariff, version="B", name="Dearer", valid_from=first_day)
    await import_tariff(office.contracts, tenant_id=1, tariff=later)
    assert (await verify(office, tenant_id=1, bill_id=invoice.bill_id)).same


async def test_a_bill_across_two_versions_names_both_and_verifies(
    office: Office, tariff: Tariff
) -> None:
    later = replace(tariff, version="B", valid_from=date(2026, 5, 1))
    await import_tariff(office.contracts, tenant_id=1, tariff=later)
    invoice = await bill_two_days(office)
    assert [reference.version for reference in invoice.bill.tariffs] == ["2026", "B"]
    assert (await verify(office, tenant_id=1, bill_id=invoice.bill_id)).same


async def test_a_newer_release_verifies_an_older_bill(office: Office) -> None:
    invoice = await bill_two_days(office)
    newer = replace(office, code_version="0.2.0")
    assert (await verify(newer, tenant_id=1, bill_id=invoice.bill_id)).same


async def test_edited_intervals_do_not_bill_a_day_twice(office: Office, meter: Meter) -> None:
    await bill_two_days(office)
    meter.sha256 = "cd" * 32
    with pytest.raises(AlreadyBilledError):
        await bill_two_days(office)


async def test_an_account_of_another_tenant_is_unknown(office: Office) -> None:
    with pytest.raises(UnknownRecordError):
        await bill_account(office, tenant_id=2, account_id="A-1", period=PERIOD)


async def test_a_bill_of_another_tenant_is_unknown(office: Office) -> None:
    invoice = await bill_two_days(office)
    with pytest.raises(UnknownRecordError):
        await verify(office, tenant_id=2, bill_id=invoice.bill_id)


async def test_days_before_the_first_meter_are_not_billable(office: Office) -> None:
    early = Period(first_day=date(2025, 12, 31), last_day=date(2026, 1, 1))
    with pytest.raises(NotBillableError):
        await bill_account(office, tenant_id=1, account_id="A-1", period=early)
