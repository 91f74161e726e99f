from dataclasses import replace
from datetime import date

import pytest

from quince.billing.tariff.charges import EnergyProration
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff, TariffBook
from quince.model.errors import InvalidValueError


def after(tariff: Tariff) -> Tariff:
    """Return a version that takes over on 1 January 2027."""
    return replace(tariff, version="2027", valid_from=date(2027, 1, 1), valid_to=date(2027, 12, 31))


def test_a_block_without_a_price_is_refused(tariff: Tariff) -> None:
    with pytest.raises(InvalidValueError, match=r"\('DRY', 'PUNTA'\): no price"):
        replace(tariff, energy=tariff.energy[1:])


def test_a_price_without_a_block_is_refused(tariff: Tariff) -> None:
    stray = replace(tariff.energy[0], block="PICO")
    with pytest.raises(InvalidValueError, match=r"\('DRY', 'PICO'\): no such season and block"):
        replace(tariff, energy=(*tariff.energy, stray))


def test_two_prices_for_one_block_are_refused(tariff: Tariff) -> None:
    with pytest.raises(InvalidValueError, match="one price per season and block"):
        replace(tariff, energy=(*tariff.energy, tariff.energy[0]))


def test_a_demand_charge_of_an_unknown_block_is_refused(tariff: Tariff) -> None:
    with pytest.raises(InvalidValueError, match="blocks = 'PICO'"):
        replace(tariff, demand=(replace(tariff.demand[0], block="PICO"),))


def test_a_declared_block_that_is_never_used_is_refused(tariff: Tariff) -> None:
    with pytest.raises(InvalidValueError, match="blocks = 'PICO'"):
        replace(tariff, blocks=(*tariff.blocks, "PICO"))


def test_a_book_knows_the_version_of_a_day(tariff: Tariff) -> None:
    book = TariffBook(versions=(tariff, after(tariff)))
    assert book.index_on(date(2026, 12, 31)) == 0
    assert book.index_on(date(2027, 1, 1)) == 1


def test_a_day_outside_all_versions_is_refused(tariff: Tariff) -> None:
    with pytest.raises(InvalidValueError, match="2027-01-01"):
        TariffBook(versions=(tariff,)).index_on(date(2027, 1, 1))


def test_versions_leave_no_day_out(tariff: Tariff) -> None:
    late = replace(after(tariff), valid_from=date(2027, 1, 2))
    with pytest.raises(InvalidValueError, match="must follow 2026"):
        TariffBook(versions=(tariff, late))


def test_an_open_end_is_cut_short_by_the_next_version(tariff: Tariff) -> None:
    book = TariffBook(versions=(replace(tariff, valid_to=date.max), after(tariff)))
    assert book.index_on(date(2026, 12, 31)) == 0
    assert book.index_on(date(2027, 1, 1)) == 1


def test_versions_are_oldest_first(tariff: Tariff) -> None:
    with pytest.raises(InvalidValueError, match="must follow 2027"):
        TariffBook(versions=(after(tariff), tariff))


def test_a_tax_that_changes_needs_another_bill(tariff: Tariff) -> None:
    with pytest.raises(InvalidValueError, match="differs from 2026"):
        TariffBook(versions=(tariff, replace(after(tariff), taxes=())))


def test_a_holiday_may_differ_between_versions_where_energy_is_metered(tariff: Tariff) -> None:
    later = after(tariff)
    calendar = replace(later.calendar, holidays=(date(2027, 1, 1),))
    assert len(TariffBook(versions=(tariff, replace(later, calendar=calendar))).versions) == 2


def test_energy_prorated_by_days_needs_one_calendar(tariff: Tariff) -> None:
    by_days = replace(tariff, energy_proration=EnergyProration.DAYS)
    later = after(by_days)
    calendar = replace(later.calendar, holidays=(date(2027, 1, 1),))
    with pytest.raises(InvalidValueError, match="differs from 2026"):
        TariffBook(versions=(by_days, replace(later, calendar=calendar)))


def test_a_book_is_not_empty() -> None:
    with pytest.raises(InvalidValueError, match="at least one"):
        TariffBook(versions=())


@pytest.mark.parametrize("last_day", [date(2026, 4, 30), date(2026, 8, 1)])
def test_a_period_has_a_day_and_at_most_a_quarter(last_day: date) -> None:
    with pytest.raises(InvalidValueError, match=r"1\.\.92 days"):
        Period(first_day=date(2026, 5, 1), last_day=last_day)


@pytest.mark.parametrize("day", [date.max, date(2200, 1, 1), date(1969, 12, 31), date.min])
def test_a_period_is_within_the_years_of_metering(day: date) -> None:
    with pytest.raises(InvalidValueError, match=r"in 1970\.\.2199"):
        Period(first_day=day, last_day=day)


def test_a_period_yields_each_of_its_days() -> None:
    period = Period(first_day=date(2028, 2, 28), last_day=date(2028, 3, 1))
    assert list(period) == [date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1)]
