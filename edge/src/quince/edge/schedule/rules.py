"""The wall-clock schedule and the coverage of quarter-hours, as pure functions.

Law: the next read is computed from the wall clock each time, never as now + period; what to read
is what no committed round has covered, so a restart, a dead link or a clock step needs no case.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from quince.model.interval import SLOTS_PER_DAY, STEP, STEP_S, IntervalSeries, floor_boundary

# Spreads a fleet's reads after the quarter-hour; meters need a few seconds for their row anyway.
JITTER_S_MAX = 120
# What a meter has not written an hour after its quarter-hour it will not write.
SETTLED_AFTER = timedelta(hours=1)
_DAY = timedelta(days=1)

# A UTC day's quarter-hours as bits, slot 0 lowest: set = read and committed to the outbox.
Coverage = Mapping[date, int]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open run of quarter-hours in UTC."""

    start_utc: datetime
    end_utc: datetime


def jitter_s(gateway: str) -> int:
    """Return the gateway's own delay after each quarter-hour: stable, 0..JITTER_S_MAX-1."""
    return int.from_bytes(hashlib.sha256(gateway.encode()).digest()[:4]) % JITTER_S_MAX


def next_boundary(now_utc: datetime) -> datetime:
    """Return the first quarter-hour after `now_utc`."""
    return floor_boundary(now_utc) + STEP


def window(now_utc: datetime, *, days: int, utc_offset_min: int) -> Span:
    """Return what is worth reading at `now_utc`: from local midnight `days` ago to the boundary."""
    today_utc = day_start(now_utc, utc_offset_min=utc_offset_min)
    return Span(today_utc - timedelta(days=days), floor_boundary(now_utc))


def day_start(moment_utc: datetime, *, utc_offset_min: int) -> datetime:
    """Return the latest local midnight at or before a moment; local = UTC + `utc_offset_min`."""
    offset = timedelta(minutes=utc_offset_min)
    return datetime.combine((moment_utc + offset).date(), time(), UTC) - offset


def is_covered(coverage: Coverage, start_utc: datetime) -> bool:
    """Whether the quarter-hour that begins at `start_utc` has been read."""
    day, slot = _slot(start_utc)
    return bool(coverage.get(day, 0) >> slot & 1)


def mark(series: IntervalSeries, *, settled_utc: datetime) -> dict[date, int]:
    """Return the coverage bits of what was read, by UTC day.

    A quarter-hour the meter had nothing for counts as read only if it ended by `settled_utc`:
    until then the meter may be late in writing its row.
    """
    bits: dict[date, int] = {}
    for index, value in enumerate(series.values):
        start_utc = series.start_utc + index * STEP
        if value is not None or start_utc + STEP <= settled_utc:
            day, slot = _slot(start_utc)
            bits[day] = bits.get(day, 0) | 1 << slot
    return bits


def uncovered(coverage: Coverage, whole: Span, *, utc_offset_min: int) -> list[Span]:
    """Return what of `whole` no round has covered: newest local day first, in order within it.

    Each span lies within one of the meter's local days, so that a day's registers at both its
    midnights are read and its energy can be checked; local = UTC + `utc_offset_min`.
    """
    spans: list[Span] = []
    day_utc = day_start(whole.end_utc - STEP, utc_offset_min=utc_offset_min)
    while day_utc + _DAY > whole.start_utc:
        start_utc, end_utc = max(day_utc, whole.start_utc), min(day_utc + _DAY, whole.end_utc)
        spans += _gaps(coverage, start_utc, (end_utc - start_utc) // STEP)
        day_utc -= _DAY
    return spans


def _gaps(coverage: Coverage, start_utc: datetime, count: int) -> Iterator[Span]:
    """Yield what is not covered of a day or less, a run of bits at a time: a year has 35,000."""
    day, slot = _slot(start_utc)
    covered = coverage.get(day, 0) >> slot | coverage.get(day + _DAY, 0) << SLOTS_PER_DAY - slot
    missing = ~covered & (1 << count) - 1
    while missing:
        begin = _trailing_zeros(missing)
        end = begin + _trailing_zeros(~(missing >> begin))
        yield Span(start_utc + begin * STEP, start_utc + end * STEP)
        missing &= -1 << end


def _trailing_zeros(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _slot(moment_utc: datetime) -> tuple[date, int]:
    seconds = int(moment_utc.timestamp())
    day = datetime.fromtimestamp(seconds - seconds % 86_400, UTC).date()
    return day, seconds % 86_400 // STEP_S
