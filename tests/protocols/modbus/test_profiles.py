"""Modbus profiles from TOML."""

import pytest

from quince.model.errors import InvalidValueError
from quince.model.obis import Obis
from quince.protocols.modbus.profiles import NumberType, Order, Table, parse_profile

POINT = """
[[points]]
obis = "1-0:1.8.0"
address = 3203
table = "holding"
type = "int64"
order = "ABCD"
unit = "kWh"
scale = -1
"""
PROFILE = 'name = "A meter"\nhole_max = 2\nblock_max = 60\n' + POINT


def test_a_profile_is_read() -> None:
    profile = parse_profile(PROFILE)
    (point,) = profile.points
    assert (profile.name, profile.hole_max, profile.block_max) == ("A meter", 2, 60)
    assert (point.obis, point.address, point.end) == (Obis(1, 0, 1, 8, 0), 3203, 3207)
    assert (point.table, point.type, point.order) == (Table.HOLDING, NumberType.INT64, Order.ABCD)
    assert point.exponent == 2


def test_without_a_word_no_hole_is_crossed_and_the_protocol_bounds_the_block() -> None:
    profile = parse_profile('name = "A meter"\n' + POINT)
    assert (profile.hole_max, profile.block_max) == (0, 125)


@pytest.mark.parametrize(
    ("right", "wrong", "field"),
    [
        ('name = "A meter"', "", "profile.name"),
        ('name = "A meter"', 'name = ""', "name"),
        ("hole_max = 2", "hole_max = -1", "hole_max"),
        ("hole_max = 2", "hole_max = true", "profile.hole_max"),
        ("block_max = 60", "block_max = 126", "block_max"),
        ("block_max = 60", "block_max = 3", "block_max"),
        ("block_max = 60", "block_maximum = 60", "profile.block_maximum"),
        ("3203", "65533", "point.address"),
        ("3203", "-1", "point.address"),
        ("3203", '"3203"', "point.address"),
        ("holding", "coil", "point.table"),
        ("int64", "int48", "point.type"),
        ("ABCD", "ACBD", "point.order"),
        ('unit = "kWh"', 'unit = "V"', "point.unit"),
        ("scale = -1", "scale = 10", "point.scale"),
        ("scale = -1", "sign = 1", "point.sign"),
        ("1-0:1.8.0", "1.8.0", "obis"),
        (POINT, "points = []", "points"),
        (POINT, "points = [1]", "points"),
        (POINT, POINT + POINT, "point.obis"),
        ("[[points]]", "[[points", "profile"),
    ],
)
def test_a_mistake_names_its_field(right: str, wrong: str, field: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_profile(PROFILE.replace(right, wrong))
    assert caught.value.field == field
