from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quince.billing.customers.rules import Account, AccountMeter, Customer, Roster
from quince.billing.customers.service import supply_of
from quince.billing.customers.store import SqlCustomerStore
from quince.billing.errors import RosterConflictError, UnknownRecordError
from quince.model.obis import ACTIVE_IMPORT_INTERVAL

CUSTOMER = Customer(customer_id="C-1", name="Panadería La Esperanza")
ACCOUNT = Account(account_id="A-1", customer_id="C-1", premise="Calle Arce 12", tariff_id="T")
OLD = AccountMeter(
    account_id="A-1",
    meter_id="OLD",
    channel=ACTIVE_IMPORT_INTERVAL,
    first_day=date(2026, 1, 1),
    last_day=date(2026, 5, 10),
)
NEW = replace(OLD, meter_id="NEW", first_day=date(2026, 5, 11), last_day=None)
ROSTER = Roster(customers=(CUSTOMER,), accounts=(ACCOUNT,), meters=(NEW, OLD))
SUCCESSOR = Customer(customer_id="C-2", name="Familia Menjívar")
SECOND = replace(ACCOUNT, account_id="A-2", customer_id="C-2")


@pytest.fixture
def store(engine: AsyncEngine) -> SqlCustomerStore:
    return SqlCustomerStore(engine)


async def test_an_account_comes_with_its_customer_and_its_meters_oldest_first(
    store: SqlCustomerStore,
) -> None:
    await store.put_roster(tenant_id=1, roster=ROSTER)
    supply = await supply_of(store, tenant_id=1, account_id="A-1")
    assert (supply.customer, supply.account) == (CUSTOMER, ACCOUNT)
    assert supply.meters == (OLD, NEW)


async def test_importing_again_replaces_names_and_meters(store: SqlCustomerStore) -> None:
    await store.put_roster(tenant_id=1, roster=ROSTER)
    renamed = replace(CUSTOMER, name="La Esperanza S.A.")
    moved = replace(ACCOUNT, premise="Calle Rubén Darío 3")
    await store.put_roster(
        tenant_id=1, roster=Roster(customers=(renamed,), accounts=(moved,), meters=(OLD,))
    )
    supply = await supply_of(store, tenant_id=1, account_id="A-1")
    assert (supply.customer, supply.account, supply.meters) == (renamed, moved, (OLD,))


async def test_an_account_does_not_pass_to_another_customer(store: SqlCustomerStore) -> None:
    await store.put_roster(tenant_id=1, roster=ROSTER)
    taken = replace(ACCOUNT, customer_id="C-2")
    roster = Roster(customers=(SUCCESSOR,), accounts=(SECOND, taken), meters=())
    with pytest.raises(RosterConflictError, match="account A-1 is another customer's"):
        await store.put_roster(tenant_id=1, roster=roster)
    supply = await supply_of(store, tenant_id=1, account_id="A-1")
    assert (supply.customer, supply.meters) == (CUSTOMER, (OLD, NEW))
    assert await store.supplies(tenant_id=1, customer_id="C-2") == ()


async def test_a_channel_that_measures_another_account_is_refused(store: SqlCustomerStore) -> None:
    await store.put_roster(tenant_id=1, roster=ROSTER)
    same = replace(OLD, account_id="A-2", first_day=date(2026, 5, 10))
    roster = Roster(customers=(SUCCESSOR,), accounts=(SECOND,), meters=(same,))
    with pytest.raises(
        RosterConflictError, match=r"OLD 1-0:1\.29\.0 measures accounts A-1 and A-2"
    ):
        await store.put_roster(tenant_id=1, roster=roster)
    assert await store.supply(tenant_id=1, account_id="A-2") is None
    await store.put_roster(tenant_id=2, roster=roster)


async def test_a_successor_takes_over_a_channel_on_the_day_after(store: SqlCustomerStore) -> None:
    await store.put_roster(tenant_id=1, roster=ROSTER)
    free = replace(OLD, account_id="A-2", first_day=date(2026, 5, 11), last_day=None)
    roster = Roster(customers=(SUCCESSOR,), accounts=(SECOND,), meters=(free,))
    await store.put_roster(tenant_id=1, roster=roster)
    assert (await supply_of(store, tenant_id=1, account_id="A-2")).meters == (free,)


async def test_an_unknown_account_is_refused(store: SqlCustomerStore) -> None:
    with pytest.raises(UnknownRecordError, match="no account 'A-1'"):
        await supply_of(store, tenant_id=1, account_id="A-1")


async def test_a_tenant_does_not_see_anothers_accounts(store: SqlCustomerStore) -> None:
    await store.put_roster(tenant_id=1, roster=ROSTER)
    other = Roster(customers=(replace(CUSTOMER, name="Other"),), accounts=(ACCOUNT,), meters=())
    await store.put_roster(tenant_id=2, roster=other)
    mine = await supply_of(store, tenant_id=1, account_id="A-1")
    theirs = await supply_of(store, tenant_id=2, account_id="A-1")
    assert (mine.customer.name, len(mine.meters)) == ("Panadería La Esperanza", 2)
    assert (theirs.customer.name, len(theirs.meters)) == ("Other", 0)
