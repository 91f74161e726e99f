"""Walking SunSpec maps, those that meters have and those that they should not have."""

from collections.abc import Mapping

import pytest
from hypothesis import given, strategies as st

from quince.model.errors import CodecError
from quince.protocols.modbus.sunspec import (
    MARKER,
    MODELS_MAX,
    Common,
    Model,
    ModelWalk,
    parse_common,
)

COMMON = [1, 66, *([0] * 66)]
METER = [203, 105, *([0] * 105)]
END = [0xFFFF, 0]


def at(base: int, *words: int) -> dict[int, int]:
    return dict(enumerate(words, base))


def walked(registers: Mapping[int, int]) -> ModelWalk:
    walk = ModelWalk()
    while walk.address is not None:
        asked = (walk.address, walk.address + 1)
        there = all(address in registers for address in asked)
        walk.receive([registers[address] for address in asked] if there else None)
    return walk


@pytest.mark.parametrize("base", [40_000, 0, 50_000])
def test_a_map_is_found_at_each_of_the_three_addresses(base: int) -> None:
    walk = walked(at(base, *MARKER, *COMMON, *METER, *END))
    assert walk.models == [
        Model(number=1, address=base + 2, registers=68),
        Model(number=203, address=base + 70, registers=107),
    ]
    assert walk.find(203).address == base + 70


def test_a_model_that_is_not_there_is_refused_with_those_that_are() -> None:
    walk = walked(at(0, *MARKER, *COMMON, *METER, *END))
    with pytest.raises(CodecError, match="no SunSpec model 201; there are 1, 203"):
        walk.find(201)


def test_a_map_without_models_has_none() -> None:
    with pytest.raises(CodecError, match="there are none"):
        walked(at(0, *MARKER, *END)).find(1)


def test_no_mark_is_no_map() -> None:
    with pytest.raises(CodecError, match="no SunSpec map at 40000, 0, 50000"):
        walked(at(40_000, 0, 0))


def test_a_meter_that_leaves_the_end_mark_out_is_read_all_the_same() -> None:
    assert [model.number for model in walked(at(0, *MARKER, *COMMON, *METER)).models] == [1, 203]


def test_an_empty_model_is_passed_over() -> None:
    walk = walked(at(0, *MARKER, 15, 0, *METER, *END))
    assert [model.number for model in walk.models] == [15, 203]


def test_a_chain_without_an_end_is_refused() -> None:
    with pytest.raises(CodecError, match="without an end, 65 of them"):
        walked(at(0, *MARKER, *([7, 0] * (MODELS_MAX + 1))))


def test_a_model_beyond_the_address_space_is_refused() -> None:
    with pytest.raises(CodecError, match="without an end, 1 of them"):
        walked(at(50_000, *MARKER, 7, 15_531, 0))


def test_a_header_of_another_length_is_refused() -> None:
    with pytest.raises(CodecError, match="1 registers"):
        ModelWalk().receive([0x5375])


def test_a_walk_that_has_ended_takes_no_more() -> None:
    walk = walked(at(0, *MARKER, *END))
    with pytest.raises(CodecError, match="ended"):
        walk.receive(END)


WORDS = st.one_of(st.sampled_from([*MARKER, 1, 203, 0, 0xFFFF]), st.integers(0, 0xFFFF))


@given(st.lists(st.one_of(st.none(), st.lists(WORDS, min_size=1, max_size=3)), max_size=200))
def test_whatever_a_meter_answers_the_walk_ends(answers: list[list[int] | None]) -> None:
    walk, steps = ModelWalk(), 0
    try:
        for answer in answers:
            walk.receive(answer)
            steps += 1
    except CodecError:
        pass
    assert steps <= MODELS_MAX + 4


def words(text: str, registers: int) -> list[int]:
    octets = text.encode("latin-1").ljust(2 * registers, b"\0")
    return [int.from_bytes(octets[i : i + 2]) for i in range(0, len(octets), 2)]


def common(maker: str) -> list[int]:
    texts = [(maker, 16), ("M-1", 16), ("", 8), ("1.2", 8), ("S-77", 16)]
    return [1, 64, *(word for text, length in texts for word in words(text, length))]


def test_who_a_device_is_is_read_from_the_common_model() -> None:
    assert parse_common(common("Acme")) == Common(
        maker="Acme", model="M-1", version="1.2", serial="S-77"
    )


def test_a_name_of_all_its_registers_is_read_whole() -> None:
    assert parse_common(common("x" * 32)).maker == "x" * 32


def test_what_is_not_printable_is_no_part_of_a_name() -> None:
    assert parse_common(common("Ac\x07mé ")).maker == "Acm"


def test_a_common_model_too_short_for_its_texts_is_refused() -> None:
    with pytest.raises(CodecError, match="65 registers"):
        parse_common(common("Acme")[:-1])


@given(st.lists(st.integers(0, 0xFFFF), max_size=70))
def test_arbitrary_registers_name_somebody_or_raise_codec_error(registers: list[int]) -> None:
    try:
        named = parse_common(registers)
    except CodecError:
        assert len(registers) < 66
        return
    assert named.maker.isprintable()
