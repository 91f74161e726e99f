"""Rows of intervals and a plan in, determinants out: exact integers, no money."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from quince.billing.determinants.kernel import (
    COLUMNS,
    ENERGY,
    MISSING,
    PEAK,
    PEAK_SLOT,
    measure_rows,
)
from quince.billing.determinants.plan import Bucket, DayShare, Plan
from quince.billing.tariff.period import Period
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP

_MISSING_WH = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The highest quarter-hour, the first of equals."""

    energy_wh: int
    start_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketTotals:
    """What one bucket holds; `peak` is None where every slot is missing."""

    bucket: Bucket
    energy_wh: int
    peak: Peak | None
    slots: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Determinants:
    """What one meter's channel did in a period."""

    period: Period
    day_shares: tuple[DayShare, ...]
    totals: tuple[BucketTotals, ...]

    @property
    def missing(self) -> int:
        """How many intervals are missing."""
        return sum(each.missing for each in self.totals)


def row_of(values: tuple[int | None, ...]) -> npt.NDArray[np.int32]:
    """Return one channel's intervals (Wh, None = missing) as one row for `measure`."""
    return np.array([[_MISSING_WH if wh is None else wh for wh in values]], dtype=np.int32)


def measure(plan: Plan, rows: npt.NDArray[np.int32]) -> tuple[Determinants, ...]:
    """Return each row's determinants; a row holds the plan's slots in Wh, negative = missing.

    InvalidValueError when rows are not as long as the plan.
    """
    if rows.shape[1:] != (plan.slots,):
        raise InvalidValueError("rows", rows.shape, f"rows of {plan.slots} slots")
    totals = np.empty((rows.shape[0], len(plan.buckets), COLUMNS), np.int64)
    totals[:] = (0, 0, -1, -1)
    measure_rows(rows, plan.edges, plan.bucket_of_run, totals)
    return tuple(
        Determinants(
            period=plan.period,
            day_shares=plan.day_shares,
            totals=tuple(
                _bucket_totals(plan, n, [int(number) for number in columns])
                for n, columns in enumerate(row)
            ),
        )
        for row in totals
    )


def _bucket_totals(plan: Plan, n: int, columns: list[int]) -> BucketTotals:
    slot = columns[PEAK_SLOT]
    peak = Peak(energy_wh=columns[PEAK], start_utc=plan.start_utc + slot * STEP)
    return BucketTotals(
        bucket=plan.buckets[n],
        energy_wh=columns[ENERGY],
        peak=None if slot < 0 else peak,
        slots=plan.slots_of_bucket[n],
        missing=columns[MISSING],
    )
