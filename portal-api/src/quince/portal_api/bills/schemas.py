"""Bills as the API lists them; the document itself is served as it was issued."""

from datetime import date, datetime
from typing import Self

from pydantic import BaseModel

from quince.billing.invoices.service import Invoice


class BillOut(BaseModel):
    """An issued bill; money is a decimal string in `currency`."""

    id: str
    account_id: str
    first_day: date
    last_day: date
    issued_utc: datetime
    total: str
    currency: str
    sha256: str

    @classmethod
    def of(cls, invoice: Invoice) -> Self:
        """Show a bill's heading and total."""
        return cls(
            id=invoice.bill_id,
            account_id=invoice.account_id,
            first_day=invoice.first_day,
            last_day=invoice.last_day,
            issued_utc=invoice.issued_utc,
            total=str(invoice.bill.total),
            currency=invoice.bill.charges.currency,
            sha256=invoice.sha256,
        )
