"""Registers to integers at scaler 0 and back, in every type and order."""

import pytest
from hypothesis import given, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import Obis
from quince.protocols.modbus.profiles import NumberType, Order, Point, Table
from quince.protocols.modbus.registers import decode, encode

INTEGERS = [number for number in NumberType if "int" in number]


def point(number: NumberType, order: Order = Order.ABCD, unit: str = "Wh", scale: int = 0) -> Point:
    return Point(
        obis=Obis(1, 0, 1, 8, 0),
        address=0,
        table=Table.HOLDING,
        type=number,
        order=order,
        unit=unit,
        scale=scale,
    )


@given(st.sampled_from(INTEGERS), st.sampled_from(Order), st.integers(0, 2**15 - 1))
def test_an_integer_comes_back_exactly(number: NumberType, order: Order, value: int) -> None:
    assert decode(point(number, order), encode(point(number, order), value)) == value


@given(st.integers(0, 2**63 - 1))
def test_the_whole_range_of_64_bits_comes_back_exactly(value: int) -> None:
    assert decode(point(NumberType.INT64), encode(point(NumberType.INT64), value)) == value


@given(st.sampled_from(NumberType), st.sampled_from(Order))
def test_not_available_comes_back_as_nothing(number: NumberType, order: Order) -> None:
    assert decode(point(number, order), encode(point(number, order), None)) is None


@pytest.mark.parametrize(
    ("order", "registers"),
    [
        (Order.ABCD, (0x0A0B, 0x0C0D)),
        (Order.CDAB, (0x0C0D, 0x0A0B)),
        (Order.BADC, (0x0B0A, 0x0D0C)),
        (Order.DCBA, (0x0D0C, 0x0B0A)),
    ],
)
def test_the_letters_tell_the_order_of_the_octets(order: Order, registers: tuple[int, int]) -> None:
    assert decode(point(NumberType.UINT32, order), registers) == 0x0A0B0C0D
    assert encode(point(NumberType.UINT32, order), 0x0A0B0C0D) == registers


@pytest.mark.parametrize(
    ("unit", "scale", "value"),
    [("Wh", 0, 1234), ("kWh", 0, 1_234_000), ("kWh", -2, 12_340), ("MWh", -3, 1_234_000)],
)
def test_unit_and_scale_lead_to_scaler_0(unit: str, scale: int, value: int) -> None:
    assert decode(point(NumberType.UINT16, Order.ABCD, unit, scale), (1234,)) == value


def test_what_is_finer_than_the_unit_is_rounded_half_to_even() -> None:
    tenths = point(NumberType.UINT16, scale=-1)
    assert [decode(tenths, (raw,)) for raw in (124, 125, 135, 136)] == [12, 12, 14, 14]


def test_a_float_of_kilowatt_hours_loses_single_watt_hours_beyond_16_384() -> None:
    kilowatt_hours = point(NumberType.FLOAT32, unit="kWh")
    assert decode(kilowatt_hours, encode(kilowatt_hours, 16_383_999)) == 16_383_999
    assert decode(kilowatt_hours, encode(kilowatt_hours, 21_562_501)) == 21_562_502


def test_a_register_below_zero_is_told_as_it_is() -> None:
    assert decode(point(NumberType.INT16), (0xFFFF,)) == -1


@pytest.mark.parametrize(
    ("number", "registers"),
    [
        (NumberType.FLOAT32, (0x7F80, 0)),
        (NumberType.FLOAT64, (0x7FE0, 0, 0, 0)),
        (NumberType.UINT64, (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE)),
        (NumberType.UINT32, (0,)),
        (NumberType.UINT16, (0x1_0000,)),
    ],
)
def test_what_is_no_value_is_refused(number: NumberType, registers: tuple[int, ...]) -> None:
    with pytest.raises(CodecError):
        decode(point(number), registers)


@pytest.mark.parametrize("number", [NumberType.UINT16, NumberType.FLOAT32])
def test_a_value_the_registers_do_not_hold_is_refused(number: NumberType) -> None:
    with pytest.raises(InvalidValueError, match="beyond"):
        encode(point(number), 10**40)


@given(st.sampled_from(NumberType), st.data())
def test_arbitrary_registers_raise_codec_error_and_nothing_else(
    number: NumberType, data: st.DataObject
) -> None:
    registers = data.draw(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=4))
    try:
        value = decode(point(number), registers)
    except CodecError:
        return
    assert value is None or abs(value) < 2**63
