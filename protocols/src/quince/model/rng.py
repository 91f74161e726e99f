"""Randomness comes in through a port, so that a simulated day repeats from its seed."""

from typing import Protocol


class Rng(Protocol):
    """What random.Random and random.SystemRandom both offer."""

    def random(self) -> float:
        """Return a float in [0, 1)."""
        ...

    def getrandbits(self, k: int, /) -> int:
        """Return an integer of `k` random bits."""
        ...

    def randbytes(self, n: int, /) -> bytes:
        """Return `n` random octets."""
        ...
