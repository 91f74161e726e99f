"""A loop whose clock leaps over every wait, so that a day takes as long as what happens in it."""

import asyncio
import math
import selectors
from typing import Any

_TICK_S = 1e-6  # what a datetime can tell apart
_TURNS_MAX = 100_000  # of the loop in one second: whoever needs more hardly lets time pass


class SleepForeverError(Exception):
    """Everybody waits for somebody else."""


class SpinningError(Exception):
    """Somebody asks again and again and lets no time pass: on a gateway, a processor at 100 %."""


class _Leaps(selectors.SelectSelector):
    """Waits for nothing and nobody: it says how much later it is now."""

    now_s = 0.0
    _turns = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Leap to the end of the wait, and never by nothing: waiting always takes time."""
        if timeout is None:
            raise SleepForeverError("nothing is left that could happen")
        self._turns += 1
        if self._turns > _TURNS_MAX:
            raise SpinningError(f"no time passes after {self.now_s} s")
        if timeout > 0:
            before_s, after_s = self.now_s, math.ceil((self.now_s + timeout) / _TICK_S) * _TICK_S
            # A wait too short for a float to tell would else be waited for ever.
            self.now_s = after_s if after_s > before_s else before_s + _TICK_S
            if int(before_s) != int(self.now_s):
                self._turns = 0
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, which begins at 0; it knows no sockets and no threads."""

    def __init__(self) -> None:
        self._leaps = _Leaps()
        super().__init__(self._leaps)

    def time(self) -> float:
        """Return the virtual seconds."""
        return self._leaps.now_s
