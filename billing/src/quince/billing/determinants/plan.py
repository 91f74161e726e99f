"""The plan of a period: each UTC quarter-hour's bucket, by local time.

Law: local time is asked of zoneinfo per quarter-hour, so days of 92, 96 and 100 are all right.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import groupby
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import TariffBook
from quince.model.interval import STEP, require_boundary


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Bucket:
    """Where energy is counted: a price version (its place in the book), a season, a block."""

    version: int
    season: str
    block: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayShare:
    """The period's days under one price version in one season.

    `months` counts each as its part of its own calendar month: 1/28, 1/29, 1/30 or 1/31.
    """

    version: int
    season: str
    days: int
    months: Fraction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """A period cut into runs of quarter-hours of one bucket each.

    Run i is the slots [edges[i], edges[i + 1]) and belongs to buckets[bucket_of_run[i]];
    slot s is the interval that starts at start_utc + s × 15 minutes. `slots_of_bucket` says
    how many slots each bucket has.
    """

    period: Period
    start_utc: datetime
    slots: int
    buckets: tuple[Bucket, ...]
    slots_of_bucket: tuple[int, ...]
    edges: npt.NDArray[np.int32]
    bucket_of_run: npt.NDArray[np.int32]
    day_shares: tuple[DayShare, ...]

    @property
    def end_utc(self) -> datetime:
        """The end of the last slot, exclusive."""
        return self.start_utc + self.slots * STEP


def plan_period(book: TariffBook, period: Period) -> Plan:
    """Return the plan of a period.

    InvalidValueError where no tariff version covers a day, or where local midnight is on no
    quarter-hour of UTC (no zone has done that since 1972).
    """
    zone = ZoneInfo(book.terms.zone)
    start_utc = _midnight_utc(period.first_day, zone)
    end_utc = _midnight_utc(period.last_day + timedelta(days=1), zone)
    runs = [
        (bucket, len(tuple(slots)))
        for bucket, slots in groupby(_bucket_of_slots(book, start_utc, end_utc, zone))
    ]
    buckets = tuple(sorted({bucket for bucket, _ in runs}))
    return Plan(
        period=period,
        start_utc=start_utc,
        slots=sum(length for _, length in runs),
        buckets=buckets,
        slots_of_bucket=tuple(sum(n for b, n in runs if b == bucket) for bucket in buckets),
        edges=np.cumsum([0, *(length for _, length in runs)], dtype=np.int32),
        bucket_of_run=np.array([buckets.index(bucket) for bucket, _ in runs], dtype=np.int32),
        day_shares=_day_shares(book, period),
    )


def _midnight_utc(day: date, zone: ZoneInfo) -> datetime:
    """Return the day's first moment; where clocks skip midnight, that is the end of the skip."""
    midnight = datetime.combine(day, time(), zone).astimezone(UTC)
    return require_boundary("midnight", midnight)


def _bucket_of_slots(
    book: TariffBook, start_utc: datetime, end_utc: datetime, zone: ZoneInfo
) -> Iterator[Bucket]:
    moment = start_utc
    day_buckets: dict[date, tuple[Bucket, ...]] = {}
    while moment < end_utc:
        local = moment.astimezone(zone)
        day = local.date()
        if day not in day_buckets:
            day_buckets[day] = _buckets_of_day(book, day)
        yield day_buckets[day][local.hour * 4 + local.minute // 15]
        moment += STEP


def _buckets_of_day(book: TariffBook, day: date) -> tuple[Bucket, ...]:
    version = book.index_on(day)
    calendar = book.versions[version].calendar
    season = calendar.season_of(day).code
    return tuple(
        Bucket(version=version, season=season, block=block) for block in calendar.blocks_of(day)
    )


def _day_shares(book: TariffBook, period: Period) -> tuple[DayShare, ...]:
    days: dict[tuple[int, str], list[Fraction]] = {}
    for day in period:
        version = book.index_on(day)
        season = book.versions[version].calendar.season_of(day).code
        part = Fraction(1, monthrange(day.year, day.month)[1])
        days.setdefault((version, season), []).append(part)
    return tuple(
        DayShare(version=version, season=season, days=len(parts), months=sum(parts, Fraction(0)))
        for (version, season), parts in days.items()
    )
