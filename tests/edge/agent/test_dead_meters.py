"""Meters that fall silent: how rarely they are asked, and what is said of them."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise

from quince.edge.errors import OutboxFullError
from quince.model.errors import CodecError
from quince.protocols.gateway.topics import Lane

START = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
DAY = datetime(2026, 5, 1, 6, tzinfo=UTC)  # midnight where the meters are


def test_a_dead_meter_is_asked_ever_more_rarely_and_within_five_minutes(live, make_meter):
    meter = make_meter(failures=10**6)
    live([meter.plan()], 3600)
    pauses = [(after - before).total_seconds() for before, after in pairwise(meter.visits)]
    assert pauses[:6] == [5, 10, 20, 40, 80, 160]
    assert set(pauses[6:]) == {300}


def test_a_meter_that_comes_back_loses_nothing(kept, live, make_meter):
    meter = make_meter(failures=9)
    live([meter.plan()], 3600)
    assert sum(len(series.values) for series in kept.series()) == 96 + 4


def test_a_dead_meter_does_not_hold_up_another_bus(live, make_meter):
    dead, good = make_meter("M1", failures=10**6, slow_s=200), make_meter("M2")
    live([dead.plan(bus="a"), good.plan(bus="b")], 1000)
    assert len(good.visits) == 2


def test_a_meter_that_never_answers_costs_a_visit_and_then_only_probes(live, make_meter):
    hanging, good = make_meter("M1", slow_s=10**6), make_meter("M2")
    live([hanging.plan(), good.plan()], 1000)
    assert good.visits[0] == START + timedelta(seconds=300)
    assert hanging.visits[1] == START + timedelta(seconds=305)
    assert hanging.visits[2] == START + timedelta(seconds=305 + 25 + 10)


def test_an_open_line_gives_a_probe_the_time_of_a_visit(live, kept, make_meter):
    meter = make_meter(failures=1)
    meter.span_s = 200
    live([meter.plan()], 600)
    assert len(kept.series()) == 1


def test_dead_meters_cost_the_living_one_probe_between_two_turns(live, line, make_meter):
    dead = [make_meter(f"D{n}", line=line, failures=10**6, slow_s=20) for n in range(4)]
    living = [make_meter(f"L{n}", line=line, slow_s=5) for n in range(28)]
    live([meter.plan() for meter in [*dead, *living]], 4 * 3600)
    for meter in living:
        assert all(read - end < timedelta(minutes=5) for read, _, end in meter.read[1:])
    assert all(len(meter.visits) > 20 for meter in dead)


def test_a_bus_that_is_never_idle_still_probes_the_dead_one_at_a_time(live, line, make_meter):
    dead = [make_meter(f"D{n}", line=line, failures=10**6, slow_s=20) for n in range(3)]
    living = [make_meter(f"L{n}", line=line, slow_s=60) for n in range(29)]
    live([meter.plan() for meter in [*dead, *living]], 2 * 3600)
    probes = [len(list(run)) for is_dead, run in groupby(line.turns[3:], is_a_dead_one) if is_dead]
    assert len(probes) >= 3
    assert set(probes) == {1}


def test_a_bus_full_of_dead_meters_leaves_the_living_its_older_days(live, line, kept, make_meter):
    dead = [make_meter(f"D{n}", line=line, failures=10**6, slow_s=24) for n in range(14)]
    living = make_meter("L", line=line, slow_s=2)
    live([meter.plan() for meter in [*dead, living]], 2 * 3600, backfill_days=30)
    older_days = kept.starts(Lane.BACKFILL)
    assert len(older_days) == len(set(older_days)) == 29  # the newest is the first poll's
    assert all(len(meter.visits) > 10 for meter in dead)


def test_a_bus_full_of_dead_meters_lets_the_living_be_read_again(live, line, make_meter):
    dead = [make_meter(f"D{n}", line=line, failures=10**6, slow_s=24) for n in range(14)]
    living = make_meter("L", line=line, slow_s=2)

    async def ask(agent):
        await asyncio.sleep(3600)
        async with asyncio.timeout(60):
            return await agent.reread("L", DAY, DAY + timedelta(hours=6))

    assert live([meter.plan() for meter in [*dead, living]], 2 * 3600, visitor=ask) == 24


def is_a_dead_one(meter_id):
    return meter_id.startswith("D")


def test_silence_is_told_once_and_so_is_its_end(live, kept, make_meter):
    meter = make_meter(failures=12)
    live([meter.plan()], 3 * 3600)
    assert kept.events() == [("meter_silent", "M1"), ("meter_back", "M1")]


def test_a_meter_that_failed_a_few_times_is_not_silent(live, kept, make_meter):
    meter = make_meter(failures=5)
    live([meter.plan()], 3600)
    assert kept.events() == []


def test_a_meter_that_talks_nonsense_is_not_silent(live, kept, make_meter):
    meter = make_meter()
    meter.clock_error = CodecError("no time at all")
    live([meter.plan()], 3600)
    pauses = [(after - before).total_seconds() for before, after in pairwise(meter.visits)]
    assert pauses[:3] == [5, 10, 20]
    assert kept.events() == []


def test_an_outbox_that_takes_nothing_stops_no_worker(live, outbox, make_meter, monkeypatch):
    def refuse(_round):
        raise OutboxFullError("full")

    monkeypatch.setattr(outbox, "record", refuse)
    meter = make_meter(failures=10)
    live([meter.plan()], 3600)
    assert len(meter.visits) > 10


def test_a_full_outbox_does_not_wear_the_meters_out(live, outbox, make_meter, monkeypatch):
    def refuse(_round):
        raise OutboxFullError("full")

    monkeypatch.setattr(outbox, "record", refuse)
    meter = make_meter()
    live([meter.plan()], 3600, backfill_days=365)
    assert len(meter.read) < 50


def test_a_meter_that_dies_among_older_days_goes_on_where_it_was(live, kept, make_meter):
    meter = make_meter()

    async def die(_agent):
        await asyncio.sleep(20.5)
        meter.failures = 3

    live([meter.plan()], 1000, backfill_days=30, visitor=die)
    starts = kept.starts()
    assert len(starts) == len(set(starts)) == 30 + 1


def test_health_tells_who_was_last_heard_when(live, make_meter):
    async def look(agent):
        await asyncio.sleep(600)
        return agent.health()

    dead, good = make_meter("M1", failures=10**6), make_meter("M2")
    health = live([dead.plan(), good.plan()], 601, visitor=look)
    silent, heard = health.meters
    assert (silent.last_good_utc, silent.failures, silent.breaker) == (None, 7, "open")
    assert (heard.last_good_utc, heard.failures, heard.breaker) == (START, 0, "closed")
    (bus,) = health.buses
    assert (bus.bus, bus.visiting, bus.waiting) == ("bus", None, 0)
