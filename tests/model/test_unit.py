"""Energies come to scaler 0 exactly, and registers to whole units."""

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from quince.model.unit import whole_units


@pytest.mark.parametrize(
    ("number", "exponent", "whole"),
    [
        (Decimal("8048.375"), 3, 8_048_375),
        (Decimal("0.9999"), 3, 999),
        (Decimal("-0.1"), 0, -1),
        (12_345, -1, 1234),
        (-5, -1, -1),
        (12, 3, 12_000),
    ],
)
def test_a_number_is_taken_down_to_the_whole_unit(
    number: int | Decimal, exponent: int, whole: int
) -> None:
    assert whole_units(number, exponent) == whole


@given(st.integers(0, 10**12), st.integers(0, 10**9), st.integers(-6, 6))
def test_what_a_register_grows_by_adds_up(first: int, growth: int, exponent: int) -> None:
    middle, last = first + growth // 2, first + growth
    steps = (
        whole_units(middle, exponent) - whole_units(first, exponent),
        whole_units(last, exponent) - whole_units(middle, exponent),
    )
    assert sum(steps) == whole_units(last, exponent) - whole_units(first, exponent)
