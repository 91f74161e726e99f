"""Meters without a profile: their registers, just behind each border."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from quince.model.interval import STEP
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality

START = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
BORDER = datetime(2026, 5, 2, 6, 15, tzinfo=UTC)


def seconds_behind(moment):
    return moment.minute % 15 * 60 + moment.second


def test_a_meter_without_a_profile_is_sampled_on_the_border(kept, live, make_registers_only):
    meter = make_registers_only(slow_s=1)
    live([meter.plan()], 3000)
    borders = [BORDER + i * STEP for i in range(4)]
    assert meter.visits == borders[: len(meter.visits)]
    assert [(one.start_utc, one.values) for one in kept.series()] == [
        (borders[0], (900,)),
        (borders[1], (900,)),
    ]


def test_a_sample_that_comes_too_late_makes_no_interval(kept, live, make_registers_only):
    meter = make_registers_only(slow_s=61)
    live([meter.plan()], 3000)
    assert len(meter.visits) == 3
    assert kept.series() == []


def test_a_meter_with_a_slow_clock_is_sampled_behind_its_own_border(
    kept, live, make_registers_only
):
    def three_seconds_slow(reading):
        return replace(reading, at_utc=reading.at_utc - timedelta(seconds=3))

    meter = make_registers_only()
    meter.reading_as = three_seconds_slow
    live([meter.plan()], 2 * 900 + 60)
    assert [one.values for one in kept.series()] == [(900,)]


def test_a_failed_sample_is_tried_again_while_it_still_tells_its_border(
    kept, live, make_registers_only
):
    meter = make_registers_only(failures=2)
    live([meter.plan()], 1600)
    assert meter.visits[:3] == [BORDER + timedelta(seconds=s) for s in (0, 5, 15)]
    (series,) = kept.series()
    assert (series.start_utc, series.quality) == (BORDER, (Quality.SAMPLED_LATE,))


def test_a_border_that_cannot_be_sampled_in_its_minute_is_given_up(live, make_registers_only):
    meter = make_registers_only(failures=1000)
    live([meter.plan()], 3 * 3600)
    assert max(seconds_behind(visit) for visit in meter.visits) <= 60
    assert len(meter.visits) == 4 + 11  # and one for each border behind the first


def test_a_register_that_rolls_over_is_sampled_as_if_it_had_not(kept, live, make_registers_only):
    rolls_over_at = int(START.timestamp()) + 900  # at 06:20, between two samples

    def rolling(reading):
        return replace(reading, value=reading.value % rolls_over_at)

    meter = make_registers_only()
    meter.reading_as = rolling
    plan = replace(meter.plan(), rolls_over_at={ACTIVE_IMPORT_REGISTER: rolls_over_at})
    live([plan], 1600)
    assert [one.values for one in kept.series()] == [(900,)]


def test_samples_go_before_the_polls_of_their_bus(live, line, make_meter, make_registers_only):
    profiled = [make_meter(f"P{n}", line=line) for n in range(3)]
    for meter in profiled:
        meter.span_s = 400  # begun before the border, and still due behind it
    sampled = make_registers_only("S", line=line)
    live([*(meter.plan() for meter in profiled), sampled.plan()], 3600)
    behind = [visit for visit in sampled.visits if seconds_behind(visit) <= 60]
    assert sampled.visits == behind


def test_a_border_behind_somebody_elses_long_visit_is_missing(kept, live, make_registers_only):
    async def dawdle(agent):
        await asyncio.sleep(590)
        await agent.ask("M1", lambda _: asyncio.sleep(200), within_s=300)

    meter = make_registers_only()
    live([meter.plan()], 4 * 900, visitor=dawdle)
    assert kept.starts() == [BORDER + STEP, BORDER + 2 * STEP]


def test_thirty_meters_on_a_bus_are_sampled_within_their_minute(
    kept, live, line, make_registers_only
):
    meters = [make_registers_only(f"S{n}", line=line, slow_s=1.5) for n in range(30)]
    live([meter.plan() for meter in meters], 2 * 900)
    series = kept.series()
    assert len(series) == 30
    assert {one.quality for one in series} == {(Quality.GOOD,), (Quality.SAMPLED_LATE,)}


def test_a_dead_meter_is_sampled_behind_the_living(kept, live, line, make_registers_only):
    dead = make_registers_only("dead", line=line, failures=10**6, slow_s=3)
    living = [make_registers_only(f"S{n}", line=line, slow_s=1) for n in range(10)]
    live([dead.plan(), *(meter.plan() for meter in living)], 3600)
    last = line.turns.index("S9", 20)
    assert "dead" not in line.turns[last - 9 : last + 1]
    assert len(kept.series()) == 10 * 3


def test_a_meter_that_is_measured_otherwise_begins_anew(kept, live, make_registers_only):
    def since_the_start(reading, ratio=1):
        return replace(reading, value=ratio * (reading.value - int(START.timestamp())))

    meter = make_registers_only()
    meter.reading_as = since_the_start
    before = replace(meter.plan(), measured_as="ratio 1")

    async def put_in_a_transformer(agent):
        await asyncio.sleep(2 * 900)
        meter.reading_as = partial(since_the_start, ratio=40)
        agent.replace([replace(before, measured_as="ratio 40")])

    live([before], 5 * 900, visitor=put_in_a_transformer)
    assert [(one.start_utc, one.values) for one in kept.series()] == [
        (BORDER, (900,)),
        (BORDER + 2 * STEP, (40 * 900,)),
        (BORDER + 3 * STEP, (40 * 900,)),
    ]
