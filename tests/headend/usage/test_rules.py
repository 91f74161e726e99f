from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from quince.headend.usage.rules import (
    Conservation,
    Span,
    judge_conservation,
    local_day,
    missing_spans,
    vector_sha256,
)
from quince.model.obis import ACTIVE_IMPORT_INTERVAL
from quince.model.quality import Quality

NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (NEW_YORK, date(2026, 3, 8), 23),
        (NEW_YORK, date(2026, 7, 1), 24),
        (NEW_YORK, date(2026, 11, 1), 25),
        ("America/El_Salvador", date(2026, 3, 8), 24),
        ("America/Santiago", date(2026, 9, 6), 23),  # midnight itself does not exist
        ("Asia/Kathmandu", date(2026, 3, 8), 24),
    ],
)
def test_a_local_day_has_its_own_length(zone: str, day: date, hours: int) -> None:
    span = local_day(day, ZoneInfo(zone))
    assert span.end_utc - span.start_utc == timedelta(hours=hours)


def test_a_new_york_day_begins_at_its_own_midnight() -> None:
    span = local_day(date(2026, 3, 8), ZoneInfo(NEW_YORK))
    assert span.start_utc == datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert span.end_utc == datetime(2026, 3, 9, 4, tzinfo=UTC)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 8, hour, minute, tzinfo=UTC)


def test_missing_intervals_are_told_as_stretches() -> None:
    present = [False, False, True, False]
    assert missing_spans(at(0), present, at(23)) == (
        Span(start_utc=at(0), end_utc=at(0, 30)),
        Span(start_utc=at(0, 45), end_utc=at(1)),
    )


def test_an_interval_that_is_not_over_is_not_missing() -> None:
    present = [True, False, False]
    assert missing_spans(at(0), present, at(0, 44)) == (
        Span(start_utc=at(0, 15), end_utc=at(0, 30)),
    )


@pytest.mark.parametrize(
    ("energy", "complete", "before", "after", "judgement"),
    [
        (500, True, [1000], [1500], Conservation.CONSERVED),
        (499, True, [1000], [1500], Conservation.NOT_CONSERVED),
        (501, True, [1000], [1500], Conservation.NOT_CONSERVED),
        (400, False, [1000], [1500], Conservation.UNKNOWN),
        (501, False, [1000], [1500], Conservation.NOT_CONSERVED),
        (500, True, [], [1500], Conservation.UNKNOWN),
        (500, True, [1000], [], Conservation.UNKNOWN),
        (500, True, [1000, 1001], [1500], Conservation.UNKNOWN),
        (0, True, [1500], [1000], Conservation.NOT_CONSERVED),
    ],
)
def test_energy_is_compared_with_the_register(
    *, energy: int, complete: bool, before: list[int], after: list[int], judgement: Conservation
) -> None:
    assert (
        judge_conservation(energy=energy, complete=complete, before=before, after=after)
        is judgement
    )


def test_the_fingerprint_is_of_the_written_layout() -> None:
    fingerprint = vector_sha256(
        meter_id="m-1",
        obis=ACTIVE_IMPORT_INTERVAL,
        start_utc=at(0),
        values=(5, None),
        quality=(Quality.GOOD, Quality.MISSING),
    )
    # printf 'quince-series-1 1-0:1.29.0 2026-03-08T00:00:00+00:00 2 m-1\n' and then
    # printf '\x05\0\0\0\0\0\0\x80\0\x10', both into sha256sum
    assert fingerprint == "ea9b2a1e83c45b2a84d4437821bfad2f9fd090970127665613049e60a263909e"
