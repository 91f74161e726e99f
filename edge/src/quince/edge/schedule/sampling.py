"""Intervals from meters that keep no profile: two register samples, one at each border.

Law: a border without a sample makes the interval missing; nothing is stretched over it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

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


def interval_between(before: Sample | None, after: Sample) -> IntervalSeries | None:
    """Return the interval two neighbouring samples enclose, None where they enclose none.

    A register that went backwards (exchange, reset, rollover) or leapt encloses none either.
    """
    if before is None or before.boundary_utc + STEP != after.boundary_utc:
        return None
    energy = after.reading.value - before.reading.value
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
