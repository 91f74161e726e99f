"""Rows read as columns: never otherwise than value by value."""

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError
from quince.protocols.dlms.encoding.axdr import (
    NULL,
    Data,
    array,
    compact_array,
    decode,
    encode,
    octet_string,
    structure,
)
from quince.protocols.dlms.encoding.columns import COLUMNS_MAX, Rows, decode_rows
from quince.protocols.dlms.encoding.tags import Tag

TIME = bytes.fromhex("07e90303010600000001680 0".replace(" ", ""))
THREE_ROWS = [
    structure(octet_string(TIME), Data(Tag.UINT8, n), Data(Tag.INT32, -n)) for n in range(3)
]


def _decoded(data: Data) -> Rows:
    rows = decode_rows(encode(data))
    assert rows is not None
    return rows


@pytest.mark.parametrize("make", [array, compact_array], ids=["array", "compact array"])
def test_three_rows_are_three_columns(make: type) -> None:
    rows = _decoded(make(THREE_ROWS))
    times, status, energy = rows.columns
    assert (rows.count, times.tag, times.width) == (3, Tag.OCTET_STRING, 12)
    assert times.as_octets() == (TIME, TIME, TIME)
    assert times.octet(3) == b"\x03\x03\x03"
    assert status.as_ints() == (0, 1, 2)
    assert energy.as_ints() == (0, -1, -2)


def test_a_column_of_another_kind_is_not_taken_for_one() -> None:
    times, status, _ = _decoded(array(THREE_ROWS)).columns
    (ratio,) = _decoded(array([structure(Data(Tag.FLOAT32, 0.5))])).columns
    for column in (times, ratio):
        with pytest.raises(CodecError):
            column.as_ints()
    with pytest.raises(CodecError):
        status.as_octets()


_SHAPES = {
    "integers of another size": structure(
        octet_string(TIME), Data(Tag.UINT8, 1), Data(Tag.INT16, 1)
    ),
    "a null": structure(NULL, Data(Tag.UINT8, 1), Data(Tag.INT32, 1)),
    "a longer string": structure(
        octet_string(b"\x00" + TIME), Data(Tag.UINT8, 1), Data(Tag.INT32, 1)
    ),
    "another tag of the same size": structure(
        octet_string(TIME), Data(Tag.UINT8, 1), Data(Tag.UINT32, 1)
    ),
    "one column more": structure(*THREE_ROWS[0].as_items(), NULL),
    "no row": Data(Tag.UINT32, 1),
}


@pytest.mark.parametrize("name", _SHAPES)
def test_one_row_of_another_shape_is_left_to_be_read_value_by_value(name: str) -> None:
    assert decode_rows(encode(array([*THREE_ROWS, _SHAPES[name]]))) is None
    assert decode_rows(encode(array([_SHAPES[name], *THREE_ROWS]))) is None


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "01",
        "0100",
        "06 00000001",
        "0101 0601020304",
        "0101 0200",
        "0101 0201 63",
        "0101 0201 0101 1101",
        "0101 0201 04 08 ff",
        "0102 0201 1101 0201 11",
        "0101 0201 1101 00",
        "0184 ffffffff 0201 1101",
        "13 11 02 0102",
        "13 0201 00 00",
        "13 0201 12 03 000102",
        "13 0201 12 02 0001 00",
        "13 0201 12 03 0001",
        "13 0201 63 01 00",
    ],
)
def test_what_is_no_array_of_flat_rows_is_left_alone(octets: str) -> None:
    assert decode_rows(bytes.fromhex(octets)) is None


def test_rows_wider_than_any_profile_are_left_alone() -> None:
    row = structure(*[Data(Tag.UINT8, 1)] * (COLUMNS_MAX + 1))
    assert decode_rows(encode(array([row]))) is None
    assert decode_rows(encode(compact_array([row]))) is None


def _numbers(tag: Tag, low: int, high: int) -> st.SearchStrategy[Data]:
    return st.integers(low, high).map(lambda value: Data(tag, value))


_KINDS = [
    st.just(NULL),
    st.just(Data(Tag.DONT_CARE)),
    st.booleans().map(lambda value: Data(Tag.BOOLEAN, value)),
    _numbers(Tag.UINT8, 0, 255),
    _numbers(Tag.INT16, -(2**15), 2**15 - 1),
    _numbers(Tag.UINT32, 0, 2**32 - 1),
    _numbers(Tag.INT64, -(2**63), 2**63 - 1),
    _numbers(Tag.DELTA_UINT16, 0, 2**16 - 1),
    st.floats(allow_nan=False).map(lambda value: Data(Tag.FLOAT64, value)),
    st.binary(min_size=3, max_size=3).map(octet_string),
    st.binary(min_size=200, max_size=200).map(lambda octets: Data(Tag.VISIBLE_STRING, octets)),
    st.binary(min_size=12, max_size=12).map(lambda octets: Data(Tag.DATE_TIME, octets)),
]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(_KINDS), min_size=1, max_size=5), st.data(), st.integers(1, 5))
def test_columns_hold_what_the_rows_held(
    kinds: list[st.SearchStrategy[Data]], draw: st.DataObject, count: int
) -> None:
    rows = [structure(*[draw.draw(kind) for kind in kinds]) for _ in range(count)]
    read = _decoded(array(rows))
    values = [column.values() for column in read.columns]
    assert [structure(*row) for row in zip(*values, strict=True)] == rows


# Rows of four octets and one of three: some lists of them are alike, some only look so.
_ROWS = ["02011105", "02011106", "02011605", "02010901", "02020011", "020100"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(_ROWS), min_size=1, max_size=4), st.integers(0, 5))
def test_whatever_is_read_as_columns_is_read_the_same_value_by_value(
    rows: list[str], count: int
) -> None:
    octets = bytes((Tag.ARRAY, count)) + bytes.fromhex("".join(rows))
    read = decode_rows(octets)
    columns = () if read is None else tuple(column.values() for column in read.columns)
    again = [structure(*row) for row in zip(*columns, strict=True)]
    assert again == [] or decode(octets) == array(again)


@settings(max_examples=300)
@given(st.sampled_from([b"\x01\x02\x02\x01", b"\x13\x02\x01", b"\x01"]), st.binary(max_size=40))
def test_arbitrary_octets_are_rows_or_none(door: bytes, octets: bytes) -> None:
    read = decode_rows(door + octets)
    assert read is None or read.count > 0


def test_a_column_of_nulls_has_no_octets() -> None:
    (column,) = _decoded(array([structure(NULL)] * 4)).columns
    assert column.values() == (NULL,) * 4
    assert column.octets == b""
    with pytest.raises(CodecError):
        column.octet(0)
