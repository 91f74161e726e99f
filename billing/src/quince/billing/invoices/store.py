"""Issued bills in SQL; nothing here updates or deletes."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    UniqueConstraint,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from quince.billing.invoices.service import Invoice
from quince.billing.schema import METADATA
from quince.headend.platform.sql import writing

_INVOICE = Table(
    "billing_invoice",
    METADATA,
    Column("tenant_id", Integer, primary_key=True),
    Column("bill_id", String, primary_key=True),
    Column("account_id", String, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("issued_s", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
    UniqueConstraint(
        "tenant_id", "account_id", "first_day"
    ),  # also the index of an account's bills
)


class SqlInvoiceStore:
    """The InvoiceStore of a database; it borrows the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put(self, *, tenant_id: int, invoice: Invoice) -> Invoice:
        """Keep the invoice unless one of its account shares a day; return the one that is kept."""
        standing = (
            select(_INVOICE)
            .where(
                _INVOICE.c.tenant_id == tenant_id,
                _INVOICE.c.account_id == invoice.account_id,
                _INVOICE.c.first_day <= invoice.last_day,
                _INVOICE.c.last_day >= invoice.first_day,
            )
            .order_by(_INVOICE.c.first_day)
            .limit(1)
        )
        async with writing(self._engine) as connection:
            row = (await connection.execute(standing)).one_or_none()
            if row is not None:
                return _invoice(row)
            await connection.execute(insert(_INVOICE).values(_values(tenant_id, invoice)))
            return invoice

    async def by_id(self, *, tenant_id: int, bill_id: str) -> Invoice | None:
        """Return one invoice."""
        query = select(_INVOICE).where(
            _INVOICE.c.tenant_id == tenant_id, _INVOICE.c.bill_id == bill_id
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _invoice(row)

    async def by_account(self, *, tenant_id: int, account_id: str) -> tuple[Invoice, ...]:
        """Return an account's invoices, oldest first."""
        query = (
            select(_INVOICE)
            .where(_INVOICE.c.tenant_id == tenant_id, _INVOICE.c.account_id == account_id)
            .order_by(_INVOICE.c.first_day)
        )
        async with self._engine.connect() as connection:
            return tuple(_invoice(row) for row in await connection.execute(query))


def _values(tenant_id: int, invoice: Invoice) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "bill_id": invoice.bill_id,
        "account_id": invoice.account_id,
        "first_day": invoice.first_day,
        "last_day": invoice.last_day,
        "issued_s": int(invoice.issued_utc.timestamp()),
        "document": invoice.document,
    }


def _invoice(row: Row[tuple[object, ...]]) -> Invoice:
    return Invoice(
        bill_id=row.bill_id,
        account_id=row.account_id,
        first_day=row.first_day,
        last_day=row.last_day,
        issued_utc=datetime.fromtimestamp(row.issued_s, UTC),
        document=row.document,
    )
