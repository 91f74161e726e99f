from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from quince.billing.tariff.charges import EnergyPrice, Rounding, RoundingMode
from quince.model.errors import InvalidValueError


def rounding(mode: RoundingMode, places: int = 2) -> Rounding:
    return Rounding(places=places, mode=mode)


@pytest.mark.parametrize(
    ("exact", "half_up", "half_even"),
    [
        ("0.125", "0.13", "0.12"),
        ("0.135", "0.14", "0.14"),
        ("-0.125", "-0.13", "-0.12"),
        ("0.1249999999999999999999999999999999", "0.12", "0.12"),
        ("0.1250000000000000000000000000000001", "0.13", "0.13"),
        ("-0.001", "0.00", "0.00"),
        ("7", "7.00", "7.00"),
    ],
)
def test_a_tie_goes_where_the_tariff_says(exact: str, half_up: str, half_even: str) -> None:
    amount = Fraction(exact)
    assert str(rounding(RoundingMode.HALF_UP).amount(amount)) == half_up
    assert str(rounding(RoundingMode.HALF_EVEN).amount(amount)) == half_even


def test_thirty_digits_are_kept() -> None:
    exact = Fraction(10**30) + Fraction(1, 100)
    assert rounding(RoundingMode.HALF_UP).amount(exact) == Decimal(f"{10**32 + 1}e-2")


@given(
    exact=st.fractions(min_value=-(10**6), max_value=10**6),
    mode=st.sampled_from(RoundingMode),
    places=st.integers(0, 6),
)
def test_an_amount_is_nowhere_further_than_half_a_unit_and_credits_mirror_charges(
    exact: Fraction, mode: RoundingMode, places: int
) -> None:
    rule = rounding(mode, places)
    assert abs(Fraction(rule.amount(exact)) - exact) <= Fraction(1, 2 * 10**places)
    assert rule.amount(-exact) == -rule.amount(exact)


@pytest.mark.parametrize("price_micro", [-1, 10**12 + 1])
def test_a_price_that_is_none_is_refused(price_micro: int) -> None:
    with pytest.raises(InvalidValueError, match=r"energy\.price_micro_per_kwh"):
        EnergyPrice(season="DRY", block="PUNTA", price_micro_per_kwh=price_micro)
