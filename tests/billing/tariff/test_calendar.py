from dataclasses import replace
from datetime import date

import pytest

from quince.billing.tariff.calendar import BlockSpan, DaySchedule, DayType, MonthDay
from quince.billing.tariff.tariff import Tariff
from quince.model.errors import InvalidValueError


def span(block: str, first_quarter: int, end_quarter: int) -> BlockSpan:
    return BlockSpan(block=block, first_quarter=first_quarter, end_quarter=end_quarter)


@pytest.mark.parametrize(
    ("day", "season"),
    [
        (date(2026, 4, 30), "DRY"),
        (date(2026, 5, 1), "WET"),
        (date(2026, 10, 31), "WET"),
        (date(2026, 11, 1), "DRY"),
        (date(2026, 1, 1), "DRY"),
        (date(2028, 2, 29), "DRY"),
    ],
)
def test_a_season_holds_its_first_and_its_last_day(day: date, season: str, tariff: Tariff) -> None:
    assert tariff.calendar.season_of(day).code == season


@pytest.mark.parametrize(
    ("day", "day_type"),
    [
        (date(2026, 5, 1), DayType.HOLIDAY),
        (date(2026, 5, 2), DayType.SATURDAY),
        (date(2026, 5, 3), DayType.SUNDAY),
        (date(2026, 5, 4), DayType.WEEKDAY),
        (date(2026, 5, 8), DayType.WEEKDAY),
    ],
)
def test_a_holiday_is_no_weekday(day: date, day_type: DayType, tariff: Tariff) -> None:
    calendar = replace(tariff.calendar, holidays=(date(2026, 5, 1),))
    assert calendar.day_type_of(day) is day_type


def test_a_block_begins_on_its_quarter_hour(tariff: Tariff) -> None:
    blocks = tariff.calendar.blocks_of(date(2026, 5, 1))
    assert len(blocks) == 96
    assert blocks[19:21] == ("VALLE", "RESTO")
    assert blocks[71:73] == ("RESTO", "PUNTA")
    assert blocks[91:93] == ("PUNTA", "VALLE")


def test_spans_may_come_in_any_order() -> None:
    schedule = DaySchedule(
        season="DRY",
        day_type=DayType.SUNDAY,
        spans=(span("RESTO", 50, 96), span("VALLE", 0, 50)),
    )
    assert schedule.blocks()[49:51] == ("VALLE", "RESTO")


def test_a_quarter_hour_without_a_block_is_named() -> None:
    with pytest.raises(InvalidValueError, match=r"schedule\[WET\]\[SUNDAY\] = '05:15': no block"):
        DaySchedule(
            season="WET",
            day_type=DayType.SUNDAY,
            spans=(span("VALLE", 0, 21), span("RESTO", 22, 96)),
        )


def test_a_quarter_hour_with_two_blocks_is_named() -> None:
    with pytest.raises(InvalidValueError, match="'05:00': VALLE and RESTO"):
        DaySchedule(
            season="WET",
            day_type=DayType.SUNDAY,
            spans=(span("VALLE", 0, 21), span("RESTO", 20, 96)),
        )


def test_a_day_without_a_season_is_named(tariff: Tariff) -> None:
    dry, wet = tariff.calendar.seasons
    with pytest.raises(InvalidValueError, match="'10-31': no season"):
        replace(tariff.calendar, seasons=(dry, replace(wet, last=MonthDay(10, 30))))


def test_a_day_with_two_seasons_is_named(tariff: Tariff) -> None:
    dry, wet = tariff.calendar.seasons
    with pytest.raises(InvalidValueError, match="'11-01': DRY and WET"):
        replace(tariff.calendar, seasons=(dry, replace(wet, last=MonthDay(11, 1))))


def test_a_day_type_without_a_schedule_is_named(tariff: Tariff) -> None:
    with pytest.raises(InvalidValueError, match=r"\('DRY', 'WEEKDAY'\): no schedule"):
        replace(tariff.calendar, schedules=tariff.calendar.schedules[1:])


def test_a_schedule_of_no_season_is_named(tariff: Tariff) -> None:
    stray = replace(tariff.calendar.schedules[0], season="SPRING")
    with pytest.raises(InvalidValueError, match=r"\('SPRING', 'WEEKDAY'\): no such season"):
        replace(tariff.calendar, schedules=(*tariff.calendar.schedules, stray))


def test_two_schedules_for_one_day_type_are_refused(tariff: Tariff) -> None:
    twice = (*tariff.calendar.schedules, tariff.calendar.schedules[0])
    with pytest.raises(InvalidValueError, match="one per season and day type"):
        replace(tariff.calendar, schedules=twice)
