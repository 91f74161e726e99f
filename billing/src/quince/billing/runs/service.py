"""Bill an account for a period, and prove an issued bill by computing it again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from quince.billing.bill.bill import Bill, Heading, Provenance, bill_bytes
from quince.billing.canonical import sha256_hex
from quince.billing.contracts.service import ContractStore, book_for, book_named
from quince.billing.customers.rules import meter_on
from quince.billing.customers.service import CustomerStore, supply_of
from quince.billing.determinants.plan import plan_period
from quince.billing.invoices.service import Invoice, InvoiceStore, invoice_of, issue
from quince.billing.runs.rules import draw_up
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import TariffBook
from quince.headend.usage.service import FinalSeries
from quince.model.clock import Clock
from quince.model.obis import Obis


class UsageReader(Protocol):
    """The head-end's read side."""

    async def final_series(
        self,
        *,
        tenant_id: int,
        meter_id: str,
        obis: Obis,
        start_utc: datetime,
        end_utc: datetime,
    ) -> FinalSeries:
        """Return the final values of [start_utc, end_utc), None where there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What a billing run needs of the world."""

    customers: CustomerStore
    contracts: ContractStore
    invoices: InvoiceStore
    usage: UsageReader
    clock: Clock
    code_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """An issued bill's fingerprint, and that of the bill computed again today."""

    bill_id: str
    issued_sha256: str
    computed_sha256: str

    @property
    def same(self) -> bool:
        """Whether both are the same, byte for byte."""
        return self.issued_sha256 == self.computed_sha256


async def bill_account(
    office: Office, *, tenant_id: int, account_id: str, period: Period
) -> Invoice:
    """Bill an account for the local days of a period, and return the invoice that is kept.

    Billing the same inputs again returns the invoice of the first time. Raises
    UnknownRecordError, NotBillableError, IncompleteIntervalsError or AlreadyBilledError.
    """
    supply = await supply_of(office.customers, tenant_id=tenant_id, account_id=account_id)
    meter = meter_on(account_id, supply.meters, period)
    book = await book_for(
        office.contracts, tenant_id=tenant_id, tariff_id=supply.account.tariff_id, period=period
    )
    heading = Heading(
        tenant_id=tenant_id,
        customer_id=supply.customer.customer_id,
        customer_name=supply.customer.name,
        account_id=account_id,
        premise=supply.account.premise,
        meter_id=meter.meter_id,
        channel=str(meter.channel),
        period=period,
    )
    bill = await _compute(office, heading=heading, book=book)
    return await issue(office.invoices, bill=bill, issued_utc=office.clock.now_utc())


async def verify(office: Office, *, tenant_id: int, bill_id: str) -> Verification:
    """Compute an issued bill again from the intervals kept today, and compare.

    Heading, tariff versions and provenance are the issued bill's: a customer who has moved
    since, a later tariff version, a newer release or later intervals of the same UTC day make
    no other bill.
    """
    invoice = await invoice_of(office.invoices, tenant_id=tenant_id, bill_id=bill_id)
    issued = invoice.bill
    book = await book_named(
        office.contracts,
        tenant_id=tenant_id,
        tariff_id=issued.tariffs[0].tariff_id,
        versions=tuple(reference.version for reference in issued.tariffs),
    )
    again = await _compute(office, heading=issued.heading, book=book, provenance=issued.provenance)
    return Verification(
        bill_id=bill_id,
        issued_sha256=invoice.sha256,
        computed_sha256=sha256_hex(bill_bytes(again)),
    )


async def _compute(
    office: Office, *, heading: Heading, book: TariffBook, provenance: Provenance | None = None
) -> Bill:
    plan = plan_period(book, heading.period)
    series = await office.usage.final_series(
        tenant_id=heading.tenant_id,
        meter_id=heading.meter_id,
        obis=Obis.parse(heading.channel),
        start_utc=plan.start_utc,
        end_utc=plan.end_utc,
    )
    today = Provenance(as_of=series.revisions, code_version=office.code_version)
    return draw_up(
        heading=heading, book=book, plan=plan, series=series, provenance=provenance or today
    )
