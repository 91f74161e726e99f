from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies as st

from quince.billing.determinants.plan import Bucket, Plan, plan_period
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff, TariffBook
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP


def plan_of(tariff: Tariff, zone: str, first_day: date, last_day: date | None = None) -> Plan:
    book = TariffBook(versions=(replace(tariff, zone=zone),))
    return plan_period(book, Period(first_day=first_day, last_day=last_day or first_day))


def bucket_at(plan: Plan, moment: datetime) -> Bucket:
    slot = (moment - plan.start_utc) // STEP
    run = int((plan.edges <= slot).sum()) - 1
    return plan.buckets[int(plan.bucket_of_run[run])]


def test_midnight_in_utc_is_peak_time_in_el_salvador(tariff: Tariff) -> None:
    plan = plan_of(tariff, "America/El_Salvador", date(2026, 5, 1))
    assert bucket_at(plan, datetime(2026, 5, 2, tzinfo=UTC)).block == "PUNTA"


def test_a_day_in_el_salvador_begins_at_six_in_utc(tariff: Tariff) -> None:
    plan = plan_of(tariff, "America/El_Salvador", date(2026, 5, 1))
    assert plan.start_utc == datetime(2026, 5, 1, 6, tzinfo=UTC)
    assert plan.end_utc == datetime(2026, 5, 2, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "slots", "valle"),
    [
        ("America/New_York", date(2026, 3, 8), 92, 20),
        ("America/New_York", date(2026, 11, 1), 100, 28),
        ("America/New_York", date(2026, 6, 1), 96, 24),
        ("Europe/Berlin", date(2026, 3, 29), 92, 20),
        ("Europe/Berlin", date(2026, 10, 25), 100, 28),
        ("Australia/Lord_Howe", date(2026, 4, 5), 98, 26),
        ("Australia/Lord_Howe", date(2026, 10, 4), 94, 22),
        ("America/Santiago", date(2026, 9, 6), 92, 20),  # its clocks skip midnight itself
        ("Asia/Kathmandu", date(2026, 6, 1), 96, 24),  # UTC+05:45
    ],
)
def test_a_day_has_the_quarter_hours_its_clocks_show(
    zone: str, day: date, slots: int, valle: int, tariff: Tariff
) -> None:
    plan = plan_of(tariff, zone, day)
    assert plan.slots == slots
    blocks = [bucket.block for bucket in plan.buckets]
    assert dict(zip(blocks, plan.slots_of_bucket, strict=True))["VALLE"] == valle


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(
        ["America/New_York", "America/Havana", "America/Sao_Paulo", "Asia/Beirut"]
    ),
    offset=st.integers(0, 364),
)
def test_one_day_ends_where_the_next_begins(zone: str, offset: int, tariff: Tariff) -> None:
    of_2018 = replace(tariff, valid_from=date(2018, 1, 1), valid_to=date(2019, 12, 31))
    day = date(2018, 1, 1) + timedelta(days=offset)
    morrow = plan_of(of_2018, zone, day + timedelta(days=1))
    assert plan_of(of_2018, zone, day).end_utc == morrow.start_utc


def test_buckets_are_season_and_block_and_count_their_slots(
    tariff: Tariff, season_change: Period
) -> None:
    plan = plan_period(TariffBook(versions=(tariff,)), season_change)
    assert [(b.season, b.block) for b in plan.buckets] == [
        ("DRY", "PUNTA"),
        ("DRY", "RESTO"),
        ("DRY", "VALLE"),
        ("WET", "PUNTA"),
        ("WET", "RESTO"),
        ("WET", "VALLE"),
    ]
    assert plan.slots_of_bucket == (20, 52, 24, 20, 52, 24)


def test_days_are_shared_out_by_season_as_parts_of_their_month(
    tariff: Tariff, season_change: Period
) -> None:
    april, may = plan_period(TariffBook(versions=(tariff,)), season_change).day_shares
    assert (april.season, april.days, april.months) == ("DRY", 1, Fraction(1, 30))
    assert (may.season, may.days, may.months) == ("WET", 1, Fraction(1, 31))


def test_a_price_change_within_the_period_makes_buckets_of_its_own(tariff: Tariff) -> None:
    old = replace(tariff, valid_to=date(2026, 5, 14))
    new = replace(tariff, version="B", valid_from=date(2026, 5, 15))
    may = Period(first_day=date(2026, 5, 1), last_day=date(2026, 5, 31))
    plan = plan_period(TariffBook(versions=(old, new)), may)
    assert [bucket.version for bucket in plan.buckets] == [0, 0, 0, 1, 1, 1]
    assert [share.days for share in plan.day_shares] == [14, 17]
    assert sum(plan.slots_of_bucket[:3]) == 14 * 96


def test_a_whole_calendar_month_is_one_month(tariff: Tariff) -> None:
    plan = plan_of(tariff, "America/El_Salvador", date(2026, 2, 1), date(2026, 2, 28))
    assert [share.months for share in plan.day_shares] == [1]


def test_a_zone_off_the_quarter_hours_is_refused(tariff: Tariff) -> None:
    early = replace(tariff, valid_from=date(1970, 1, 1))
    with pytest.raises(InvalidValueError, match="quarter-hour"):
        plan_of(early, "Africa/Monrovia", date(1971, 1, 1))


def test_a_day_without_a_tariff_has_no_plan(tariff: Tariff) -> None:
    with pytest.raises(InvalidValueError, match="2025-12-31"):
        plan_of(tariff, "America/El_Salvador", date(2025, 12, 31))
