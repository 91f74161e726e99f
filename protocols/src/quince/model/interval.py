"""Intervals: energy over half-open quarter-hours in UTC, named by their start.

Law: a missing interval is None, never zero.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from quince.model.errors import InvalidValueError
from quince.model.obis import Obis
from quince.model.quality import Quality

STEP_S = 900
STEP = timedelta(seconds=STEP_S)
SLOTS_PER_DAY = 86_400 // STEP_S
# Day blocks hold int32; a quarter-hour beyond 2 GWh is a broken meter, not a customer.
ENERGY_MAX = 2**31 - 1
_MISSING = int(Quality.MISSING)  # as a plain int: a month of flags is asked, and theirs are slow


def require_utc(field: str, moment: datetime) -> datetime:
    """Return `moment` if it is aware and in UTC; InvalidValueError otherwise."""
    if moment.tzinfo is not UTC:
        raise InvalidValueError(field, moment.isoformat(), "must be in UTC")
    return moment


def require_boundary(field: str, moment: datetime) -> datetime:
    """Return `moment` if it lies on a quarter-hour in UTC; InvalidValueError otherwise."""
    require_utc(field, moment)
    if moment.timestamp() % STEP_S != 0:
        raise InvalidValueError(field, moment.isoformat(), "must lie on a quarter-hour")
    return moment


def floor_boundary(moment: datetime) -> datetime:
    """Return the latest quarter-hour at or before `moment` (UTC)."""
    seconds = int(require_utc("moment", moment).timestamp())
    return datetime.fromtimestamp(seconds - seconds % STEP_S, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalSeries:
    """One channel's consecutive intervals.

    `values[i]` is the energy of [start_utc + i * 15 min, + 15 min) in the unit the OBIS code
    implies at scaler 0 (Wh, varh), 0..2^31-1, or None where the meter has none. `quality[i]`
    carries its flags; MISSING stands exactly where the value is None.
    """

    meter_id: str
    obis: Obis
    start_utc: datetime
    values: tuple[int | None, ...]
    quality: tuple[Quality, ...]

    def __post_init__(self) -> None:
        require_boundary("start_utc", self.start_utc)
        if len(self.values) != len(self.quality):
            raise InvalidValueError("quality", len(self.quality), "one flag set per value")
        for value, flags in zip(self.values, self.quality, strict=True):
            if (value is None) != bool(int(flags) & _MISSING):
                raise InvalidValueError("quality", flags, "MISSING exactly where no value is")
            if value is not None and not 0 <= value <= ENERGY_MAX:
                raise InvalidValueError("value", value, f"0..{ENERGY_MAX}")

    @property
    def end_utc(self) -> datetime:
        """The end of the last interval, exclusive."""
        return self.start_utc + len(self.values) * STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterReading:
    """A cumulative register as it stood at a moment, in the OBIS code's unit at scaler 0."""

    meter_id: str
    obis: Obis
    at_utc: datetime
    value: int

    def __post_init__(self) -> None:
        require_utc("at_utc", self.at_utc)
        if self.value < 0:
            raise InvalidValueError("value", self.value, "a register does not go below zero")
