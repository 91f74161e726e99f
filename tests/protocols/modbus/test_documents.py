"""Modbus profiles from TOML."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from quince.model.errors import InvalidValueError
from quince.model.obis import Obis
from quince.protocols.modbus.documents import parse_profile
from quince.protocols.modbus.points import NumberType, Order, Part, Table
from quince.protocols.modbus.profiles import Match, TransformerSide
from quince.protocols.modbus.quality import Rule, Status

HEAD = """
name = "A meter"
hole_max = 2
block_max = 60
gap_ms = 20
transformer_side = "secondary"

[source]
addresses = "its manual"
licence = "none"

[match]
table = "holding"
address = 11
values = [45, 46]

[quality]
registers_checked = "done"
sign_checked = { status = "todo", comment = "no meter at hand" }
rollover_known = { status = "exempt", comment = "its counters outlast it" }
simulated = "done"
read_from_real_meter = { status = "done", comment = "on 1 May" }
"""
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
PROFILE = HEAD + POINT
EXTENDING = HEAD.replace("hole_max = 2\nblock_max = 60\ngap_ms = 20\n", 'extends = "a_meter"\n')
EXTENDING = EXTENDING.replace('transformer_side = "secondary"\n', "").replace("A meter", "Another")


def family(name: str) -> str:
    return {"a_meter": PROFILE, "a_circle": 'extends = "a_circle"\n' + PROFILE}[name]


def test_a_profile_is_read() -> None:
    profile = parse_profile(PROFILE)
    (point,) = profile.points
    assert (profile.name, profile.hole_max, profile.block_max) == ("A meter", 2, 60)
    assert (profile.gap_ms, profile.transformer_side) == (20, TransformerSide.SECONDARY)
    assert profile.match == Match(table=Table.HOLDING, address=11, values=(45, 46))
    assert profile.quality[Rule.SIGN_CHECKED].status is Status.TODO
    assert (point.obis, point.address, point.end) == (Obis(1, 0, 1, 8, 0), 3203, 3207)
    assert (point.table, point.type, point.order) == (Table.HOLDING, NumberType.INT64, Order.ABCD)
    assert point.exponent == 2


def test_without_a_word_no_hole_is_crossed_and_the_protocol_bounds_the_block() -> None:
    profile = parse_profile(PROFILE.replace("hole_max = 2\nblock_max = 60\ngap_ms = 20\n", ""))
    assert (profile.hole_max, profile.block_max, profile.gap_ms) == (0, 125, 0)


def test_a_default_is_said_once_and_a_point_may_say_otherwise() -> None:
    profile = parse_profile(
        HEAD
        + """
[defaults]
table = "input"
type = "uint32"
order = "CDAB"
unit = "Wh"
rolls_over_at = 100_000_000

[[points]]
obis = "1-0:1.8.0"
address = 10

[[points]]
obis = "1-0:2.8.0"
address = 12
type = "int32"
part = "negative"
"""
    )
    first, second = profile.points
    assert (first.table, first.type, first.modulus) == (Table.INPUT, NumberType.UINT32, 10**8)
    assert (second.order, second.type, second.part) == (
        Order.CDAB,
        NumberType.INT32,
        Part.NEGATIVE,
    )


def test_a_scale_register_and_a_sign_for_nothing_are_read() -> None:
    (point,) = parse_profile(PROFILE + "scale_register = 3210\nnot_available = 0x0\n").points
    assert (point.scale_register, point.not_available, point.end) == (3210, 0, 3211)


def test_a_profile_extends_another_by_points_and_limits() -> None:
    profile = parse_profile(
        EXTENDING + POINT.replace("1.8.0", "2.8.0").replace("3203", "3207"), family
    )
    assert [point.address for point in profile.points] == [3203, 3207]
    assert (profile.name, profile.hole_max, profile.gap_ms) == ("Another", 2, 20)
    assert profile.transformer_side is TransformerSide.SECONDARY


def test_a_point_said_again_takes_the_inherited_ones_place() -> None:
    (point,) = parse_profile(EXTENDING + POINT.replace("3203", "4000"), family).points
    assert point.address == 4000


def test_a_profile_may_extend_another_by_its_name_alone() -> None:
    assert [point.address for point in parse_profile(EXTENDING, family).points] == [3203]


def test_what_was_proven_is_not_inherited() -> None:
    without = EXTENDING.replace('simulated = "done"\n', "")
    with pytest.raises(InvalidValueError, match=r"quality = 'simulated'"):
        parse_profile(without, family)


def test_a_circle_ends() -> None:
    with pytest.raises(InvalidValueError, match="4 generations at most"):
        parse_profile('extends = "a_circle"\n' + PROFILE, family)


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
        ("gap_ms = 20", "gap_ms = 1001", "gap_ms"),
        ("gap_ms = 20", 'extends = "a_meter"', "profile.extends"),
        ("gap_ms = 20", 'extends = "../a_meter"', "profile.extends"),
        ("gap_ms = 20", "sunspec_model = 103", "sunspec_model"),
        ("gap_ms = 20", "sunspec_model = 203", "points"),
        ('"secondary"', '"tertiary"', "profile.transformer_side"),
        ('licence = "none"', "", "source.licence"),
        ('licence = "none"', 'licence = ""', "source.licence"),
        ('licence = "none"', 'licence = "none"\npage = 3', "source.page"),
        ("values = [45, 46]", "values = []", "match.values"),
        ("values = [45, 46]", "values = [65536]", "match.values"),
        ("values = [45, 46]", 'values = ["45"]', "match.values"),
        ("address = 11", "address = 65536", "match.address"),
        ('simulated = "done"', "", "quality"),
        ('simulated = "done"', 'simulated = "well"', "quality.simulated.status"),
        ('simulated = "done"', 'simulated = "todo"', "quality.comment"),
        ('simulated = "done"', 'simulates = "done"', "quality.simulates"),
        ("on 1 May", "x" * 301, "quality.comment"),
        ("3203", "65533", "point.address"),
        ("3203", "-1", "point.address"),
        ("3203", '"3203"', "point.address"),
        ('table = "holding"\ntype', 'table = "coil"\ntype', "point.table"),
        ("int64", "int48", "point.type"),
        ("ABCD", "ACBD", "point.order"),
        ('unit = "kWh"', 'unit = "V"', "point.unit"),
        ("scale = -1", "scale = 10", "point.scale"),
        ("scale = -1", "sign = 1", "point.sign"),
        ("scale = -1", 'part = "both"', "point.part"),
        ("1-0:1.8.0", "1.8.0", "obis"),
        ("1-0:1.8.0", "1-0:1.29.0", "point.obis"),
        (POINT, "", "profile.points"),
        (POINT, "[defaults]\naddress = 3\n" + POINT, "defaults.address"),
        (POINT, POINT + POINT, "point.obis"),
        ("[[points]]", "[[points", "profile"),
    ],
)
def test_a_mistake_names_its_field(right: str, wrong: str, field: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_profile(PROFILE.replace(right, wrong))
    assert caught.value.field == field


@pytest.mark.parametrize("points", ["points = []", "points = [1]", "points = 3"])
def test_points_that_are_none_are_refused(points: str) -> None:
    with pytest.raises(InvalidValueError, match="points"):
        parse_profile(points + HEAD)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 10_000,
        "name = " + "9" * 5_000,
        "name = 0x" + "f" * 10_000,
        f"name = [0x{'f' * 10_000}]",
        HEAD.replace("values = [45, 46]", f"values = [0x{'f' * 10_000}]") + POINT,
        "#" * 65_537,
    ],
    ids=["nested", "digits", "a long number", "in an array", "in a match", "a long text"],
)
def test_a_hostile_document_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        parse_profile(text)
    assert len(str(refused.value)) < 300


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.booleans().map(str).map(str.lower),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.text("abc-:.*0189", max_size=8).map(lambda text: f'"{text}"'),
    st.sampled_from(["[]", "{}", "[[1]]", "{ status = 1 }", '"done"', '"holding"', "1979-05-27"]),
)
KEYS = st.sampled_from(
    [line.split(" = ")[0] for line in PROFILE.splitlines() if " = " in line]
    + ["extends", "sunspec_model", "defaults.scale", "source.from_memory", "part", "scale_register"]
)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=4))
def test_arbitrary_documents_raise_invalid_value_error_and_nothing_else(
    lines: list[tuple[str, str]],
) -> None:
    text = "\n".join(f"{key} = {value}" for key, value in lines)
    with pytest.raises(InvalidValueError):
        parse_profile(text + POINT)


@given(st.sampled_from(range(PROFILE.count("\n"))), VALUES)
def test_one_wrong_line_raises_invalid_value_error_or_is_no_mistake(line: int, value: str) -> None:
    lines = PROFILE.splitlines()
    lines[line] = f"{lines[line].split(' = ')[0]} = {value}"
    try:
        profile = parse_profile("\n".join(lines))
    except InvalidValueError:
        return
    assert profile.points
