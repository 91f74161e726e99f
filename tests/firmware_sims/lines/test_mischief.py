"""What befalls an answer: each kind of mischief by itself."""

from random import Random

import pytest

from quince.firmware_sims.lines.mischief import Mischief, Mischiefs, Piece
from quince.model.errors import InvalidValueError

ANSWER, REQUEST = bytes(range(40)), b"request"


def befallen(*kinds, rate=1.0, seed=1):
    return Mischiefs(frozenset(kinds), Random(seed), rate=rate).befall(ANSWER, REQUEST)


def joined(pieces):
    return b"".join(piece.octets for piece in pieces)


def test_at_rate_zero_every_answer_arrives_whole():
    assert befallen(*Mischief, rate=0.0) == [Piece(octets=ANSWER)]


def test_one_bit_flips():
    differing = int.from_bytes(ANSWER, "big") ^ int.from_bytes(
        joined(befallen(Mischief.BIT_FLIP)), "big"
    )
    assert differing.bit_count() == 1


def test_a_truncated_answer_is_its_beginning():
    octets = joined(befallen(Mischief.TRUNCATION))
    assert len(octets) < len(ANSWER)
    assert ANSWER.startswith(octets)


def test_a_giant_length_overwrites_two_octets():
    octets = joined(befallen(Mischief.GIANT_LENGTH))
    assert b"\xff\xff" in octets
    assert len(octets) == len(ANSWER)


def test_a_slow_loris_sends_every_octet_alone_and_late():
    pieces = befallen(Mischief.SLOW_LORIS)
    assert [piece.octets for piece in pieces] == [bytes((octet,)) for octet in ANSWER]
    assert all(piece.pause_s > 0 for piece in pieces)


def test_noise_comes_before_the_answer():
    noise, answer = befallen(Mischief.NOISE)
    assert 1 <= len(noise.octets) <= 8
    assert answer.octets == ANSWER


def test_an_echo_brings_the_request_back():
    assert joined(befallen(Mischief.ECHO)) == REQUEST + ANSWER


def test_a_repetition_says_everything_twice():
    assert joined(befallen(Mischief.REPETITION)) == ANSWER + ANSWER


def test_silence_says_nothing():
    assert befallen(Mischief.SILENCE) == []


def test_a_dropped_line_ends_within_the_answer():
    (piece,) = befallen(Mischief.DROP)
    assert piece.last
    assert ANSWER.startswith(piece.octets)


def test_the_same_seed_does_the_same():
    assert befallen(*Mischief, rate=0.5, seed=7) == befallen(*Mischief, rate=0.5, seed=7)


def test_an_empty_answer_survives_everything():
    lines = [Mischiefs(frozenset({kind}), Random(3), rate=1.0) for kind in Mischief]
    assert all(isinstance(line.befall(b"", b""), list) for line in lines)


def test_a_rate_is_a_probability():
    with pytest.raises(InvalidValueError, match="rate"):
        Mischiefs(frozenset(), Random(1), rate=1.5)
