import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.encoding.axdr import (
    DEPTH_MAX,
    OBJECTS_MAX,
    Data,
    Encoded,
    array,
    compact_array,
    decode,
    encode,
    encoded_array,
    octet_string,
    read_data,
    structure,
)
from quince.protocols.dlms.encoding.reader import Reader
from quince.protocols.dlms.encoding.tags import Tag


def _integers(tag: Tag, bits: int, *, signed: bool) -> st.SearchStrategy[Data]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high).map(lambda value: Data(tag, value))


_PLAIN = st.one_of(
    st.just(Data(Tag.NULL)),
    st.just(Data(Tag.DONT_CARE)),
    _integers(Tag.DELTA_INT8, 8, signed=True),
    _integers(Tag.DELTA_INT16, 16, signed=True),
    _integers(Tag.DELTA_INT32, 32, signed=True),
    _integers(Tag.DELTA_UINT8, 8, signed=False),
    _integers(Tag.DELTA_UINT16, 16, signed=False),
    _integers(Tag.DELTA_UINT32, 32, signed=False),
    st.booleans().map(lambda value: Data(Tag.BOOLEAN, value)),
    st.lists(st.booleans(), max_size=20).map(lambda bits: Data(Tag.BIT_STRING, tuple(bits))),
    _integers(Tag.INT8, 8, signed=True),
    _integers(Tag.INT16, 16, signed=True),
    _integers(Tag.INT32, 32, signed=True),
    _integers(Tag.INT64, 64, signed=True),
    _integers(Tag.UINT8, 8, signed=False),
    _integers(Tag.UINT16, 16, signed=False),
    _integers(Tag.UINT32, 32, signed=False),
    _integers(Tag.UINT64, 64, signed=False),
    _integers(Tag.ENUM, 8, signed=False),
    _integers(Tag.BCD, 8, signed=False),
    st.floats(width=32, allow_nan=False).map(lambda value: Data(Tag.FLOAT32, value)),
    st.floats(allow_nan=False).map(lambda value: Data(Tag.FLOAT64, value)),
    st.binary(max_size=300).map(octet_string),
    st.binary(max_size=20).map(lambda octets: Data(Tag.VISIBLE_STRING, octets)),
    st.binary(max_size=20).map(lambda octets: Data(Tag.UTF8_STRING, octets)),
    st.binary(min_size=12, max_size=12).map(lambda octets: Data(Tag.DATE_TIME, octets)),
    st.binary(min_size=5, max_size=5).map(lambda octets: Data(Tag.DATE, octets)),
    st.binary(min_size=4, max_size=4).map(lambda octets: Data(Tag.TIME, octets)),
)
_ROWS = st.tuples(st.integers(0, 255), st.binary(max_size=9), st.tuples(st.booleans())).map(
    lambda row: structure(
        Data(Tag.UINT8, row[0]),
        octet_string(row[1]),
        array([Data(Tag.BIT_STRING, row[2]), Data(Tag.BIT_STRING, ())]),
    )
)
_DATA = st.recursive(
    _PLAIN | st.lists(_ROWS, max_size=4).map(compact_array),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(array),
        st.lists(inner, max_size=4).map(lambda items: structure(*items)),
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(_DATA)
def test_every_value_is_read_as_it_was_written(data: Data) -> None:
    assert decode(encode(data)) == data


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_octets_that_are_read_are_written_to_what_is_read_the_same(octets: bytes) -> None:
    try:
        data = decode(octets)
    except CodecError:
        return
    again = decode(encode(data))
    assert encode(again) == encode(data)


def test_an_octet_string_of_200_octets_has_a_long_length() -> None:
    assert encode(octet_string(bytes(200)))[:3] == bytes.fromhex("0981c8")
    assert decode(encode(octet_string(bytes(200)))) == octet_string(bytes(200))


def test_an_octet_string_of_300_octets_has_a_longer_length() -> None:
    assert encode(octet_string(bytes(300)))[:4] == bytes.fromhex("0982012c")
    assert decode(encode(octet_string(bytes(300)))) == octet_string(bytes(300))


def test_bits_are_read_from_the_highest() -> None:
    assert decode(bytes.fromhex("0403a0")) == Data(Tag.BIT_STRING, (True, False, True))


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "01",
        "0600",
        "0984ffffffff",
        "0985ffffffffff",
        "0980",
        "0184ffffffff00",
        "017b130201ff03",
        "0f0000",
        "63",
        "0201",
    ],
)
def test_octets_that_hung_other_decoders_are_refused(octets: str) -> None:
    with pytest.raises(CodecError):
        decode(bytes.fromhex(octets))


def test_nesting_ends_at_its_bound() -> None:
    deepest = bytes.fromhex("0201") * (DEPTH_MAX - 1) + b"\x00"
    assert decode(deepest).tag is Tag.STRUCTURE
    with pytest.raises(CodecError):
        decode(bytes.fromhex("0201") + deepest)


def test_the_number_of_values_ends_at_its_bound() -> None:
    nulls = bytes(OBJECTS_MAX - 1)
    assert len(decode(bytes.fromhex("0182ffff") + nulls).as_items()) == OBJECTS_MAX - 1
    with pytest.raises(CodecError):
        decode(bytes.fromhex("0183010000") + nulls + b"\x00")


def test_a_value_that_does_not_fit_its_type_is_not_written() -> None:
    with pytest.raises(InvalidValueError):
        encode(Data(Tag.UINT8, 256))
    with pytest.raises(InvalidValueError):
        encode(Data(Tag.DATE_TIME, b"short"))


def test_a_float_too_large_for_its_four_octets_is_not_written() -> None:
    with pytest.raises(InvalidValueError):
        encode(Data(Tag.FLOAT32, 1e300))


def test_a_value_of_another_type_is_not_taken_for_an_integer() -> None:
    with pytest.raises(CodecError):
        Data(Tag.BOOLEAN, value=True).as_int()
    with pytest.raises(CodecError):
        Data(Tag.UINT8, 1).as_octets()
    with pytest.raises(CodecError):
        octet_string(b"").as_items()
    with pytest.raises(CodecError):
        structure(Data(Tag.NULL)).as_items(2)


def test_a_list_of_values_makes_no_more_than_one_value_may() -> None:
    """Each says in 11 octets that it holds 65,000 nulls: 255 of them would be gigabytes."""
    reader = Reader(bytes.fromhex("13 02 02 01fde8 00 11 01 05") * 2)
    assert len(read_data(reader).as_items()) == 1
    with pytest.raises(CodecError, match="more than"):
        read_data(reader)


# -- compact arrays ------------------------------------------------------------------------

# Two rows of a long-unsigned and a string: the shape once, then the contents in a row.
COMPACT = bytes.fromhex("13 0202 12 09 0a 0001 0201ff 0002 0203ee")
ROWS = tuple(
    structure(Data(Tag.UINT16, n), octet_string(octets))
    for n, octets in ((1, b"\x01\xff"), (2, b"\x03\xee"))
)


def test_a_compact_array_says_its_shape_once() -> None:
    assert decode(COMPACT) == compact_array(ROWS)
    assert encode(compact_array(ROWS)) == COMPACT
    assert decode(COMPACT).as_items(2) == ROWS


def test_an_array_in_a_compact_array_is_counted_in_the_shape() -> None:
    octets = bytes.fromhex("13 01 0003 11 06 010203 040506")
    one, two = decode(octets).as_items()
    assert one == array([Data(Tag.UINT8, n) for n in (1, 2, 3)])
    assert encode(compact_array([one, two])) == octets


def test_a_compact_array_of_nothing_is_empty() -> None:
    assert decode(bytes.fromhex("13 11 00")) == compact_array(())
    assert decode(encode(compact_array(()))) == compact_array(())


@pytest.mark.parametrize(
    "octets",
    [
        "13",
        "13 63 00",
        "13 13 11 00 00",
        "13 11 05 0102",
        "13 12 03 000102",
        "13 00 01 00",
        "13 0200 01 00",
        "13 01 0000 11 01 00",
        "13 01 ffff 00 01 00",
        "13 01 ffff 01 ffff 00 01 00",
        "13 0284 ffffffff 11",
        "13 09 03 05 0102",
        "0202 13 12 03 000102 1105",
    ],
)
def test_a_crooked_compact_array_is_refused(octets: str) -> None:
    with pytest.raises(CodecError):
        decode(bytes.fromhex(octets))


def test_a_shape_is_nested_no_deeper_than_values_are() -> None:
    with pytest.raises(CodecError):
        decode(b"\x13" + bytes.fromhex("0201") * DEPTH_MAX + bytes.fromhex("11 01 00"))


def test_a_compact_array_makes_no_more_values_than_others() -> None:
    with pytest.raises(CodecError):
        decode(bytes.fromhex("13 11 83 010000") + bytes(OBJECTS_MAX))


@pytest.mark.parametrize(
    "items",
    [
        (Data(Tag.UINT8, 1), Data(Tag.UINT16, 1)),
        (Data(Tag.NULL), Data(Tag.NULL)),
        (array([Data(Tag.UINT8, 1)]), array([])),
        (array([Data(Tag.UINT8, 1), Data(Tag.UINT16, 1)]),),
        (compact_array(()),),
    ],
    ids=["two shapes", "no octets", "an empty array", "two shapes within", "another"],
)
def test_what_has_no_one_shape_is_not_written_as_a_compact_array(items: tuple[Data, ...]) -> None:
    with pytest.raises(InvalidValueError):
        encode(compact_array(items))


def test_a_value_kept_as_octets_is_written_and_read_as_it_is() -> None:
    kept = Encoded(COMPACT)
    assert (encode(kept), kept.decode()) == (COMPACT, compact_array(ROWS))


def test_rows_that_are_kept_as_octets_make_an_array() -> None:
    assert encoded_array([encode(row) for row in ROWS]).decode() == array(ROWS)
    assert encoded_array([]).decode() == array(())
