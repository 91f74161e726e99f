"""Totals out of tariffs, where every tariff is known."""

from quince.model.obis import Obis
from quince.protocols.optical.registers import with_totals


def register(quantity: int, tariff: int) -> Obis:
    return Obis(1, 0, quantity, 8, tariff)


def test_two_tariffs_have_a_total() -> None:
    registers = {register(1, 1): 34, register(1, 2): 15_758}
    assert with_totals(registers) == {**registers, register(1, 0): 15_792}


def test_a_total_that_is_shown_is_left_alone() -> None:
    registers = {register(1, 0): 16_786_000, register(1, 1): 4000, register(1, 2): 16_781_000}
    assert with_totals(registers) == registers


def test_one_tariff_alone_tells_no_total() -> None:
    registers = {register(2, 1): 114_427_402}
    assert with_totals(registers) == registers


def test_a_tariff_that_is_missing_in_between_leaves_no_total() -> None:
    registers = {register(1, 1): 1, register(1, 3): 2}
    assert with_totals(registers) == registers


def test_quantities_and_channels_are_not_mixed() -> None:
    registers = {register(1, 1): 1, register(2, 2): 2, Obis(1, 1, 1, 8, 2): 3}
    assert with_totals(registers) == registers
