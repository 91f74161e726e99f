"""The tariff's calendar: local days → season and day type → the block of each quarter-hour.

Law: every day has exactly one season, and every quarter-hour of every day exactly one block.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from quince.model.errors import InvalidValueError

QUARTERS_PER_DAY = 96
_QUARTERS_PER_HOUR = 4
_LEAP_YEAR = 2000  # seasons must know 29 February


class DayType(StrEnum):
    """What kind of day it is; a holiday is that and nothing else, whatever its weekday."""

    WEEKDAY = "WEEKDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"
    HOLIDAY = "HOLIDAY"


_OF_WEEKDAY = (*(DayType.WEEKDAY,) * 5, DayType.SATURDAY, DayType.SUNDAY)


@dataclass(frozen=True, slots=True, order=True)
class MonthDay:
    """A day of any year."""

    month: int
    day: int

    def __post_init__(self) -> None:
        try:
            date(_LEAP_YEAR, self.month, self.day)
        except ValueError as error:
            raise InvalidValueError("month_day", (self.month, self.day), str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """The days from `first` to `last`, both included; it may pass the new year."""

    code: str
    name: str
    first: MonthDay
    last: MonthDay

    def contains(self, day: date) -> bool:
        """Say whether `day` falls in this season."""
        here = MonthDay(day.month, day.day)
        if self.first <= self.last:
            return self.first <= here <= self.last
        return here >= self.first or here <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSpan:
    """The local quarter-hours [first_quarter, end_quarter) of a day belong to `block`."""

    block: str
    first_quarter: int
    end_quarter: int

    def __post_init__(self) -> None:
        if not 0 <= self.first_quarter < self.end_quarter <= QUARTERS_PER_DAY:
            span = (self.first_quarter, self.end_quarter)
            raise InvalidValueError("span", span, f"0 ≤ first < end ≤ {QUARTERS_PER_DAY}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySchedule:
    """The blocks of one day type in one season."""

    season: str
    day_type: DayType
    spans: tuple[BlockSpan, ...]

    def __post_init__(self) -> None:
        for quarter in range(QUARTERS_PER_DAY):
            blocks = [s.block for s in self.spans if s.first_quarter <= quarter < s.end_quarter]
            if len(blocks) != 1:
                where = f"schedule[{self.season}][{self.day_type}]"
                reason = f"{' and '.join(blocks) or 'no block'} at this quarter-hour"
                raise InvalidValueError(where, _clock_face(quarter), reason)

    def blocks(self) -> tuple[str, ...]:
        """Return the block of each of the day's 96 quarter-hours."""
        ordered = sorted(self.spans, key=lambda span: span.first_quarter)
        return tuple(s.block for s in ordered for _ in range(s.first_quarter, s.end_quarter))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Seasons, holidays and day schedules; days are local days of the tariff's zone."""

    seasons: tuple[Season, ...]
    holidays: tuple[date, ...]
    schedules: tuple[DaySchedule, ...]

    def __post_init__(self) -> None:
        self._require_one_season_a_day()
        self._require_one_schedule_a_day_type()

    def _require_one_season_a_day(self) -> None:
        new_year = date(_LEAP_YEAR, 1, 1)
        for day in (new_year + timedelta(days=n) for n in range(366)):
            codes = [season.code for season in self.seasons if season.contains(day)]
            if len(codes) != 1:
                reason = f"{' and '.join(codes) or 'no season'} on this day"
                raise InvalidValueError("seasons", f"{day:%m-%d}", reason)

    def _require_one_schedule_a_day_type(self) -> None:
        expected = {(season.code, day_type) for season in self.seasons for day_type in DayType}
        given = [(schedule.season, schedule.day_type) for schedule in self.schedules]
        for season, day_type in sorted(expected.symmetric_difference(given)):
            reason = "no schedule" if (season, day_type) in expected else "no such season"
            raise InvalidValueError("schedule", (season, str(day_type)), reason)
        if len(given) != len(expected):
            raise InvalidValueError("schedule", len(given), "one per season and day type")

    def season_of(self, day: date) -> Season:
        """Return the season of a local day."""
        return next(season for season in self.seasons if season.contains(day))

    def day_type_of(self, day: date) -> DayType:
        """Return the day type of a local day."""
        return DayType.HOLIDAY if day in self.holidays else _OF_WEEKDAY[day.weekday()]

    def blocks_of(self, day: date) -> tuple[str, ...]:
        """Return the block of each local quarter-hour of a day, by wall-clock time."""
        wanted = (self.season_of(day).code, self.day_type_of(day))
        return next(s.blocks() for s in self.schedules if (s.season, s.day_type) == wanted)

    def blocks_in(self, season: str) -> frozenset[str]:
        """Return every block that occurs in a season."""
        of_season = (s.spans for s in self.schedules if s.season == season)
        return frozenset(span.block for spans in of_season for span in spans)


def _clock_face(quarter: int) -> str:
    hour, part = divmod(quarter, _QUARTERS_PER_HOUR)
    return f"{hour:02}:{part * 15:02}"
