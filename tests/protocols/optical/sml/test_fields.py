"""SML fields: rendered and parsed back, bounded, refused when they are none."""

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.optical.sml import fields
from quince.protocols.optical.sml.fields import DEPTH_MAX, Field, field_list, parse_fields

Pair = tuple[bytes, Field]  # a rendered field, and what it is
LEAVES: st.SearchStrategy[Pair] = st.one_of(
    st.binary(max_size=300).map(lambda octets: (fields.octet_string(octets), octets)),
    st.booleans().map(lambda value: (fields.boolean(value=value), value)),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: (fields.signed(value, 8), value)),
    st.integers(0, 2**24 - 1).map(lambda value: (fields.unsigned(value, 3), value)),
    st.just((fields.END_OF_MESSAGE, None)),
)


def as_list(pairs: list[Pair]) -> Pair:
    return field_list(octets for octets, _ in pairs), tuple(value for _, value in pairs)


TREES = st.recursive(LEAVES, lambda trees: st.lists(trees, max_size=20).map(as_list))


@given(st.lists(TREES, max_size=4))
def test_fields_come_back_from_their_octets(pairs: list[Pair]) -> None:
    assert parse_fields(b"".join(octets for octets, _ in pairs)) == [value for _, value in pairs]


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.text("vwqpbc\x01\x00\x82", max_size=60).map(str.encode))
def test_arbitrary_octets_raise_codec_error_and_nothing_else(octets: bytes) -> None:
    try:
        found = parse_fields(octets)
    except CodecError:
        return
    assert len(found) <= len(octets)


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        ("0b0a01484c59020003a91b", bytes.fromhex("0a01484c59020003a91b")),
        ("01", b""),
        ("52ff", -1),
        ("6365c4", 26_052),
        ("5600092 47a55".replace(" ", ""), 153_385_557),
        ("4201", True),
        ("7262016200", (1, 0)),
        ("8302" + "00" * 48, bytes(48)),
    ],
)
def test_fields_of_recorded_meters_are_read(octets: str, value: Field) -> None:
    assert parse_fields(bytes.fromhex(octets)) == [value]


@pytest.mark.parametrize(
    "octets",
    ["72", "7f00", "0b01", "61", "4302", "6a" + "00" * 9, "22ff", "80", "8080808001", "8f7f", "f2"],
)
def test_what_is_no_field_is_refused(octets: str) -> None:
    with pytest.raises(CodecError):
        parse_fields(bytes.fromhex(octets))


def test_lists_nest_to_a_bound() -> None:
    assert parse_fields(b"\x71" * DEPTH_MAX + b"\x01") != []
    with pytest.raises(CodecError, match="depth"):
        parse_fields(b"\x71" * (DEPTH_MAX + 1) + b"\x01")


def test_an_integer_that_does_not_fit_is_not_rendered() -> None:
    with pytest.raises(InvalidValueError, match="does not fit"):
        fields.unsigned(256, 1)


def test_a_field_too_long_for_its_head_is_not_rendered() -> None:
    with pytest.raises(InvalidValueError, match="too long"):
        fields.octet_string(bytes(5000))
