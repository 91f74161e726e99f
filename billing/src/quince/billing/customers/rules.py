"""Who is served: customers, accounts, meters by date; and the file they are imported from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from quince.billing.border import Entry, read_toml
from quince.billing.errors import NotBillableError
from quince.billing.tariff.period import Period
from quince.model.errors import InvalidValueError
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, Obis


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Who pays."""

    customer_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is billed: a customer's supply at a premise, under a tariff."""

    account_id: str
    customer_id: str
    premise: str
    tariff_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMeter:
    """A channel that measured an account on the local days first_day..last_day.

    `last_day` is None while it still does.
    """

    account_id: str
    meter_id: str
    channel: Obis
    first_day: date
    last_day: date | None

    def __post_init__(self) -> None:
        if self.last_day is not None and self.last_day < self.first_day:
            raise InvalidValueError("last_day", self.last_day.isoformat(), "not before first_day")

    def touches(self, first_day: date, last_day: date | None) -> bool:
        """Say whether it measured on any of these days."""
        begins_in_time = last_day is None or self.first_day <= last_day
        return begins_in_time and (self.last_day is None or first_day <= self.last_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Customers with their accounts and meters, as imported; every reference is within.

    On any day an account has one meter, and a channel measures one account.
    """

    customers: tuple[Customer, ...]
    accounts: tuple[Account, ...]
    meters: tuple[AccountMeter, ...]

    def __post_init__(self) -> None:
        known = {customer.customer_id for customer in self.customers}
        for account in self.accounts:
            if account.customer_id not in known:
                raise InvalidValueError("customer", account.customer_id, "no such customer")
        _require_once("customers", [customer.customer_id for customer in self.customers])
        _require_once("accounts", [account.account_id for account in self.accounts])
        pair = _overlap(self.meters, _account_of) or channel_overlap(self.meters)
        if pair is not None:
            one, other = pair
            reason = f"overlaps {one.meter_id} of account {one.account_id}"
            raise InvalidValueError("meters", other.meter_id, reason)


def channel_overlap(meters: Iterable[AccountMeter]) -> tuple[AccountMeter, AccountMeter] | None:
    """Return two of the meters that are one channel on the same days, None if there are none."""
    return _overlap(meters, _channel_of)


def _overlap(
    meters: Iterable[AccountMeter], group_of: Callable[[AccountMeter], tuple[str, ...]]
) -> tuple[AccountMeter, AccountMeter] | None:
    ordered = sorted(meters, key=lambda meter: (group_of(meter), meter.first_day))
    # By first day, neighbours suffice: whatever reaches beyond its neighbour overlaps that one too.
    for one, other in pairwise(ordered):
        same = group_of(one) == group_of(other)
        if same and one.touches(other.first_day, other.last_day):
            return one, other
    return None


def _account_of(meter: AccountMeter) -> tuple[str, ...]:
    return (meter.account_id,)


def _channel_of(meter: AccountMeter) -> tuple[str, ...]:
    return (meter.meter_id, str(meter.channel))


def _require_once(field: str, ids: list[str]) -> None:
    for one, other in pairwise(sorted(ids)):
        if one == other:
            raise InvalidValueError(field, one, "twice in one roster")


def meter_on(account_id: str, meters: tuple[AccountMeter, ...], period: Period) -> AccountMeter:
    """Return the one meter that measured the account on every day of the period.

    NotBillableError otherwise: a period across a meter exchange is two bills.
    """
    for meter in meters:
        still = meter.last_day is None or period.last_day <= meter.last_day
        if meter.first_day <= period.first_day and still:
            return meter
    raise NotBillableError(f"account {account_id} has no one meter for all of {period}")


def parse_roster(text: str) -> Roster:
    """Read customers and accounts from TOML; InvalidValueError names what cannot be."""
    entry = read_toml(_RosterEntry, text)
    return Roster(
        customers=tuple(Customer(customer_id=c.id, name=c.name) for c in entry.customers),
        accounts=tuple(
            Account(account_id=a.id, customer_id=a.customer, premise=a.premise, tariff_id=a.tariff)
            for a in entry.accounts
        ),
        meters=tuple(
            AccountMeter(
                account_id=account.id,
                meter_id=meter.id,
                channel=Obis.parse(meter.channel),
                first_day=meter.first_day,
                last_day=meter.last_day,
            )
            for account in entry.accounts
            for meter in account.meters
        ),
    )


_Text = Annotated[str, Field(min_length=1, max_length=64)]


class _CustomerEntry(Entry):
    id: _Text
    name: _Text


class _MeterEntry(Entry):
    id: _Text
    channel: str = str(ACTIVE_IMPORT_INTERVAL)
    first_day: date
    last_day: date | None = None


class _AccountEntry(Entry):
    id: _Text
    customer: _Text
    premise: _Text
    tariff: _Text
    meters: tuple[_MeterEntry, ...]


class _RosterEntry(Entry):
    customers: tuple[_CustomerEntry, ...]
    accounts: tuple[_AccountEntry, ...]
