from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from quince.headend import wiring
from quince.headend.ingest.service import Ingest
from quince.headend.usage import service
from quince.headend.usage.rules import Conservation
from quince.headend.usage.service import FinalSeries, Usage
from quince.model.errors import InvalidValueError
from quince.model.interval import IntervalSeries, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, Obis
from quince.model.quality import Quality
from quince.protocols.gateway.messages import Content

Make = Callable[..., IntervalSeries]
Read = Callable[..., RegisterReading]
NEXT_WEEK_UTC = datetime(2026, 3, 15, tzinfo=UTC)
SHORT_DAY = date(2026, 3, 8)  # clocks go forward in New York
BORDERS = ("2026-03-08T05:00", "2026-03-09T04:00")


@pytest.fixture
async def usage(database: Path) -> AsyncIterator[Usage]:
    async with wiring.open_usage(database) as usage:
        yield usage


async def final(usage: Usage, start: str, end: str, **other: Any) -> FinalSeries:
    question: dict[str, Any] = {
        "tenant_id": 1,
        "meter_id": "m-1",
        "obis": ACTIVE_IMPORT_INTERVAL,
        "start_utc": datetime.fromisoformat(start).replace(tzinfo=UTC),
        "end_utc": datetime.fromisoformat(end).replace(tzinfo=UTC),
    }
    return await usage.final_series(**(question | other))


async def days(usage: Usage, day: date = SHORT_DAY, **other: Any) -> Any:
    question: dict[str, Any] = {
        "tenant_id": 1,
        "first_day": day,
        "last_day": day,
        "now_utc": NEXT_WEEK_UTC,
    }
    return await usage.completeness(**(question | other))


async def test_a_final_series_has_what_was_sent_and_says_what_is_missing(
    usage: Usage, ingest: Ingest, gateway: Any, series: Make
) -> None:
    content = series("2026-03-08", 5, None, 0, flags=Quality.CLOCK_DOUBTFUL)
    ingest([gateway.send(Content(series=(content,)))])
    answer = await final(usage, "2026-03-08T00:00", "2026-03-08T01:00")
    assert answer.values == (5, None, 0, None)
    assert answer.quality == (
        Quality.CLOCK_DOUBTFUL,
        Quality.MISSING,
        Quality.CLOCK_DOUBTFUL,
        Quality.MISSING,
    )
    assert answer.revisions == (1,)
    assert not answer.complete


async def test_another_slot_of_the_day_changes_the_revision_and_not_the_fingerprint(
    usage: Usage, ingest: Ingest, gateway: Any, series: Make
) -> None:
    ingest([gateway.send(Content(series=(series("2026-03-08", 5, 6),)))])
    before = await final(usage, "2026-03-08T00:00", "2026-03-08T00:30")
    ingest([gateway.send(Content(series=(series("2026-03-08T12:00", 9),)))])
    after = await final(usage, "2026-03-08T00:00", "2026-03-08T00:30")
    assert before.complete
    assert before.sha256 == after.sha256
    assert (before.revisions, after.revisions) == ((1,), (2,))


@pytest.mark.parametrize(
    "other", [{"meter_id": "m-9"}, {"obis": Obis(1, 0, 2, 29, 0)}, {"tenant_id": 2}]
)
async def test_what_nobody_sent_is_missing_and_not_zero(
    usage: Usage, ingest: Ingest, gateway: Any, series: Make, other: dict[str, Any]
) -> None:
    ingest([gateway.send(Content(series=(series("2026-03-08", 5),)))])
    answer = await final(usage, "2026-03-08T00:00", "2026-03-08T00:15", **other)
    assert (answer.values, answer.quality) == ((None,), (Quality.MISSING,))


async def test_an_empty_range_is_refused(usage: Usage) -> None:
    with pytest.raises(InvalidValueError, match="end_utc"):
        await final(usage, "2026-03-08", "2026-03-08")


def test_a_series_has_one_flag_set_per_value() -> None:
    with pytest.raises(InvalidValueError, match="quality"):
        FinalSeries(
            meter_id="m-1",
            obis=ACTIVE_IMPORT_INTERVAL,
            start_utc=NEXT_WEEK_UTC,
            values=(1,),
            quality=(),
            revisions=(1,),
            sha256="",
        )


@pytest.mark.parametrize(
    ("day", "expected"), [(SHORT_DAY, 92), (date(2026, 7, 1), 96), (date(2026, 11, 1), 100)]
)
async def test_a_meter_that_never_sent_anything_misses_the_whole_local_day(
    usage: Usage, day: date, expected: int
) -> None:
    (row,) = await days(usage, day, now_utc=datetime(2027, 1, 1, tzinfo=UTC))
    (missing,) = row.missing
    assert (row.expected, row.received, row.energy) == (expected, 0, 0)
    assert (missing.end_utc - missing.start_utc).total_seconds() == expected * 900
    assert row.conservation is Conservation.UNKNOWN


async def test_a_complete_day_that_adds_up_is_conserved(
    usage: Usage, ingest: Ingest, gateway: Any, series: Make, reading: Read
) -> None:
    content = Content(
        series=(series(BORDERS[0], *[10] * 92),),
        readings=(reading(BORDERS[0], 5000), reading(BORDERS[1], 5920)),
    )
    ingest([gateway.send(content)])
    (row,) = await days(usage)
    assert (row.received, row.missing, row.energy) == (92, (), 920)
    assert row.conservation is Conservation.CONSERVED


async def test_one_watt_hour_too_few_is_not_conserved(
    usage: Usage, ingest: Ingest, gateway: Any, series: Make, reading: Read
) -> None:
    content = Content(
        series=(series(BORDERS[0], *[10] * 91, 9),),
        readings=(reading(BORDERS[0], 5000), reading(BORDERS[1], 5920)),
    )
    ingest([gateway.send(content)])
    (row,) = await days(usage)
    assert row.conservation is Conservation.NOT_CONSERVED


async def test_a_day_is_its_own_and_not_its_neighbours(
    usage: Usage, ingest: Ingest, gateway: Any, series: Make
) -> None:
    ingest([gateway.send(Content(series=(series("2026-03-08T04:45", 1, 2),)))])
    rows = await days(usage, first_day=date(2026, 3, 7))
    assert [(row.day.day, row.received, row.energy) for row in rows] == [(7, 1, 1), (8, 1, 2)]


async def test_what_is_still_to_come_is_not_missing(usage: Usage) -> None:
    (row,) = await days(usage, now_utc=datetime(2026, 3, 8, 6, tzinfo=UTC))
    (missing,) = row.missing
    assert missing.end_utc == datetime(2026, 3, 8, 6, tzinfo=UTC)


async def test_a_discovered_meter_is_counted_in_utc(
    usage: Usage, ingest: Ingest, gateway: Any, series: Make
) -> None:
    ingest([gateway.send(Content(series=(series("2026-03-08", 1, meter_id="m-new"),)))])
    rows = await days(usage)
    assert [(row.meter_id, row.zone, row.expected) for row in rows] == [
        ("m-1", "America/New_York", 92),
        ("m-new", "UTC", 96),
    ]


async def test_a_meter_that_stands_nowhere_has_no_local_day(usage: Usage) -> None:
    with pytest.raises(InvalidValueError, match="meter_id = 'm-new'"):
        await usage.local_days(
            tenant_id=1, meter_id="m-new", first_day=SHORT_DAY, last_day=SHORT_DAY
        )


async def test_the_local_days_of_a_registered_meter_are_those_of_its_zone(usage: Usage) -> None:
    span = await usage.local_days(
        tenant_id=1, meter_id="m-1", first_day=SHORT_DAY, last_day=SHORT_DAY
    )
    assert [moment.isoformat()[:16] for moment in (span.start_utc, span.end_utc)] == [*BORDERS]


async def test_a_channel_without_a_register_cannot_be_judged(
    usage: Usage, ingest: Ingest, gateway: Any, series: Make
) -> None:
    voltage = series("2026-03-08T05:00", *[230] * 92, obis=Obis(1, 0, 32, 27, 0))
    ingest([gateway.send(Content(series=(voltage,)))])
    (row,) = await days(usage)
    assert row.conservation is Conservation.UNKNOWN


async def test_a_long_table_is_given_in_parts(
    usage: Usage, ingest: Ingest, gateway: Any, series: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "METERS_MAX", 2)
    meters = tuple(series("2026-03-08", 1, meter_id=f"m-{n}") for n in range(2, 5))
    ingest([gateway.send(Content(series=meters))])
    assert [row.meter_id for row in await days(usage)] == ["m-1", "m-2"]
    assert [row.meter_id for row in await days(usage, after_meter="m-2")] == ["m-3", "m-4"]


@pytest.mark.parametrize(
    ("first_day", "last_day"),
    [
        (date(2026, 3, 8), date(2026, 3, 7)),
        (date(2026, 3, 1), date(2026, 4, 1)),
        (date(1, 1, 1), date(1, 1, 1)),
        (date(9999, 12, 31), date(9999, 12, 31)),
    ],
)
async def test_days_that_cannot_be_are_refused(
    usage: Usage, first_day: date, last_day: date
) -> None:
    with pytest.raises(InvalidValueError):
        await days(usage, first_day=first_day, last_day=last_day)
