"""A clock that stands still until a test moves it."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass
class StoppedClock:
    """It is always `now`."""

    now: datetime

    def now_utc(self) -> datetime:
        return self.now

    def seconds_until(self, moment_utc: datetime) -> float:
        return max(0.0, (moment_utc - self.now).total_seconds())

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)
