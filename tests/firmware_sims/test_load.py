from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from quince.firmware_sims.load import Household, Supply, metered_wh
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP

HOME = Household(seed=7, base_wh=100)
DAY = datetime(2025, 3, 3, 6, 0, tzinfo=UTC)  # midnight in El Salvador
MOMENTS = st.datetimes(min_value=datetime(2021, 1, 1), max_value=datetime(2030, 1, 1))  # noqa: DTZ001 - made aware below


@settings(max_examples=100)
@given(MOMENTS, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=100)))
def test_the_register_only_grows(naive: datetime, later: timedelta) -> None:
    at_utc = naive.replace(tzinfo=UTC)
    assert HOME.register_wh(at_utc + later) >= HOME.register_wh(at_utc)


def test_the_intervals_of_a_month_add_up_to_the_register() -> None:
    slots = [DAY + slot * STEP for slot in range(31 * 96)]
    total_wh = sum(HOME.interval_wh(slot) for slot in slots)
    assert total_wh == HOME.register_wh(slots[-1] + STEP) - HOME.register_wh(DAY)


def test_the_evening_draws_more_than_the_night() -> None:
    night = sum(HOME.interval_wh(DAY + timedelta(hours=2) + i * STEP) for i in range(4))
    evening = sum(HOME.interval_wh(DAY + timedelta(hours=19) + i * STEP) for i in range(4))
    assert evening > 3 * night


def test_a_day_draws_about_its_base() -> None:
    day_wh = HOME.register_wh(DAY + timedelta(days=1)) - HOME.register_wh(DAY)
    assert 0.8 * 96 * 100 < day_wh < 1.2 * 96 * 100


def test_two_households_differ_and_one_seed_repeats() -> None:
    other = Household(seed=8, base_wh=100)
    assert other.register_wh(DAY) != HOME.register_wh(DAY)
    assert Household(seed=7, base_wh=100).register_wh(DAY) == HOME.register_wh(DAY)


def test_a_household_shows_its_settings_alone() -> None:
    assert repr(HOME) == "Household(seed=7, base_wh=100, utc_offset_min=-360)"


@pytest.mark.parametrize(("base_wh", "utc_offset_min"), [(-1, 0), (10**7, 0), (1, 7), (1, 900)])
def test_a_household_that_cannot_be_is_refused(base_wh: int, utc_offset_min: int) -> None:
    with pytest.raises(InvalidValueError):
        Household(seed=1, base_wh=base_wh, utc_offset_min=utc_offset_min)


def test_before_2020_there_was_no_household() -> None:
    with pytest.raises(InvalidValueError):
        HOME.register_wh(datetime(2019, 6, 1, tzinfo=UTC))


def test_the_supply_is_off_from_the_start_of_an_outage_to_before_its_end() -> None:
    supply = Supply([(DAY, DAY + STEP)])
    assert not supply.is_on(DAY)
    assert supply.is_on(DAY + STEP)
    assert supply.is_on(DAY - timedelta(seconds=1))


def test_the_next_cut_is_the_first_ahead() -> None:
    supply = Supply([(DAY, DAY + STEP), (DAY + 2 * STEP, DAY + 3 * STEP)])
    assert supply.next_cut(DAY - STEP) == DAY
    assert supply.next_cut(DAY) == DAY + 2 * STEP
    assert supply.next_cut(DAY + 2 * STEP) is None


def test_the_register_stands_still_in_the_dark() -> None:
    supply = Supply([(DAY, DAY + 4 * STEP)])
    before = metered_wh(HOME, supply, DAY)
    assert metered_wh(HOME, supply, DAY + 2 * STEP) == before
    assert metered_wh(HOME, supply, DAY + 4 * STEP) == before
    after = metered_wh(HOME, supply, DAY + 5 * STEP)
    assert after - before == HOME.interval_wh(DAY + 4 * STEP)


@pytest.mark.parametrize(("begin", "end"), [(0, 0), (0, -1), (-1, 1), (1, 2)])
def test_outages_are_in_order_and_do_not_touch(begin: int, end: int) -> None:
    supply = Supply([(DAY, DAY + STEP)])
    with pytest.raises(InvalidValueError):
        supply.cut(DAY + begin * STEP, DAY + end * STEP)


def test_what_is_drawn_by_day_is_counted_apart() -> None:
    night_utc, noon_utc = DAY + timedelta(hours=3), DAY + timedelta(hours=12)
    assert HOME.peak_wh(night_utc + STEP) == HOME.peak_wh(night_utc)
    assert HOME.peak_wh(noon_utc + STEP) - HOME.peak_wh(noon_utc) == HOME.interval_wh(noon_utc)


def test_the_register_stands_still_while_the_switch_is_open() -> None:
    supply = Supply()
    supply.switch_off(DAY)
    supply.switch_off(DAY + STEP)
    assert supply.is_switched_off(DAY + STEP)
    assert metered_wh(HOME, supply, DAY + 4 * STEP) == HOME.register_wh(DAY)
    supply.switch_on(DAY + 4 * STEP)
    assert not supply.is_switched_off(DAY + 4 * STEP)
    grown = metered_wh(HOME, supply, DAY + 5 * STEP) - metered_wh(HOME, supply, DAY)
    assert grown == HOME.interval_wh(DAY + 4 * STEP)


def test_a_switch_that_closes_before_it_has_opened_was_never_open() -> None:
    supply = Supply()
    supply.switch_off(DAY + STEP)
    supply.switch_on(DAY)
    supply.switch_on(DAY + 2 * STEP)
    assert metered_wh(HOME, supply, DAY + 4 * STEP) == HOME.register_wh(DAY + 4 * STEP)


def test_a_switch_that_is_open_in_the_dark_saves_nothing_twice() -> None:
    supply = Supply([(DAY, DAY + 4 * STEP)])
    supply.switch_off(DAY + STEP)
    supply.switch_on(DAY + 6 * STEP)
    drawn = metered_wh(HOME, supply, DAY + 8 * STEP) - metered_wh(HOME, supply, DAY)
    assert drawn == HOME.register_wh(DAY + 8 * STEP) - HOME.register_wh(DAY + 6 * STEP)
