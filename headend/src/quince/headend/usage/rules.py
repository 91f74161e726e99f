"""Local days, what is missing of them, whether their energy agrees with the register.

Law: a missing interval is missing, never zero; a day that cannot be judged is unknown.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from quince.headend.intervals.rules import EMPTY
from quince.model.interval import STEP
from quince.model.obis import Obis
from quince.model.quality import Quality

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A half-open stretch of time."""

    start_utc: datetime
    end_utc: datetime


class Conservation(StrEnum):
    """Whether the intervals of a day add up to what the register grew by."""

    CONSERVED = "conserved"
    NOT_CONSERVED = "not_conserved"
    UNKNOWN = "unknown"


def local_day(day: date, zone: ZoneInfo) -> Span:
    """Return a local day in UTC: 23, 24 or 25 hours."""
    start, end = (
        datetime.combine(midnight, time(), zone).astimezone(UTC) for midnight in (day, day + _DAY)
    )
    return Span(start_utc=start, end_utc=end)


def missing_spans(
    start_utc: datetime, present: Sequence[bool], until_utc: datetime
) -> tuple[Span, ...]:
    """Return the stretches of absent intervals that ended at or before `until_utc`.

    An interval that is not over yet is not missing.
    """
    spans: list[Span] = []
    for i, is_present in enumerate(present):
        start, end = start_utc + i * STEP, start_utc + (i + 1) * STEP
        if is_present or end > until_utc:
            continue
        if spans and spans[-1].end_utc == start:
            start = spans.pop().start_utc
        spans.append(Span(start_utc=start, end_utc=end))
    return tuple(spans)


def judge_conservation(
    *, energy: int, complete: bool, before: Sequence[int], after: Sequence[int]
) -> Conservation:
    """Compare a day's energy with the register's values at its two borders, in the same unit.

    Unknown where a border has no value or two, or where intervals are missing and what there is
    does not exceed the growth. A register that went backwards conserves nothing.
    """
    if len(before) != 1 or len(after) != 1:
        return Conservation.UNKNOWN
    growth = after[0] - before[0]
    if energy > growth or (complete and energy != growth):
        return Conservation.NOT_CONSERVED
    return Conservation.CONSERVED if complete else Conservation.UNKNOWN


def vector_sha256(
    *,
    meter_id: str,
    obis: Obis,
    start_utc: datetime,
    values: Sequence[int | None],
    quality: Sequence[Quality],
) -> str:
    """Return the fingerprint of a series: whose, from when, every value and quality octet.

    Layout: the line `quince-series-1 <obis> <start> <count> <meter>`, then count little-endian
    int32 with -2^31 for a missing value, then count quality octets.
    """
    head = f"quince-series-1 {obis} {start_utc.isoformat()} {len(values)} {meter_id}\n"
    packed = b"".join(
        (EMPTY if value is None else value).to_bytes(4, "little", signed=True) for value in values
    )
    return hashlib.sha256(head.encode() + packed + bytes(quality)).hexdigest()
