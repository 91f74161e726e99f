"""The local days a bill is for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from quince.model.errors import InvalidValueError

# Local midnights of these are within what zoneinfo knows and datetime holds.
PERIOD_YEARS = range(1970, 2200)
PERIOD_DAYS_MAX = 92  # a quarter, the longest billing period in use; bounds all that a bill holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The days `first_day`..`last_day`, both included."""

    first_day: date
    last_day: date

    def __post_init__(self) -> None:
        if not 1 <= self.days <= PERIOD_DAYS_MAX:
            raise InvalidValueError("period", self.days, f"1..{PERIOD_DAYS_MAX} days")
        for day in (self.first_day, self.last_day):
            if day.year not in PERIOD_YEARS:
                years = f"in {PERIOD_YEARS.start}..{PERIOD_YEARS.stop - 1}"
                raise InvalidValueError("period", day.isoformat(), years)

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last_day - self.first_day).days + 1

    def __iter__(self) -> Iterator[date]:
        return (self.first_day + timedelta(days=n) for n in range(self.days))

    def __str__(self) -> str:
        return f"{self.first_day} to {self.last_day}"
