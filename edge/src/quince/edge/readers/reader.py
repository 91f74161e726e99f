"""What the agent asks of any meter, whatever it speaks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from quince.model.interval import IntervalSeries, RegisterReading


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePiece:
    """A stretch of a load profile, and the registers the same rows tell at its two borders."""

    series: IntervalSeries
    readings: tuple[RegisterReading, ...] = ()


class Reader(Protocol):
    """One session with one meter; an async context manager opens and closes it."""

    async def clock(self) -> datetime:
        """Return the meter's own time, in UTC; the gateway's for a meter that has none."""
        ...

    async def registers(self) -> list[RegisterReading]:
        """Return the cumulative registers as they stand now."""
        ...

    async def intervals(self, start_utc: datetime, end_utc: datetime) -> ProfilePiece:
        """Return every interval of [start_utc, end_utc), MISSING where the meter has none.

        UnsupportedError for a meter that keeps no profile.
        """
        ...
