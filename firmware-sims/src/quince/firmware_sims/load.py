"""What every simulated meter measures: a household's consumption, and whether the supply is on.

Law: energy is an integer of Wh, the same for every meter that asks about the same household at
the same moment, and it only grows.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random

from quince.model.errors import InvalidValueError
from quince.model.interval import SLOTS_PER_DAY, STEP, STEP_S, require_utc

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
# The pattern repeats after four weeks, so that any moment of any year is one division away.
_PATTERN_SLOTS = 28 * SLOTS_PER_DAY
_STEP_US = STEP_S * 1_000_000
# Percent of the household's base at each full local hour: a low night, a morning, an evening peak.
_HOURLY_PERCENT = (
    *(45, 40, 38, 37, 40, 60, 95, 110, 95, 85, 80, 85),
    *(100, 95, 85, 80, 85, 110, 170, 220, 215, 180, 120, 70),
)
_VARIATION_PERCENT = 25
# When rate 1 of a two-rate tariff is in force, in full local hours; rate 2 is the rest.
_PEAK_HOURS = range(6, 22)


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """A household that uses about `base_wh` in a quarter-hour, by a daily curve of local time.

    The variation around the curve comes from `seed`. `utc_offset_min` is the local time's offset
    from UTC in minutes, east positive, a multiple of 15.
    """

    seed: int
    base_wh: int = 100
    utc_offset_min: int = -360
    _cumulative_wh: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _cumulative_peak_wh: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.base_wh <= 1_000_000:  # noqa: PLR2004 - 4 MW is no household
            raise InvalidValueError("household.base_wh", self.base_wh, "0..1000000")
        if self.utc_offset_min % 15 or abs(self.utc_offset_min) > 14 * 60:
            raise InvalidValueError(
                "household.utc_offset_min", self.utc_offset_min, "a multiple of 15 within ±840"
            )
        pattern = tuple(_pattern_wh(Random(self.seed), self.base_wh))  # noqa: S311 - a simulation
        peak = (wh if _hour(slot) in _PEAK_HOURS else 0 for slot, wh in enumerate(pattern))
        object.__setattr__(self, "_cumulative_wh", tuple(accumulate(pattern, initial=0)))
        object.__setattr__(self, "_cumulative_peak_wh", tuple(accumulate(peak, initial=0)))

    def register_wh(self, at_utc: datetime) -> int:
        """Return the Wh drawn since 2020-01-01 local time; grows linearly within a slot."""
        return self._drawn_wh(self._cumulative_wh, at_utc)

    def peak_wh(self, at_utc: datetime) -> int:
        """Return how much of it was drawn from 6 to 22 local time, as rate 1 of a tariff counts."""
        return self._drawn_wh(self._cumulative_peak_wh, at_utc)

    def _drawn_wh(self, cumulative_wh: tuple[int, ...], at_utc: datetime) -> int:
        local = require_utc("at_utc", at_utc) + timedelta(minutes=self.utc_offset_min)
        slot, inside_us = divmod((local - _EPOCH) // timedelta(microseconds=1), _STEP_US)
        if slot < 0:
            raise InvalidValueError("at_utc", at_utc.isoformat(), "the household began in 2020")
        cycle, index = divmod(slot, _PATTERN_SLOTS)
        begun_wh, ended_wh = cumulative_wh[index : index + 2]
        partial_wh = (ended_wh - begun_wh) * inside_us // _STEP_US
        return cycle * cumulative_wh[-1] + begun_wh + partial_wh

    def interval_wh(self, start_utc: datetime) -> int:
        """Return the Wh drawn in the quarter-hour that begins at `start_utc`."""
        return self.register_wh(start_utc + STEP) - self.register_wh(start_utc)


def _pattern_wh(rng: Random, base_wh: int) -> Iterable[int]:
    for slot in range(_PATTERN_SLOTS):
        hour, quarter = _hour(slot), slot % 4
        now, later = _HOURLY_PERCENT[hour], _HOURLY_PERCENT[(hour + 1) % 24]
        percent = now + (later - now) * quarter // 4
        variation = rng.randint(100 - _VARIATION_PERCENT, 100 + _VARIATION_PERCENT)
        yield base_wh * percent * variation // 10_000


def _hour(slot: int) -> int:
    return slot % SLOTS_PER_DAY // 4


class Supply:
    """Whether the premise is served: by the mains, and through the meter's own switch.

    Outages are half-open, [from, to), in order, and do not touch; so are the times switched off,
    the last of which may still last.
    """

    def __init__(self, outages: Iterable[tuple[datetime, datetime]] = ()) -> None:
        self.outages: list[tuple[datetime, datetime]] = []
        self._switched_off: list[tuple[datetime, datetime]] = []
        self._off_since_utc: datetime | None = None
        for from_utc, to_utc in outages:
            self.cut(from_utc, to_utc)

    def cut(self, from_utc: datetime, to_utc: datetime) -> None:
        """Add an outage after all others; InvalidValueError if it is empty or out of order."""
        require_utc("to_utc", to_utc)
        if not require_utc("from_utc", from_utc) < to_utc:
            raise InvalidValueError("outage.to_utc", to_utc.isoformat(), "must be after its start")
        if self.outages and from_utc <= self.outages[-1][1]:
            raise InvalidValueError("outage.from_utc", from_utc.isoformat(), "must be in order")
        self.outages.append((from_utc, to_utc))

    def is_on(self, at_utc: datetime) -> bool:
        """Return whether the mains is on at `at_utc`."""
        return not any(from_utc <= at_utc < to_utc for from_utc, to_utc in self.outages)

    def next_cut(self, at_utc: datetime) -> datetime | None:
        """Return when the mains next goes off after `at_utc`, as far as is known."""
        return next((from_utc for from_utc, _ in self.outages if from_utc > at_utc), None)

    def was_cut(self, from_utc: datetime, to_utc: datetime) -> bool:
        """Return whether the mains was off at any moment of [from_utc, to_utc)."""
        return any(begin < to_utc and end > from_utc for begin, end in self.outages)

    # -- the switch ----------------------------------------------------------------------

    def is_switched_off(self, at_utc: datetime) -> bool:
        """Return whether the meter's switch keeps the premise from the mains at `at_utc`."""
        if self._off_since_utc is not None and self._off_since_utc <= at_utc:
            return True
        return any(from_utc <= at_utc < to_utc for from_utc, to_utc in self._switched_off)

    def switch_off(self, at_utc: datetime) -> None:
        """Open the switch, if it is not open."""
        if self._off_since_utc is None:
            self._off_since_utc = require_utc("at_utc", at_utc)

    def switch_on(self, at_utc: datetime) -> None:
        """Close the switch, if it is not closed."""
        if self._off_since_utc is not None and self._off_since_utc < at_utc:
            self._switched_off.append((self._off_since_utc, at_utc))
        self._off_since_utc = None

    def unserved(self, until_utc: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Give the times before `until_utc` in which nothing was drawn, in order, none twice."""
        lasting = [] if self._off_since_utc is None else [(self._off_since_utc, until_utc)]
        done_utc = _EPOCH - timedelta(days=1)
        for from_utc, to_utc in sorted((*self.outages, *self._switched_off, *lasting)):
            begin_utc, end_utc = max(from_utc, done_utc), min(to_utc, until_utc)
            if begin_utc < end_utc:
                yield begin_utc, end_utc
                done_utc = end_utc


def served(total: Callable[[datetime], int], supply: Supply, at_utc: datetime) -> int:
    """Return what a running `total` came to, less what it grew by while nothing was drawn."""
    unserved = (total(end) - total(begin) for begin, end in supply.unserved(at_utc))
    return total(at_utc) - sum(unserved)


def metered_wh(household: Household, supply: Supply, at_utc: datetime) -> int:
    """Return the active-import register: what the household would draw, less the dark times."""
    return served(household.register_wh, supply, at_utc)
