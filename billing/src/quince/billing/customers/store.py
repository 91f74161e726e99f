"""Customers, accounts and their meters in SQL."""

from collections.abc import Sequence

from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    ForeignKeyConstraint,
    Integer,
    Row,
    String,
    Table,
    delete,
    select,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from quince.billing.customers.rules import (
    Account,
    AccountMeter,
    Customer,
    Roster,
    channel_overlap,
)
from quince.billing.customers.service import Supply
from quince.billing.errors import RosterConflictError
from quince.billing.schema import METADATA
from quince.headend.platform.sql import writing
from quince.model.obis import Obis

_CUSTOMER = Table(
    "billing_customer",
    METADATA,
    Column("tenant_id", Integer, primary_key=True),
    Column("customer_id", String, primary_key=True),
    Column("name", String, nullable=False),
)
_ACCOUNT = Table(
    "billing_account",
    METADATA,
    Column("tenant_id", Integer, primary_key=True),
    Column("account_id", String, primary_key=True),
    Column("customer_id", String, nullable=False),
    Column("premise", String, nullable=False),
    Column("tariff_id", String, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "customer_id"], [_CUSTOMER.c.tenant_id, _CUSTOMER.c.customer_id]
    ),
)
_ACCOUNT_METER = Table(
    "billing_account_meter",
    METADATA,
    Column("tenant_id", Integer, primary_key=True),
    Column("account_id", String, primary_key=True),
    Column("first_day", Date, primary_key=True),
    Column("last_day", Date, nullable=True),
    Column("meter_id", String, nullable=False),
    Column("channel", String, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "account_id"], [_ACCOUNT.c.tenant_id, _ACCOUNT.c.account_id]
    ),
)


class SqlCustomerStore:
    """The CustomerStore of a database; it borrows the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put_roster(self, *, tenant_id: int, roster: Roster) -> None:
        """Keep a roster, all or nothing: its customers, accounts and meters replace their own.

        RosterConflictError when an account is another customer's, or a channel measures an
        account outside the roster on the same days.
        """
        async with writing(self._engine) as connection:
            for customer in roster.customers:
                await _put_customer(connection, tenant_id, customer)
            for account in roster.accounts:
                await _put_account(connection, tenant_id, account)
            await _require_free_channels(connection, tenant_id, roster)
            for meter in roster.meters:
                await _put_meter(connection, tenant_id, meter)

    async def supply(self, *, tenant_id: int, account_id: str) -> Supply | None:
        """Return an account with its customer and meters."""
        supplies = await self._supplies(tenant_id, _ACCOUNT.c.account_id == account_id)
        return supplies[0] if supplies else None

    async def supplies(self, *, tenant_id: int, customer_id: str) -> tuple[Supply, ...]:
        """Return all accounts of a customer, by account id."""
        return await self._supplies(tenant_id, _ACCOUNT.c.customer_id == customer_id)

    async def _supplies(self, tenant_id: int, condition: ColumnElement[bool]) -> tuple[Supply, ...]:
        of_accounts = (
            select(_ACCOUNT, _CUSTOMER.c.name)
            .join(_CUSTOMER)
            .where(_ACCOUNT.c.tenant_id == tenant_id, condition)
            .order_by(_ACCOUNT.c.account_id)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(of_accounts)).all()
            meters = (
                await connection.execute(
                    select(_ACCOUNT_METER)
                    .where(
                        _ACCOUNT_METER.c.tenant_id == tenant_id,
                        _ACCOUNT_METER.c.account_id.in_([row.account_id for row in rows]),
                    )
                    .order_by(_ACCOUNT_METER.c.first_day)
                )
            ).all()
        return tuple(_supply(row, meters) for row in rows)


def _supply(row: Row[tuple[object, ...]], meters: Sequence[Row[tuple[object, ...]]]) -> Supply:
    return Supply(
        customer=Customer(customer_id=row.customer_id, name=row.name),
        account=Account(
            account_id=row.account_id,
            customer_id=row.customer_id,
            premise=row.premise,
            tariff_id=row.tariff_id,
        ),
        meters=tuple(
            _account_meter(meter) for meter in meters if meter.account_id == row.account_id
        ),
    )


def _account_meter(row: Row[tuple[object, ...]]) -> AccountMeter:
    return AccountMeter(
        account_id=row.account_id,
        meter_id=row.meter_id,
        channel=Obis.parse(row.channel),
        first_day=row.first_day,
        last_day=row.last_day,
    )


async def _put_customer(connection: AsyncConnection, tenant_id: int, customer: Customer) -> None:
    statement = insert(_CUSTOMER).values(
        tenant_id=tenant_id, customer_id=customer.customer_id, name=customer.name
    )
    await connection.execute(
        statement.on_conflict_do_update(set_={"name": statement.excluded.name})
    )


async def _put_account(connection: AsyncConnection, tenant_id: int, account: Account) -> None:
    """Write the account, and forget its meters: those of the roster follow.

    It stays its customer's: its bills are theirs, and a successor gets an account of their own.
    """
    statement = insert(_ACCOUNT).values(
        tenant_id=tenant_id,
        account_id=account.account_id,
        customer_id=account.customer_id,
        premise=account.premise,
        tariff_id=account.tariff_id,
    )
    written = await connection.execute(
        statement.on_conflict_do_update(
            set_={name: statement.excluded[name] for name in ("premise", "tariff_id")},
            where=_ACCOUNT.c.customer_id == account.customer_id,
        )
    )
    if written.rowcount == 0:
        raise RosterConflictError(f"account {account.account_id} is another customer's")
    await connection.execute(
        delete(_ACCOUNT_METER).where(
            _ACCOUNT_METER.c.tenant_id == tenant_id,
            _ACCOUNT_METER.c.account_id == account.account_id,
        )
    )


async def _require_free_channels(
    connection: AsyncConnection, tenant_id: int, roster: Roster
) -> None:
    """Refuse a channel that measures another account on the same days.

    The roster's accounts have no meters at this point: all that are kept are of others.
    """
    asked = {meter.meter_id for meter in roster.meters}
    kept = await connection.execute(
        select(_ACCOUNT_METER).where(_ACCOUNT_METER.c.tenant_id == tenant_id)
    )
    of_others = [_account_meter(row) for row in kept if row.meter_id in asked]
    pair = channel_overlap((*of_others, *roster.meters))
    if pair is not None:
        one, other = pair
        raise RosterConflictError(
            f"meter {one.meter_id} {one.channel} measures accounts {one.account_id} and"
            f" {other.account_id} on the same days"
        )


async def _put_meter(connection: AsyncConnection, tenant_id: int, meter: AccountMeter) -> None:
    await connection.execute(
        insert(_ACCOUNT_METER).values(
            tenant_id=tenant_id,
            account_id=meter.account_id,
            meter_id=meter.meter_id,
            channel=str(meter.channel),
            first_day=meter.first_day,
            last_day=meter.last_day,
        )
    )
