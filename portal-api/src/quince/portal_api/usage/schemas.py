"""Usage as the API shows it: start, duration, energy, quality; a gap is null, never zero."""

from datetime import date, datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel

from quince.headend.usage.service import FinalSeries
from quince.model.interval import STEP, STEP_S


class Resolution(StrEnum):
    """How finely usage is shown."""

    INTERVAL = "interval"
    TOTAL = "total"


class IntervalOut(BaseModel):
    """One quarter-hour; `energy_wh` is null where nothing is known."""

    start_utc: datetime
    duration_s: int
    energy_wh: int | None
    quality: list[str]


class UsageOut(BaseModel):
    """A meter's usage on local days first_day..last_day; `energy_wh` sums what is known."""

    meter_id: str
    channel: str
    first_day: date
    last_day: date
    expected: int
    received: int
    energy_wh: int
    intervals: list[IntervalOut] | None

    @classmethod
    def of(
        cls,
        series: FinalSeries,
        *,
        days: tuple[date, date],
        resolution: Resolution,
    ) -> Self:
        """Show a series."""
        known = [value for value in series.values if value is not None]
        return cls(
            meter_id=series.meter_id,
            channel=str(series.obis),
            first_day=days[0],
            last_day=days[1],
            expected=len(series.values),
            received=len(known),
            energy_wh=sum(known),
            intervals=_intervals(series) if resolution is Resolution.INTERVAL else None,
        )


def _intervals(series: FinalSeries) -> list[IntervalOut]:
    return [
        IntervalOut(
            start_utc=series.start_utc + index * STEP,
            duration_s=STEP_S,
            energy_wh=value,
            quality=[flag.name.lower() for flag in flags if flag.name],
        )
        for index, (value, flags) in enumerate(zip(series.values, series.quality, strict=True))
    ]
