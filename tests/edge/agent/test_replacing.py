"""Other meters while the agent runs."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

START = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
MIDNIGHT = datetime(2026, 5, 2, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def after(seconds, *plans, **other):
    async def change(agent):
        await asyncio.sleep(seconds)
        agent.replace(plans, **other)
        await asyncio.sleep(1)
        return agent.health()

    return change


def test_a_new_meter_is_read_at_once_on_its_new_bus(live, make_meter):
    old, new = make_meter("M1"), make_meter("M2")
    plan = old.plan()
    live([plan], 400, visitor=after(300, plan, new.plan(bus="other")))
    assert new.visits == [START + timedelta(seconds=300)]
    assert len(old.visits) == 1


def test_an_unchanged_meter_keeps_its_back_off(live, make_meter):
    meter = make_meter(failures=10**6)
    plan = meter.plan()
    health = live([plan], 30, visitor=after(20, plan))
    assert health.meters[0].failures == 3
    assert len(meter.visits) == 3


def test_a_changed_meter_begins_anew(live, make_meter):
    meter = make_meter(failures=10**6)
    plan = meter.plan()
    changed = replace(plan, utc_offset_min=0)
    health = live([plan], 30, visitor=after(20, changed))
    assert health.meters[0].failures == 1
    assert meter.visits[3] == START + timedelta(seconds=20)


def test_a_changed_meter_that_was_silent_is_told_to_be_back(live, kept, make_meter):
    meter = make_meter(failures=10**6)
    mended = make_meter()
    live([meter.plan()], 1000, visitor=after(800, mended.plan()))
    assert kept.events() == [("meter_silent", "M1"), ("meter_back", "M1")]


def test_a_meter_that_is_gone_is_not_read_and_cannot_be_asked(live, make_meter):
    gone, stays = make_meter("M1"), make_meter("M2")
    plan = stays.plan()
    health = live([gone.plan(), plan], 4000, visitor=after(20, plan))
    assert len(gone.visits) == 1
    assert len(stays.visits) > 4
    assert [meter.meter_id for meter in health.meters] == ["M2"]


def test_a_visit_under_way_goes_to_its_end(live, kept, line, make_meter):
    slow, new = make_meter("M1", line=line), make_meter("M2", line=line)
    slow.span_s = 50
    live([slow.plan()], 100, visitor=after(20, new.plan()))
    assert {one.meter_id for one in kept.series()} == {"M1", "M2"}
    assert new.visits == [START + timedelta(seconds=50)]


def test_a_meter_moves_to_another_bus(live, make_meter):
    meter, other = make_meter("M1"), make_meter("M2")
    other.slow_s = 200
    moved = meter.plan(bus="b")
    health = live([other.plan(bus="a"), meter.plan(bus="a")], 150, visitor=after(20, moved))
    assert meter.visits == [START + timedelta(seconds=20)]
    assert health.meters[0].bus == "b"


def test_a_bus_that_lost_its_meters_gets_them_back(live, make_meter):
    meter, other = make_meter("M1"), make_meter("M2")
    plan, elsewhere = meter.plan(), other.plan(bus="b")

    async def change(agent):
        await asyncio.sleep(20)
        agent.replace([elsewhere])
        await asyncio.sleep(1000)
        agent.replace([elsewhere, plan])

    live([plan], 1030, visitor=change)
    assert meter.visits == [START, START + timedelta(seconds=1020)]


def test_more_days_are_read_when_more_are_wanted(live, kept, make_meter):
    meter = make_meter()
    plan = meter.plan()
    live([plan], 1000, visitor=after(20, plan, backfill_days=3))
    assert MIDNIGHT - 3 * DAY in kept.starts()


def test_changes_under_load_lose_nothing(live, kept, line, make_meter):
    meters = [make_meter(f"M{n}", line=line, slow_s=2) for n in range(20)]
    plans = [meter.plan() for meter in meters]

    async def change(agent):
        for round_ in range(60):
            await asyncio.sleep(37)
            agent.replace([replace(plans[round_ % 20]), *plans[:5], *plans[5:]][1 + round_ % 2 :])
            agent.replace(plans)

    live(plans, 3600, visitor=change)
    for meter in meters:
        values = [one for one in kept.series() if one.meter_id == meter.meter_id]
        assert sum(len(one.values) for one in values) == 96 + 4


def test_meters_may_be_replaced_before_the_agent_runs(live, make_meter):
    never, meter = make_meter("M1"), make_meter("M2")

    async def at_once(agent):
        agent.replace([meter.plan(bus="b")])

    live([never.plan()], 10, visitor=at_once)
    assert len(meter.visits) == 1
