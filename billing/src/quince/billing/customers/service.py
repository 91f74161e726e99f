"""Customers imported, and found again by their account."""

from dataclasses import dataclass
from typing import Protocol

from quince.billing.customers.rules import Account, AccountMeter, Customer, Roster
from quince.billing.errors import UnknownRecordError


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """An account with its customer and all the meters it ever had, oldest first."""

    customer: Customer
    account: Account
    meters: tuple[AccountMeter, ...]


class CustomerStore(Protocol):
    """Where customers are kept."""

    async def put_roster(self, *, tenant_id: int, roster: Roster) -> None:
        """Keep a roster, all or nothing: its customers, accounts and meters replace their own.

        RosterConflictError when an account is another customer's, or a channel measures an
        account outside the roster on the same days.
        """
        ...

    async def supply(self, *, tenant_id: int, account_id: str) -> Supply | None:
        """Return an account with its customer and meters."""
        ...

    async def supplies(self, *, tenant_id: int, customer_id: str) -> tuple[Supply, ...]:
        """Return all accounts of a customer, by account id."""
        ...


async def supply_of(store: CustomerStore, *, tenant_id: int, account_id: str) -> Supply:
    """Return an account with its customer and meters; UnknownRecordError if there is none."""
    supply = await store.supply(tenant_id=tenant_id, account_id=account_id)
    if supply is None:
        raise UnknownRecordError("account", account_id)
    return supply
