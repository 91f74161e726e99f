"""Seven bits and even parity in software."""

from hypothesis import given, strategies as st

from quince.protocols.optical.line import DAMAGED, add_parity, check_parity, transmission_s


@given(st.binary(max_size=64).map(lambda octets: bytes(char & 0x7F for char in octets)))
def test_every_character_comes_back_from_the_line(characters: bytes) -> None:
    assert check_parity(add_parity(characters)) == characters


@given(st.integers(0, 127), st.integers(0, 7))
def test_one_flipped_bit_is_seen_as_damage(character: int, bit: int) -> None:
    (on_line,) = add_parity(bytes((character,)))
    assert check_parity(bytes((on_line ^ 1 << bit,))) == bytes((DAMAGED,))


def test_parity_is_even() -> None:
    assert add_parity(b"/?!") == bytes((0xAF, 0x3F, 0x21))


def test_960_characters_are_a_second_at_9600_baud() -> None:
    assert transmission_s(960, 9600) == 1.0
