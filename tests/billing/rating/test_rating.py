from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies as st

from quince.billing.determinants.determinants import Determinants, measure, row_of
from quince.billing.determinants.plan import plan_period
from quince.billing.rating.lines import Charges, LineKind
from quince.billing.rating.rating import rate
from quince.billing.tariff.charges import (
    EnergyProration,
    FixedCharge,
    MonthBasis,
    Per,
    PercentCharge,
    Rounding,
    RoundingMode,
)
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff, TariffBook
from quince.model.errors import InvalidValueError

MAY = Period(first_day=date(2026, 5, 1), last_day=date(2026, 5, 31))


def flat_load(book: TariffBook, period: Period, wh: int = 1000) -> Determinants:
    plan = plan_period(book, period)
    (determinants,) = measure(plan, row_of((wh,) * plan.slots))
    return determinants


def charges_of(*versions: Tariff, period: Period, wh: int = 1000) -> Charges:
    book = TariffBook(versions=versions)
    return rate(book, flat_load(book, period, wh))


def split_on_15_may(tariff: Tariff) -> tuple[Tariff, Tariff]:
    dearer = tuple(
        replace(price, price_micro_per_kwh=2 * price.price_micro_per_kwh) for price in tariff.energy
    )
    return (
        replace(tariff, version="A", valid_to=date(2026, 5, 14)),
        replace(tariff, version="B", valid_from=date(2026, 5, 15), energy=dearer),
    )


def test_a_season_change_shows_six_energy_lines(tariff: Tariff, season_change: Period) -> None:
    lines = charges_of(tariff, period=season_change).lines
    assert [line.item.name for line in lines if line.item.kind is LineKind.ENERGY] == [
        "Dry season, PUNTA",
        "Dry season, RESTO",
        "Dry season, VALLE",
        "Wet season, PUNTA",
        "Wet season, RESTO",
        "Wet season, VALLE",
    ]


def test_energy_is_kwh_times_losses_times_price(tariff: Tariff, season_change: Period) -> None:
    line = charges_of(tariff, period=season_change).lines[0]
    assert line.item.quantity == Decimal("20.000")
    # 20 kWh × 1.015 × 0.183983 = 3.7348549
    assert line.item.exact == Fraction("3.7348549")
    assert (line.amount, line.amount_micro) == (Decimal("3.73"), 3_730_000)


def test_demand_is_four_times_the_highest_quarter_hour(
    tariff: Tariff, season_change: Period
) -> None:
    line = next(
        line
        for line in charges_of(tariff, period=season_change).lines
        if line.item.kind is LineKind.DEMAND
    )
    assert (line.item.quantity, line.item.unit) == (Decimal("4.000"), "kW")


def test_two_days_of_demand_are_their_parts_of_april_and_may(
    tariff: Tariff, season_change: Period
) -> None:
    line = charges_of(tariff, period=season_change).lines[6]
    assert line.item.share == Fraction(1, 30) + Fraction(1, 31)
    # 4 kW × 1.015 × 6.329066 × 61/930 = 1.685427…
    assert line.amount == Decimal("1.69")


def test_demand_of_a_block_sees_that_block_alone(tariff: Tariff, season_change: Period) -> None:
    at_peak_time = replace(tariff, demand=(replace(tariff.demand[0], block="PUNTA"),))
    book = TariffBook(versions=(at_peak_time,))
    plan = plan_period(book, season_change)
    (determinants,) = measure(plan, row_of((9000,) * 72 + (1000,) * 120))
    demand = [line for line in rate(book, determinants).lines if line.item.unit == "kW"]
    assert [line.item.quantity for line in demand] == [Decimal("4.000")]


def test_demand_of_a_block_that_does_not_occur_is_zero(tariff: Tariff) -> None:
    dry_only = tuple(s for s in tariff.calendar.schedules if s.season == "DRY")
    wet_without_peak = tuple(
        replace(
            schedule,
            spans=tuple(
                replace(span, block=span.block.replace("PUNTA", "RESTO")) for span in schedule.spans
            ),
        )
        for schedule in tariff.calendar.schedules
        if schedule.season == "WET"
    )
    changed = replace(
        tariff,
        calendar=replace(tariff.calendar, schedules=(*dry_only, *wet_without_peak)),
        energy=tuple(p for p in tariff.energy if (p.season, p.block) != ("WET", "PUNTA")),
        demand=(replace(tariff.demand[0], block="PUNTA"),),
    )
    lines = charges_of(changed, period=MAY).lines
    assert [line.item.quantity for line in lines if line.item.unit == "kW"] == [0]


def test_a_price_per_day_is_paid_for_each_day(tariff: Tariff, season_change: Period) -> None:
    line = charges_of(tariff, period=season_change).lines[7]
    assert (line.item.quantity, line.item.unit) == (Decimal(2), "day")
    assert line.amount == Decimal("0.87")


def test_a_price_per_month_is_paid_once_for_a_whole_month(tariff: Tariff) -> None:
    monthly = FixedCharge(code="RENT", name="Meter rent", price_micro=1_234_567, per=Per.MONTH)
    lines = charges_of(replace(tariff, fixed=(monthly,)), period=MAY).lines
    assert [line.amount for line in lines if line.item.code == "RENT"] == [Decimal("1.23")]


def test_a_month_can_be_the_billing_period_whatever_its_length(
    tariff: Tariff, season_change: Period
) -> None:
    of_period = replace(tariff, month_basis=MonthBasis.PERIOD)
    assert charges_of(of_period, period=season_change).lines[6].item.share == 1


def test_iva_is_taken_once_on_the_rounded_subtotal(tariff: Tariff, season_change: Period) -> None:
    charges = charges_of(tariff, period=season_change)
    tax = charges.lines[-1]
    assert tax.item.quantity == charges.subtotal == Decimal("32.54")
    assert tax.amount == Decimal("4.23")
    assert charges.total == Decimal("36.77")


def test_a_surcharge_names_its_base_and_is_taxed(tariff: Tariff, season_change: Period) -> None:
    surcharge = PercentCharge(
        code="POWER_FACTOR", name="Power factor", rate=Decimal("0.10"), base=("ENERGY",)
    )
    charges = charges_of(replace(tariff, surcharges=(surcharge,)), period=season_change)
    energy = sum(line.amount for line in charges.lines if line.item.code == "ENERGY")
    *_, extra, tax = charges.lines
    assert (extra.item.kind, extra.item.quantity) == (LineKind.SURCHARGE, energy)
    assert tax.item.quantity == charges.subtotal == Decimal("32.54") + extra.amount


def test_a_tax_is_not_in_the_next_taxs_base_unless_named(
    tariff: Tariff, season_change: Period
) -> None:
    levy = PercentCharge(code="LEVY", name="Levy", rate=Decimal("0.01"), base=())
    on_iva = PercentCharge(code="ON_IVA", name="On IVA", rate=Decimal("0.50"), base=("IVA",))
    taxed = replace(tariff, taxes=(*tariff.taxes, levy, on_iva))
    charges = charges_of(taxed, period=season_change)
    assert charges.lines[-2].item.quantity == charges.subtotal
    assert charges.lines[-1].item.quantity == Decimal("4.23")


def test_a_retention_is_a_negative_tax(tariff: Tariff, season_change: Period) -> None:
    retention = PercentCharge(code="RETENTION", name="Retained", rate=Decimal("-0.01"), base=())
    charges = charges_of(replace(tariff, taxes=(retention,)), period=season_change)
    assert charges.total == charges.subtotal - Decimal("0.33")


def test_a_price_change_bills_what_was_metered_under_each_price(tariff: Tariff) -> None:
    lines = charges_of(*split_on_15_may(tariff), period=MAY).lines
    peak = [line for line in lines if "PUNTA" in line.item.name]
    assert [line.item.name for line in peak] == ["Wet season, PUNTA (A)", "Wet season, PUNTA (B)"]
    assert [line.item.quantity for line in peak] == [14 * 20, 17 * 20]


def test_a_price_change_can_bill_by_days_instead(tariff: Tariff) -> None:
    by_days = replace(tariff, energy_proration=EnergyProration.DAYS)
    lines = charges_of(*split_on_15_may(by_days), period=MAY).lines
    peak = [line.item for line in lines if "PUNTA" in line.item.name]
    assert [item.quantity for item in peak] == [31 * 20, 31 * 20]
    assert [item.share for item in peak] == [Fraction(14, 31), Fraction(17, 31)]


def test_a_version_without_days_in_the_period_bills_nothing(tariff: Tariff) -> None:
    first, second = split_on_15_may(tariff)
    late = Period(first_day=date(2026, 5, 15), last_day=date(2026, 5, 31))
    lines = charges_of(first, second, period=late).lines
    assert [line.item.code for line in lines].count("DISTRIBUTION") == 1


def test_a_missing_interval_is_never_rated(tariff: Tariff, season_change: Period) -> None:
    book = TariffBook(versions=(tariff,))
    (determinants,) = measure(plan_period(book, season_change), row_of((1,) * 191 + (None,)))
    with pytest.raises(InvalidValueError, match="a bill needs every interval"):
        rate(book, determinants)


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.integers(0, 2**31 - 1), min_size=192, max_size=192),
    mode=st.sampled_from(RoundingMode),
    places=st.integers(0, 6),
)
def test_the_total_is_the_sum_of_lines_each_rounded_once(
    values: list[int], mode: RoundingMode, places: int, tariff: Tariff, season_change: Period
) -> None:
    rule = Rounding(places=places, mode=mode)
    book = TariffBook(versions=(replace(tariff, rounding=rule),))
    (determinants,) = measure(plan_period(book, season_change), row_of(tuple(values)))
    charges = rate(book, determinants)
    assert charges.total == sum(rule.amount(line.item.exact) for line in charges.lines)
    assert sum(line.amount_micro for line in charges.lines) == Fraction(charges.total) * 10**6
