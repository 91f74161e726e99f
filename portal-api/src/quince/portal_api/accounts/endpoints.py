"""GET /api/accounts."""

from fastapi import APIRouter

from quince.portal_api.access import OwnSupplies, own_supply
from quince.portal_api.accounts.schemas import AccountOut

router = APIRouter(prefix="/api/accounts", tags=["accounts"])


@router.get("")
async def list_accounts(supplies: OwnSupplies) -> list[AccountOut]:
    """List the calling customer's accounts."""
    return [AccountOut.of(supply) for supply in supplies]


@router.get("/{account_id}")
async def read_account(account_id: str, supplies: OwnSupplies) -> AccountOut:
    """Show one of them."""
    return AccountOut.of(own_supply(supplies, account_id))
