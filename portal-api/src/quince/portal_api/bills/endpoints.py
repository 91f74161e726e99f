"""GET /api/bills. A bill is the caller's if it was billed to them, on an account of theirs."""

from fastapi import APIRouter, Response

from quince.headend.errors import AccessDeniedError
from quince.portal_api.access import CallingCustomer, OwnSupplies, TheDoor, own_supply
from quince.portal_api.bills.schemas import BillOut

router = APIRouter(prefix="/api/bills", tags=["bills"])


@router.get("")
async def list_bills(
    door: TheDoor, customer: CallingCustomer, supplies: OwnSupplies
) -> list[BillOut]:
    """List the calling customer's bills, by account and day."""
    return [
        BillOut.of(invoice)
        for supply in supplies
        for invoice in await door.office.invoices.by_account(
            tenant_id=customer.tenant_id, account_id=supply.account.account_id
        )
        if invoice.bill.heading.customer_id == customer.customer_id
    ]


@router.get("/{bill_id}")
async def read_bill(
    bill_id: str, door: TheDoor, customer: CallingCustomer, supplies: OwnSupplies
) -> Response:
    """Serve one bill's document, octet for octet as it was issued: its SHA-256 can be checked."""
    invoice = await door.office.invoices.by_id(tenant_id=customer.tenant_id, bill_id=bill_id)
    if invoice is None or invoice.bill.heading.customer_id != customer.customer_id:
        raise AccessDeniedError("not yours, or not there")
    own_supply(supplies, invoice.account_id)
    return Response(invoice.document, media_type="application/json")
