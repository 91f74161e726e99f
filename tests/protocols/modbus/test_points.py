"""Points: what a profile's line may say of a quantity."""

from typing import Any

import pytest

from quince.model.errors import InvalidValueError
from quince.model.obis import Obis
from quince.protocols.modbus.points import NumberType, Order, Part, Point, Table, unit_of

IMPORT = Obis(1, 0, 1, 8, 0)


def point(**fields: Any) -> Point:
    said: dict[str, Any] = {
        "obis": IMPORT,
        "address": 100,
        "table": Table.HOLDING,
        "type": NumberType.UINT32,
        "order": Order.ABCD,
        "unit": "kWh",
    }
    return Point(**(said | fields))


@pytest.mark.parametrize(
    ("obis", "unit"),
    [
        ("1-0:1.8.0", "Wh"),
        ("1-0:2.8.2", "Wh"),
        ("1-0:41.8.0", "Wh"),
        ("1-0:3.8.0", "varh"),
        ("1-0:68.8.0", "varh"),
        ("1-0:9.8.0", "VAh"),
        ("1-0:16.7.0", "W"),
        ("1-0:36.7.0", "W"),
        ("1-0:72.7.0", "V"),
        ("1-0:31.7.0", "A"),
        ("1-0:14.7.0", "Hz"),
        ("1-0:13.7.0", "1"),
    ],
)
def test_the_name_says_the_unit(obis: str, unit: str) -> None:
    assert unit_of(Obis.parse(obis)) == unit


@pytest.mark.parametrize("obis", ["1-0:1.29.0", "1-0:12.8.0", "1-0:0.7.0", "1-0:81.7.0"])
def test_what_is_neither_energy_nor_momentary_is_refused(obis: str) -> None:
    with pytest.raises(InvalidValueError, match=r"point\.obis"):
        unit_of(Obis.parse(obis))


def test_an_energy_is_told_at_scaler_0_and_a_momentary_value_in_thousandths() -> None:
    power = point(obis=Obis(1, 0, 16, 7, 0), unit="kW", scale=-1)
    assert (point(scale=-1).exponent, power.exponent) == (2, 5)
    assert (point().momentary, power.momentary) == (False, True)


@pytest.mark.parametrize(
    ("scale_register", "span"), [(None, (100, 102)), (97, (97, 102)), (110, (100, 111))]
)
def test_a_scale_register_belongs_to_what_is_read(
    scale_register: int | None, span: tuple[int, int]
) -> None:
    scaled = point(scale_register=scale_register)
    assert (scaled.begin, scaled.end) == span


def test_a_rollover_is_known_in_the_unit() -> None:
    assert point(scale=-2, rolls_over_at=2**32).modulus == 42_949_672_960
    assert point().modulus is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"address": -1}, "point.address"),
        ({"address": 65_535}, "point.address"),
        ({"unit": "kvarh"}, "point.unit"),
        ({"unit": "horses"}, "point.unit"),
        ({"scale": 10}, "point.scale"),
        ({"scale_register": 65_536}, "point.scale_register"),
        ({"scale_register": 101}, "point.scale_register"),
        ({"not_available": 2**32}, "point.not_available"),
        ({"not_available": -1}, "point.not_available"),
        ({"rolls_over_at": 0}, "point.rolls_over_at"),
        ({"rolls_over_at": 999, "scale": -5}, "point.rolls_over_at"),
        ({"rolls_over_at": 1000, "scale_register": 110}, "point.rolls_over_at"),
        (
            {"rolls_over_at": 1000, "obis": Obis(1, 0, 16, 7, 0), "unit": "W"},
            "point.rolls_over_at",
        ),
    ],
)
def test_a_point_that_cannot_be_names_its_field(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        point(**wrong)
    assert refused.value.field == field


def test_a_part_may_be_named() -> None:
    assert point(part=Part.NEGATIVE).part == "negative"
