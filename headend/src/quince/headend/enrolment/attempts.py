"""How often someone may be refused in a minute, by network address; memory is bounded.

Tokens cannot be guessed; this keeps guessing from costing anything.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from quince.headend.errors import TooManyAttemptsError

REFUSALS_MAX = 10  # a technician who mistypes is done by then
WINDOW_S = 60.0
PEERS_MAX = 1_024  # the longest unheard is forgotten: who has more addresses gains little by them


class Attempts:
    """The refusals of the last minute."""

    def __init__(self) -> None:
        self._refused_s: OrderedDict[str, deque[float]] = OrderedDict()

    @contextmanager
    def attempt(self, peer: str, now_s: float) -> Iterator[None]:
        """Count what raises as a refusal; TooManyAttemptsError if there were many.

        It counts from its beginning, so that a thousand at once are a thousand.
        """
        refused_s = self._of(peer)
        if len(refused_s) == REFUSALS_MAX and now_s - refused_s[0] < WINDOW_S:
            raise TooManyAttemptsError(f"refused {REFUSALS_MAX} times within {WINDOW_S:.0f} s")
        refused_s.append(now_s)
        yield
        if refused_s:
            refused_s.pop()

    def _of(self, peer: str) -> deque[float]:
        refused_s = self._refused_s.setdefault(peer, deque(maxlen=REFUSALS_MAX))
        self._refused_s.move_to_end(peer)
        if len(self._refused_s) > PEERS_MAX:
            self._refused_s.popitem(last=False)
        return refused_s
