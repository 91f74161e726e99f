"""Issued bills: written once, found again by id and by account."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from quince.billing.bill.bill import Bill, bill_bytes, read_bill
from quince.billing.canonical import sha256_hex
from quince.billing.errors import AlreadyBilledError, UnknownRecordError


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """A bill as it is kept: its bytes, where they belong, and when they were issued."""

    bill_id: str
    account_id: str
    first_day: date
    last_day: date
    issued_utc: datetime
    document: bytes

    @property
    def bill(self) -> Bill:
        """The bill its bytes say."""
        return read_bill(self.document)

    @property
    def sha256(self) -> str:
        """The fingerprint of its bytes, in hexadecimal."""
        return sha256_hex(self.document)


class InvoiceStore(Protocol):
    """Where issued bills are kept."""

    async def put(self, *, tenant_id: int, invoice: Invoice) -> Invoice:
        """Keep the invoice unless one of its account shares a day; return the one that is kept."""
        ...

    async def by_id(self, *, tenant_id: int, bill_id: str) -> Invoice | None:
        """Return one invoice."""
        ...

    async def by_account(self, *, tenant_id: int, account_id: str) -> tuple[Invoice, ...]:
        """Return an account's invoices, oldest first."""
        ...


async def issue(store: InvoiceStore, *, bill: Bill, issued_utc: datetime) -> Invoice:
    """Keep a bill and return its invoice; the same bill once more returns the first one.

    AlreadyBilledError when another bill of the account stands for some of these days.
    """
    heading = bill.heading
    invoice = Invoice(
        bill_id=bill.bill_id,
        account_id=heading.account_id,
        first_day=heading.period.first_day,
        last_day=heading.period.last_day,
        issued_utc=issued_utc,
        document=bill_bytes(bill),
    )
    kept = await store.put(tenant_id=heading.tenant_id, invoice=invoice)
    if kept.bill_id != bill.bill_id:
        raise AlreadyBilledError(heading.account_id, kept.bill_id)
    return kept


async def invoice_of(store: InvoiceStore, *, tenant_id: int, bill_id: str) -> Invoice:
    """Return one invoice; UnknownRecordError if there is none."""
    invoice = await store.by_id(tenant_id=tenant_id, bill_id=bill_id)
    if invoice is None:
        raise UnknownRecordError("bill", bill_id)
    return invoice
