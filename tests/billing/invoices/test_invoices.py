from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quince.billing.bill.bill import Bill, Heading, bill_bytes, fingerprint
from quince.billing.errors import AlreadyBilledError, UnknownRecordError
from quince.billing.invoices.service import invoice_of, issue
from quince.billing.invoices.store import SqlInvoiceStore
from quince.billing.tariff.period import Period

NOON = datetime(2026, 5, 2, 18, tzinfo=UTC)
LATER = datetime(2026, 5, 3, 18, tzinfo=UTC)


@pytest.fixture
def store(engine: AsyncEngine) -> SqlInvoiceStore:
    return SqlInvoiceStore(engine)


@pytest.fixture
def bill_for(bill: Bill, heading: Heading) -> Callable[[str, int, int], Bill]:
    """Return the bill of some days of May, with an id of its own."""

    def make(bill_id: str, first: int, last: int) -> Bill:
        period = Period(first_day=date(2026, 5, first), last_day=date(2026, 5, last))
        return replace(bill, bill_id=bill_id, heading=replace(heading, period=period))

    return make


async def test_an_issued_bill_comes_back_byte_for_byte(store: SqlInvoiceStore, bill: Bill) -> None:
    await issue(store, bill=bill, issued_utc=NOON)
    invoice = await invoice_of(store, tenant_id=1, bill_id=bill.bill_id)
    assert invoice.document == bill_bytes(bill)
    assert (invoice.bill, invoice.sha256) == (bill, fingerprint(bill))
    assert invoice.issued_utc == NOON


async def test_a_bill_issued_twice_is_one_invoice(store: SqlInvoiceStore, bill: Bill) -> None:
    first = await issue(store, bill=bill, issued_utc=NOON)
    second = await issue(store, bill=bill, issued_utc=LATER)
    assert second == first
    assert await store.by_account(tenant_id=1, account_id="A-1") == (first,)


async def test_no_day_is_billed_twice(
    store: SqlInvoiceStore, bill_for: Callable[[str, int, int], Bill]
) -> None:
    await issue(store, bill=bill_for("one", 1, 10), issued_utc=NOON)
    with pytest.raises(AlreadyBilledError, match="already has bill one"):
        await issue(store, bill=bill_for("two", 10, 20), issued_utc=NOON)
    assert await store.by_id(tenant_id=1, bill_id="two") is None


async def test_an_account_lists_its_bills_oldest_first(
    store: SqlInvoiceStore, bill_for: Callable[[str, int, int], Bill]
) -> None:
    await issue(store, bill=bill_for("late", 11, 20), issued_utc=NOON)
    await issue(store, bill=bill_for("early", 1, 10), issued_utc=NOON)
    invoices = await store.by_account(tenant_id=1, account_id="A-1")
    assert [invoice.bill_id for invoice in invoices] == ["early", "late"]


async def test_an_unknown_bill_is_refused(store: SqlInvoiceStore) -> None:
    with pytest.raises(UnknownRecordError, match="no bill 'none'"):
        await invoice_of(store, tenant_id=1, bill_id="none")


async def test_a_tenant_does_not_see_anothers_bill(store: SqlInvoiceStore, bill: Bill) -> None:
    await issue(store, bill=bill, issued_utc=NOON)
    assert await store.by_id(tenant_id=2, bill_id=bill.bill_id) is None
    assert await store.by_account(tenant_id=2, account_id="A-1") == ()
    theirs = replace(bill, heading=replace(bill.heading, tenant_id=2))
    assert (await issue(store, bill=theirs, issued_utc=LATER)).issued_utc == LATER
