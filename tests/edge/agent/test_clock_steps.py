"""A gateway whose clock is set, forwards and backwards, while it reads."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from quince.edge.agent.clock_watch import ClockWatch
from quince.edge.schedule.instant import Instant, step_s
from quince.model.interval import STEP

START = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# In the middle of a quarter-hour, 16 minutes and 40 seconds behind the start.
STEP_AFTER_S = 1000
BOTH_WAYS = [HOUR, -HOUR, DAY, -DAY, timedelta(minutes=10), -timedelta(minutes=10)]


def slots(series):
    return [one.start_utc + index * STEP for one in series for index in range(len(one.values))]


@pytest.mark.parametrize("step", [*BOTH_WAYS, timedelta(days=-30)])
def test_no_meter_waits_for_the_old_time(live, stepping, make_meter, step):
    one, other = make_meter("M1"), make_meter("M2")
    live([one.plan(), other.plan()], 8000, clock=stepping(STEP_AFTER_S, step))
    assert len(one.visits) > 6
    assert abs(len(one.visits) - len(other.visits)) <= 1


@pytest.mark.parametrize("step", BOTH_WAYS)
def test_each_quarter_hour_of_a_profile_is_read_once(live, kept, stepping, make_meter, step):
    live([make_meter().plan()], 8000, clock=stepping(STEP_AFTER_S, step))
    read = slots(kept.series())
    assert len(read) == len(set(read)) >= 96 + 4
    assert {value for one in kept.series() for value in one.values} == {900}


@pytest.mark.parametrize("step", BOTH_WAYS)
def test_each_quarter_hour_is_sampled_once_and_none_is_stretched(
    live, kept, stepping, make_registers_only, step
):
    meter = make_registers_only()
    clock = meter.gateway_clock = stepping(STEP_AFTER_S * 4, step)
    live([meter.plan()], 4 * 3600, clock=clock)
    sampled = slots(kept.series())
    assert len(sampled) == len(set(sampled)) >= 8
    assert {one.values for one in kept.series()} == {(900,)}


def test_the_border_a_clock_leapt_over_is_missing(live, kept, stepping, make_registers_only):
    meter = make_registers_only()
    clock = meter.gateway_clock = stepping(STEP_AFTER_S, timedelta(minutes=15))
    live([meter.plan()], 2 * 3600, clock=clock)
    leapt_over = START.replace(minute=30)  # 06:21:40 became 06:36:40
    assert kept.starts()[0] == leapt_over + STEP
    assert leapt_over + timedelta(minutes=30) in kept.starts()


def test_a_step_is_told_once_with_its_size(live, kept, stepping, make_meter):
    live([make_meter().plan()], 3600, clock=stepping(STEP_AFTER_S, timedelta(seconds=-3600.4)))
    assert kept.events() == [("clock_stepped", "-3600.4 s")]


def test_a_slow_correction_is_no_step(live, kept, stepping, make_meter):
    live([make_meter().plan()], 3600, clock=stepping(STEP_AFTER_S, timedelta(seconds=1.9)))
    assert kept.events() == []


def test_a_forward_step_is_noticed_within_seconds(live, make_meter, stepping):
    meter = make_meter()
    meter.true_clock = stepping(STEP_AFTER_S, HOUR)
    live([meter.plan()], STEP_AFTER_S + 6, clock=meter.true_clock)
    assert meter.visits[-1] - (START + HOUR) < timedelta(seconds=STEP_AFTER_S + 6)


def test_a_dead_meters_back_off_runs_on_through_a_step(live, make_meter, stepping):
    meter = make_meter(failures=10**6)
    live([meter.plan()], 4000, clock=stepping(STEP_AFTER_S, -DAY))
    pauses = [after - before for before, after in pairwise(meter.visits)]
    assert max(pauses) == timedelta(seconds=300)


def test_summer_time_has_no_effect(live, kept, clock, make_meter, make_registers_only, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    clock.start = datetime(2026, 3, 8, 5, 5, tzinfo=UTC)  # two hours before it begins there
    meter, sampled = make_meter("M1"), make_registers_only("M2")
    for each in (meter, sampled):
        each.true_clock = each.gateway_clock = clock
    live([meter.plan(bus="a"), sampled.plan(bus="b")], 4 * 3600, clock=clock)
    monkeypatch.undo()
    time.tzset()
    assert len(meter.visits) == 1 + 1 + 16
    assert len(sampled.visits) == 16
    assert sum(len(one.values) for one in kept.series()) == 96 + 92 + 16 + 15


def test_a_watch_measures_both_ways(in_virtual_time, stepping):
    async def measure(step):
        clock = stepping(5, step)
        before = Instant.now(clock)
        await asyncio.sleep(10)
        return step_s(clock, before, Instant.now(clock))

    assert in_virtual_time(measure(HOUR)) == pytest.approx(3600)
    assert in_virtual_time(measure(-HOUR)) == pytest.approx(-3600)
    assert in_virtual_time(measure(timedelta(0))) == pytest.approx(0)


def test_a_watch_runs_until_it_is_cancelled(in_virtual_time, stepping):
    async def watch():
        told: list[float] = []
        watching = asyncio.ensure_future(ClockWatch(stepping(5, HOUR), told.append).run())
        await asyncio.sleep(60)
        watching.cancel()
        await asyncio.wait([watching])
        return told, watching.cancelled()

    (told,), cancelled = in_virtual_time(watch())
    assert told == pytest.approx(3600)
    assert cancelled
