"""Time comes in through a port: the wall clock, a clock at another speed, a simulated one."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from quince.model.errors import InvalidValueError


class Clock(Protocol):
    """What o'clock it is, and how long to wait for another o'clock."""

    def now_utc(self) -> datetime:
        """Return the present moment in UTC."""
        ...

    def seconds_until(self, moment_utc: datetime) -> float:
        """Return the real seconds to sleep until `moment_utc`, 0 if it has passed."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock."""

    def now_utc(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that may ask

    def seconds_until(self, moment_utc: datetime) -> float:
        """Return the seconds from now to `moment_utc`, 0 if it has passed."""
        return max(0.0, (moment_utc - self.now_utc()).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledClock:
    """A clock that showed `start_utc` at `anchor_utc` (real time) and runs `speed` times as fast.

    Several processes given the same three values agree on the time, as a demonstration needs.
    """

    start_utc: datetime
    anchor_utc: datetime
    speed: int
    real: Clock

    def __post_init__(self) -> None:
        if self.speed < 1:
            raise InvalidValueError("clock.speed", self.speed, "at least 1")

    def now_utc(self) -> datetime:
        """Return the scaled time in UTC."""
        return self.start_utc + (self.real.now_utc() - self.anchor_utc) * self.speed

    def seconds_until(self, moment_utc: datetime) -> float:
        """Return the real seconds until this clock shows `moment_utc`, 0 if it has."""
        ahead: timedelta = moment_utc - self.now_utc()
        return max(0.0, ahead.total_seconds() / self.speed)


_SCALED = re.compile(r"(?P<start>\S+)@(?P<anchor>\S+)x(?P<speed>\d{1,5})")


def parse_clock(text: str) -> Clock:
    """Read `system`, or `<start>@<anchor>x<speed>` with two ISO 8601 moments in UTC.

    InvalidValueError for anything else.
    """
    if text == "system":
        return SystemClock()
    match = _SCALED.fullmatch(text)
    if match is None:
        raise InvalidValueError("clock", text, "expected 'system' or '<start>@<anchor>x<speed>'")
    return ScaledClock(
        start_utc=_moment("clock.start", match["start"]),
        anchor_utc=_moment("clock.anchor", match["anchor"]),
        speed=int(match["speed"]),
        real=SystemClock(),
    )


def _moment(field: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidValueError(field, text, "expected an ISO 8601 moment") from error
    if moment.utcoffset() != timedelta(0):
        raise InvalidValueError(field, text, "must be in UTC")
    return moment.astimezone(UTC)
