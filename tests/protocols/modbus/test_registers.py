"""Registers to integers and back, in every type and order."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import Obis
from quince.protocols.modbus.points import NumberType, Order, Part, Point, Table
from quince.protocols.modbus.registers import decode, encode

INTEGERS = [number for number in NumberType if "int" in number]


def point(number: NumberType, order: Order = Order.ABCD, **fields: Any) -> Point:
    said: dict[str, Any] = {"obis": Obis(1, 0, 1, 8, 0), "unit": "Wh", "address": 0}
    return Point(table=Table.HOLDING, type=number, order=order, **(said | fields))


def there_and_back(one: Point, value: int | None, scale_factor: int = 0) -> int | None:
    registers = encode(one, value, scale_factor)
    return decode(one, [registers.get(address, 0) for address in range(one.begin, one.end)])


@given(st.sampled_from(INTEGERS), st.sampled_from(Order), st.integers(0, 2**15 - 1))
def test_an_integer_comes_back_exactly(number: NumberType, order: Order, value: int) -> None:
    assert there_and_back(point(number, order), value) == value


@given(st.integers(0, 2**63 - 1))
def test_the_whole_range_of_64_bits_comes_back_exactly(value: int) -> None:
    assert there_and_back(point(NumberType.INT64), value) == value


@given(st.sampled_from(NumberType), st.sampled_from(Order))
def test_not_available_comes_back_as_nothing(number: NumberType, order: Order) -> None:
    assert there_and_back(point(number, order), None) is None


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
    assert encode(point(NumberType.UINT32, order), 0x0A0B0C0D) == dict(enumerate(registers))


@pytest.mark.parametrize(
    ("unit", "scale", "value"),
    [("Wh", 0, 1234), ("kWh", 0, 1_234_000), ("kWh", -2, 12_340), ("MWh", -3, 1_234_000)],
)
def test_unit_and_scale_lead_to_scaler_0(unit: str, scale: int, value: int) -> None:
    assert decode(point(NumberType.UINT16, unit=unit, scale=scale), (1234,)) == value


def test_a_register_is_taken_down_to_the_whole_unit_it_has_gone_through() -> None:
    tenths = point(NumberType.UINT16, scale=-1)
    assert [decode(tenths, (raw,)) for raw in (119, 120, 129, 130)] == [11, 12, 12, 13]


def test_a_float_goes_to_the_nearest_unit() -> None:
    tenth = point(NumberType.FLOAT32, unit="kWh")  # 0.3 is 0.300000012, 0.7 is 0.699999988
    assert [there_and_back(tenth, value) for value in (300, 700)] == [300, 700]


def test_a_float_of_kilowatt_hours_loses_single_watt_hours_beyond_16_384() -> None:
    kilowatt_hours = point(NumberType.FLOAT32, unit="kWh")
    assert there_and_back(kilowatt_hours, 16_383_999) == 16_383_999
    assert there_and_back(kilowatt_hours, 21_562_501) == 21_562_502


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
    registers = data.draw(st.lists(st.integers(-1, 0x10000), min_size=1, max_size=6))
    asked = point(number, scale_register=data.draw(st.sampled_from([None, 4, 5])), unit="MWh")
    try:
        value = decode(asked, registers)
    except CodecError:
        return
    assert value is None or abs(value) < 2**63


POWER: dict[str, Any] = {"obis": Obis(1, 0, 16, 7, 0), "unit": "W"}


@given(st.integers(-(10**6), 10**6))
def test_a_momentary_value_comes_back_in_thousandths(watts: int) -> None:
    power = point(NumberType.INT32, **POWER)
    assert there_and_back(power, watts * 1000) == watts * 1000


@pytest.mark.parametrize(
    ("factor", "value"), [(0, 1234), (3, 1_234_000), (0xFFFF, 123), (10, 12_340_000_000_000)]
)
def test_a_scale_register_says_the_power_of_ten(factor: int, value: int) -> None:
    behind = point(NumberType.UINT16, address=5, scale_register=7)
    before = point(NumberType.UINT16, address=5, scale_register=4)
    assert decode(behind, (1234, 9, factor)) == value
    assert decode(before, (factor, 1234)) == value


@given(st.integers(0, 2**31), st.integers(-2, 3))
def test_a_scaled_value_comes_back_as_fine_as_its_scale(value: int, factor: int) -> None:
    scaled = point(NumberType.UINT64, scale_register=9)
    read = there_and_back(scaled, value, factor)
    assert read is not None
    assert 0 <= value - read < 10 ** max(factor, 0)


def test_no_scale_factor_is_no_value() -> None:
    assert decode(point(NumberType.UINT16, scale_register=1), (1234, 0x8000)) is None


@pytest.mark.parametrize("factor", [11, 0x7FFF, 0xFFF5, 0x8001])
def test_a_scale_factor_that_cannot_be_is_refused(factor: int) -> None:
    with pytest.raises(CodecError, match="scale factor"):
        decode(point(NumberType.UINT16, scale_register=1), (1234, factor))


def test_a_point_may_have_its_own_sign_for_not_available() -> None:
    signed = point(NumberType.INT32, not_available=0x7FFFFFFF)
    assert decode(signed, (0x7FFF, 0xFFFF)) is None
    assert decode(signed, (0x8000, 0x0000)) == -(2**31)
    assert there_and_back(signed, None) is None


@pytest.mark.parametrize(("part", "value"), [(Part.POSITIVE, None), (Part.NEGATIVE, 7)])
def test_a_counter_on_the_other_side_of_zero_is_neither_import_nor_export(
    part: Part, value: int | None
) -> None:
    assert decode(point(NumberType.INT16, part=part), (0x10000 - 7,)) == value


@pytest.mark.parametrize(("part", "value"), [(Part.POSITIVE, 0), (Part.NEGATIVE, 7000)])
def test_power_on_the_other_side_of_zero_is_none_of_this_side(part: Part, value: int) -> None:
    assert decode(point(NumberType.INT16, part=part, **POWER), (0x10000 - 7,)) == value


def test_a_part_is_said_with_its_sign() -> None:
    assert encode(point(NumberType.INT16, part=Part.NEGATIVE), 7) == {0: 0x10000 - 7}
