"""What may befall an answer on its way: pure, and the same for the same seed.

An answer becomes pieces with pauses before them; a piece that says so is the last one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from quince.model.errors import InvalidValueError
from quince.model.rng import Rng

# A pause that outlasts no reader's patience on its own, but adds up.
LORIS_PAUSE_S = 0.2
_GIANT = b"\xff\xff"
_NOISE_OCTETS_MAX = 8


class Mischief(StrEnum):
    """One kind each; a line may have several."""

    BIT_FLIP = "bit_flip"
    TRUNCATION = "truncation"
    GIANT_LENGTH = "giant_length"
    SLOW_LORIS = "slow_loris"
    NOISE = "noise"
    ECHO = "echo"
    REPETITION = "repetition"
    SILENCE = "silence"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Octets that arrive after a pause; behind the last one the line is closed."""

    octets: bytes
    pause_s: float = 0.0
    last: bool = False


class Mischiefs:
    """Does its kinds of mischief to each answer, each with probability `rate` on its own."""

    def __init__(self, kinds: frozenset[Mischief], rng: Rng, *, rate: float) -> None:
        if not 0 <= rate <= 1:
            raise InvalidValueError("rate", rate, "a probability")
        self._kinds = sorted(kinds)
        self._rng = rng
        self._rate = rate

    def befall(self, answer: bytes, request: bytes) -> list[Piece]:
        """Return what the reader gets instead of `answer` to `request`."""
        pieces = [Piece(octets=answer)]
        for kind in self._kinds:
            if self._rng.random() < self._rate:
                pieces = _DEEDS[kind](pieces, request, self._rng)
        return pieces


def _flip(pieces: list[Piece], _request: bytes, rng: Rng) -> list[Piece]:
    octets = bytearray(_joined(pieces))
    if octets:
        at = rng.getrandbits(32) % (8 * len(octets))
        octets[at // 8] ^= 1 << at % 8
    return [Piece(octets=bytes(octets))]


def _truncate(pieces: list[Piece], _request: bytes, rng: Rng) -> list[Piece]:
    octets = _joined(pieces)
    return [Piece(octets=octets[: rng.getrandbits(32) % (len(octets) + 1)])]


def _swell(pieces: list[Piece], _request: bytes, rng: Rng) -> list[Piece]:
    """Write the largest number there is over two octets: sooner or later it hits a length."""
    octets = bytearray(_joined(pieces))
    at = rng.getrandbits(32) % max(1, len(octets) - 1)
    octets[at : at + len(_GIANT)] = _GIANT
    return [Piece(octets=bytes(octets))]


def _crawl(pieces: list[Piece], _request: bytes, _rng: Rng) -> list[Piece]:
    return [Piece(octets=bytes((octet,)), pause_s=LORIS_PAUSE_S) for octet in _joined(pieces)]


def _rustle(pieces: list[Piece], _request: bytes, rng: Rng) -> list[Piece]:
    return [Piece(octets=rng.randbytes(1 + rng.getrandbits(8) % _NOISE_OCTETS_MAX)), *pieces]


def _echo(pieces: list[Piece], request: bytes, _rng: Rng) -> list[Piece]:
    return [Piece(octets=request), *pieces]


def _repeat(pieces: list[Piece], _request: bytes, _rng: Rng) -> list[Piece]:
    return [*pieces, *pieces]


def _swallow(_pieces: list[Piece], _request: bytes, _rng: Rng) -> list[Piece]:
    return []


def _drop(pieces: list[Piece], _request: bytes, rng: Rng) -> list[Piece]:
    octets = _joined(pieces)
    return [Piece(octets=octets[: rng.getrandbits(32) % (len(octets) + 1)], last=True)]


def _joined(pieces: list[Piece]) -> bytes:
    return b"".join(piece.octets for piece in pieces)


_DEEDS: dict[Mischief, Callable[[list[Piece], bytes, Rng], list[Piece]]] = {
    Mischief.BIT_FLIP: _flip,
    Mischief.TRUNCATION: _truncate,
    Mischief.GIANT_LENGTH: _swell,
    Mischief.SLOW_LORIS: _crawl,
    Mischief.NOISE: _rustle,
    Mischief.ECHO: _echo,
    Mischief.REPETITION: _repeat,
    Mischief.SILENCE: _swallow,
    Mischief.DROP: _drop,
}
