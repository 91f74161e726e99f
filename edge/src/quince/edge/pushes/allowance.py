"""How much of something is let through: a burst, and then so much a second."""


class Allowance:
    """A bucket of `burst` that fills again at `per_s` a second; time is the caller's."""

    def __init__(self, *, burst: int, per_s: float) -> None:
        """Begin full."""
        self._burst = burst
        self._per_s = per_s
        self._left = float(burst)
        self._at_s = 0.0

    def take(self, now_s: float) -> bool:
        """Take one if there is one; `now_s` is seconds of a clock that never goes back."""
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
