from datetime import date

import pytest

from quince.billing.customers.rules import (
    Account,
    AccountMeter,
    Customer,
    Roster,
    meter_on,
    parse_roster,
)
from quince.billing.errors import NotBillableError
from quince.billing.tariff.period import Period
from quince.model.errors import InvalidValueError
from quince.model.obis import ACTIVE_IMPORT_INTERVAL

TEXT = """
[[customers]]
id = "C-1"
name = "Panadería La Esperanza"

[[accounts]]
id = "A-1"
customer = "C-1"
premise = "Calle Arce 12"
tariff = "SV-HORARIO"

[[accounts.meters]]
id = "OLD"
first_day = 2026-01-01
last_day = 2026-05-10

[[accounts.meters]]
id = "NEW"
first_day = 2026-05-11
"""
ROSTER = parse_roster(TEXT)


def test_a_roster_has_customers_accounts_and_meters() -> None:
    assert ROSTER.customers == (Customer(customer_id="C-1", name="Panadería La Esperanza"),)
    assert ROSTER.accounts == (
        Account(
            account_id="A-1",
            customer_id="C-1",
            premise="Calle Arce 12",
            tariff_id="SV-HORARIO",
        ),
    )
    assert ROSTER.meters[1] == AccountMeter(
        account_id="A-1",
        meter_id="NEW",
        channel=ACTIVE_IMPORT_INTERVAL,
        first_day=date(2026, 5, 11),
        last_day=None,
    )


@pytest.mark.parametrize(
    ("first", "last", "meter_id"),
    [
        (date(2026, 5, 1), date(2026, 5, 10), "OLD"),
        (date(2026, 5, 11), date(2026, 5, 31), "NEW"),
        (date(2026, 1, 1), date(2026, 1, 1), "OLD"),
    ],
)
def test_a_period_has_the_meter_of_all_its_days(first: date, last: date, meter_id: str) -> None:
    period = Period(first_day=first, last_day=last)
    assert meter_on("A-1", ROSTER.meters, period).meter_id == meter_id


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2026, 5, 10), date(2026, 5, 11)),
        (date(2025, 12, 31), date(2026, 1, 1)),
    ],
)
def test_a_period_across_a_meter_exchange_is_refused(first: date, last: date) -> None:
    with pytest.raises(NotBillableError, match="no one meter for all of"):
        meter_on("A-1", ROSTER.meters, Period(first_day=first, last_day=last))


@pytest.mark.parametrize(
    ("right", "wrong", "field"),
    [
        ('customer = "C-1"', 'customer = "C-2"', "customer"),
        ("first_day = 2026-05-11", "first_day = 2026-05-10", "meters"),
        ("first_day = 2026-05-11", "first_day = 2025-12-01", "meters"),
        ("last_day = 2026-05-10", "last_day = 2025-05-10", "last_day"),
        ('id = "NEW"', 'id = "NEW"\nchannel = "kWh"', "obis"),
        ('id = "NEW"', 'id = ""', "accounts.0.meters.1.id"),
        ('premise = "Calle Arce 12"\n', "", "accounts.0.premise"),
    ],
)
def test_a_roster_that_cannot_be_is_refused_by_name(right: str, wrong: str, field: str) -> None:
    assert right in TEXT
    with pytest.raises(InvalidValueError) as refused:
        parse_roster(TEXT.replace(right, wrong))
    assert refused.value.field == field


SECOND = TEXT[TEXT.index("[[accounts]]") :].replace('"A-1"', '"A-2"')


def test_two_accounts_may_have_meters_at_the_same_time() -> None:
    others = SECOND.replace("OLD", "OTHER-1").replace("NEW", "OTHER-2")
    assert len(parse_roster(TEXT + others).accounts) == 2


def test_a_channel_does_not_measure_two_accounts_on_a_day() -> None:
    with pytest.raises(InvalidValueError, match="overlaps NEW of account A-1"):
        parse_roster(TEXT + SECOND.replace("OLD", "OTHER"))


def test_two_channels_of_a_meter_may_measure_two_accounts() -> None:
    exports = SECOND.replace('id = "OLD"', 'id = "OLD"\nchannel = "1-0:2.29.0"')
    assert len(parse_roster(TEXT + exports.replace("NEW", "OTHER")).accounts) == 2


def test_a_successor_may_take_over_a_channel() -> None:
    moved = SECOND.replace(
        "first_day = 2026-01-01\nlast_day = 2026-05-10", "first_day = 2026-05-11"
    )
    alone = moved[: moved.rindex("[[accounts.meters]]")]
    assert len(parse_roster(TEXT + alone).meters) == 3


def test_a_long_stretch_around_others_is_seen() -> None:
    around = TEXT + '[[accounts.meters]]\nid = "LONG"\nfirst_day = 2025-01-01\n'
    with pytest.raises(InvalidValueError, match="overlaps LONG of account A-1"):
        parse_roster(around)


def test_an_account_is_once_in_a_roster() -> None:
    with pytest.raises(InvalidValueError, match="accounts = 'A-1': twice in one roster"):
        Roster(customers=ROSTER.customers, accounts=ROSTER.accounts * 2, meters=())


def test_a_customer_is_once_in_a_roster() -> None:
    with pytest.raises(InvalidValueError, match="customers = 'C-1': twice in one roster"):
        Roster(customers=ROSTER.customers * 2, accounts=(), meters=())
