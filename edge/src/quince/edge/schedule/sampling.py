"""Intervals from meters that keep no profile: two register samples, one at each border.

Law: a border without a sample makes the interval missing; nothing is stretched over it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from quince.edge.schedule.instant import Instant
from quince.model.interval import (
    ENERGY_MAX,
    STEP,
    IntervalSeries,
    RegisterReading,
    require_boundary,
)
from quince.model.obis import interval_channel
from quince.model.quality import Quality

# A sample this late still tells its quarter-hour, and says so; later than that it tells nothing.
SKEW_FLAGGED = timedelta(seconds=5)
SKEW_MAX = timedelta(seconds=60)
# Only a thousandth of what a register counts in all may pass by a rollover in a quarter-hour: a
# register that was set to 0 while it was far from its end has not rolled over.
_ROLLOVER_PARTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A register as read for a quarter-hour, with its true moment inside the reading."""

    boundary_utc: datetime
    reading: RegisterReading

    def __post_init__(self) -> None:
        require_boundary("boundary_utc", self.boundary_utc)

    @property
    def skew(self) -> timedelta:
        """How long after the border the register was really read."""
        return self.reading.at_utc - self.boundary_utc

    @property
    def timely(self) -> bool:
        """Whether the sample may stand for its border at all."""
        return timedelta(0) <= self.skew <= SKEW_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTaken:
    """When a meter was sampled, on both clocks, in which start of the machine, and how."""

    boot: str
    measured_as: str
    instant: Instant


def interval_between(
    before: Sample | None, after: Sample, *, rolls_over_at: int | None
) -> IntervalSeries | None:
    """Return the interval two neighbouring samples enclose, None where they enclose none.

    A register that went backwards (exchange, reset) or leapt encloses none either. One that is
    known to begin again at `rolls_over_at` may have done so between the two.
    """
    if before is None or before.boundary_utc + STEP != after.boundary_utc:
        return None
    energy = _growth(before.reading.value, after.reading.value, rolls_over_at)
    if not 0 <= energy <= ENERGY_MAX:
        return None
    late = max(before.skew, after.skew) > SKEW_FLAGGED
    return IntervalSeries(
        meter_id=after.reading.meter_id,
        obis=interval_channel(after.reading.obis),
        start_utc=before.boundary_utc,
        values=(energy,),
        quality=(Quality.SAMPLED_LATE if late else Quality.GOOD,),
    )


def _growth(before: int, after: int, rolls_over_at: int | None) -> int:
    """Return by how much a register grew; below zero if it went backwards."""
    if rolls_over_at is None or not after < before < rolls_over_at:
        return after - before
    rolled_over = after + rolls_over_at - before
    return rolled_over if rolled_over * _ROLLOVER_PARTS <= rolls_over_at else after - before
