"""A clock that stands where the test puts it."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest


@dataclass
class StoppedClock:
    """Shows `at_utc`; waiting until a later moment takes `wait_s` real seconds."""

    at_utc: datetime
    wait_s: float = 3600.0

    def now_utc(self) -> datetime:
        return self.at_utc

    def seconds_until(self, moment_utc: datetime) -> float:
        return self.wait_s if moment_utc > self.at_utc else 0.0


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock(datetime(2025, 3, 3, 18, 7, 30, tzinfo=UTC))
