"""Asking a meter between its polls, and reading its profile again."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from quince.edge.agent import Agent
from quince.edge.agent.service import WAITING_MAX
from quince.edge.errors import BusyError, ReadTimeoutError, TransportError, UnsupportedError
from quince.model.errors import CodecError, InvalidValueError
from quince.model.interval import STEP
from quince.protocols.gateway.topics import Lane

START = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
MIDNIGHT = datetime(2026, 5, 2, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def idle(outbox, clock, in_virtual_time):
    """Let `visitor` do with an agent whose workers do not run."""

    async def life(plans, visitor):
        agent = Agent(
            gateway="gw",
            plans=plans,
            backfill_days=1,
            outbox=outbox,
            stir=lambda: None,
            clock=clock,
            boot="this one",
        )
        return await visitor(agent)

    def run(plans, visitor):
        return in_virtual_time(life(plans, visitor))

    return run


async def what_time(reader):
    return await reader.clock()


async def never(_reader):
    await asyncio.sleep(10**6)


def test_the_answer_of_a_meter_comes_back(live, make_meter):
    async def ask(agent):
        await asyncio.sleep(10)
        return await agent.ask("M1", what_time, within_s=5)

    assert live([make_meter().plan()], 20, visitor=ask) == START + timedelta(seconds=10)


def test_an_answer_waits_for_one_stretch_of_a_long_backfill(live, make_meter):
    async def ask(agent):
        await asyncio.sleep(400)
        asked_s = asyncio.get_running_loop().time()
        await agent.ask("M1", what_time, within_s=60)
        return asyncio.get_running_loop().time() - asked_s

    meter = make_meter()
    meter.span_s = 30
    assert live([meter.plan()], 600, backfill_days=365, visitor=ask) <= 30


def test_an_answer_goes_before_all_polls_that_are_due(live, line, make_meter):
    meters = [make_meter(f"M{n}", line=line, slow_s=3) for n in range(10)]

    async def ask(agent):
        await asyncio.sleep(1)
        await agent.ask("M9", what_time, within_s=60)
        return list(line.turns)

    turns = live([meter.plan() for meter in meters], 60, visitor=ask)
    assert turns == ["M0", "M9"]


def test_samples_at_a_border_go_before_an_answer(live, line, make_registers_only):
    meters = [make_registers_only(f"S{n}", line=line, slow_s=2) for n in range(3)]

    async def ask(agent):
        await asyncio.sleep(601)
        await agent.ask("S0", what_time, within_s=60)
        return list(line.turns)

    turns = live([meter.plan() for meter in meters], 700, visitor=ask)
    assert turns == ["S0", "S1", "S2", "S0"]


def test_who_is_not_configured_cannot_be_asked(live, make_meter):
    async def ask(agent):
        with pytest.raises(InvalidValueError, match="meter_id = 'M7'"):
            await agent.ask("M7", what_time, within_s=5)

    live([make_meter().plan()], 20, visitor=ask)


def test_a_meter_that_takes_too_long_is_a_time_out_and_the_bus_goes_on(live, make_meter):
    async def ask(agent):
        await asyncio.sleep(1)
        with pytest.raises(ReadTimeoutError, match="within 7"):
            await agent.ask("M1", never, within_s=7)

    meter = make_meter()
    live([meter.plan()], 1000, visitor=ask)
    assert len(meter.visits) == 3


def test_waiting_for_the_bus_counts_too(live, make_meter):
    async def ask(agent):
        await asyncio.sleep(1)
        with pytest.raises(ReadTimeoutError):
            await agent.ask("M1", what_time, within_s=7)
        return await agent.ask("M1", what_time, within_s=60)

    meter = make_meter(slow_s=20)
    assert live([meter.plan()], 100, visitor=ask) == START + timedelta(seconds=40)


def test_what_the_session_raises_comes_through(live, make_meter):
    async def complain(_reader):
        raise CodecError("nonsense")

    async def ask(agent):
        with pytest.raises(CodecError, match="nonsense"):
            await agent.ask("M1", complain, within_s=5)
        with pytest.raises(TransportError, match="no answer"):
            await agent.ask("M2", what_time, within_s=5)

    live([make_meter().plan(), make_meter("M2", failures=99).plan()], 20, visitor=ask)


def test_only_so_many_may_wait_for_a_bus(idle, make_meter):
    async def crowd(agent):
        asks = [
            asyncio.ensure_future(agent.ask("M1", never, within_s=9))
            for _ in range(WAITING_MAX + 1)
        ]
        await asyncio.sleep(1)
        assert agent.health().buses[0].waiting == WAITING_MAX
        with pytest.raises(BusyError):
            await agent.ask("M1", what_time, within_s=9)
        with pytest.raises(BusyError):
            await agent.reread("M1", MIDNIGHT - STEP, MIDNIGHT)
        await asyncio.wait(asks)
        assert {type(ask.exception()) for ask in asks} == {ReadTimeoutError}
        return await agent.ask("M1", what_time, within_s=9)

    assert idle([make_meter().plan()], crowd) == START + timedelta(seconds=9)


def test_an_answer_of_a_dead_meter_brings_it_back(live, kept, make_meter):
    meter = make_meter(failures=10**6)

    async def ask(agent):
        await asyncio.sleep(1000)
        meter.failures = 0
        await agent.ask("M1", what_time, within_s=5)
        await asyncio.sleep(1)
        return agent.health().meters[0]

    health = live([meter.plan()], 1002, visitor=ask)
    assert (health.breaker, health.failures) == ("closed", 0)
    assert kept.events() == [("meter_silent", "M1"), ("meter_back", "M1")]
    assert kept.starts(Lane.LIVE) == [MIDNIGHT]


# --- reading again ----------------------------------------------------------------------


def test_a_hole_is_read_again_as_urgently_as_if_it_were_new(live, kept, make_meter):
    hole = MIDNIGHT - 8 * STEP
    meter = make_meter()
    meter.late_rows[hole] = START + timedelta(minutes=1)

    async def reread(agent):
        await asyncio.sleep(100)
        return await agent.reread("M1", hole - STEP, hole + 2 * STEP)

    assert live([meter.plan()], 200, visitor=reread) == 3
    first, again = kept.series(Lane.LIVE)
    assert first.values.count(None) == 1
    assert (again.start_utc, again.values) == (hole - STEP, (900, 900, 900))


def reread(start_utc, end_utc):
    return lambda agent: agent.reread("M1", start_utc, end_utc)


def test_a_reread_raises_the_coverage_of_what_it_fills(idle, outbox, make_meter):
    assert idle([make_meter().plan()], reread(MIDNIGHT - DAY, MIDNIGHT)) == 96
    bits = outbox.coverage("M1")
    assert sum(slots.bit_count() for slots in bits.values()) == 96


def test_what_the_meter_has_nothing_for_stays_missing(idle, kept, make_meter):
    meter = make_meter()
    meter.late_rows = {MIDNIGHT - 9 * STEP: MIDNIGHT + 9 * DAY}
    assert idle([meter.plan()], reread(MIDNIGHT - 10 * STEP, MIDNIGHT - 8 * STEP)) == 1
    assert kept.series()[0].values == (900, None)


def test_a_reread_ends_at_the_present(idle, kept, make_meter):
    plans = [make_meter().plan()]
    assert idle(plans, reread(MIDNIGHT - STEP, MIDNIGHT + 3 * DAY)) == 1
    assert idle(plans, reread(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)) == 0
    assert [series.end_utc for series in kept.series()] == [MIDNIGHT]


def test_a_reread_lets_answers_in_between_two_days(idle, line, make_meter):
    meter = make_meter(line=line)
    meter.span_s = 10

    async def both(agent):
        reading = asyncio.ensure_future(agent.reread("M1", MIDNIGHT - 10 * DAY, MIDNIGHT))
        await asyncio.sleep(25)
        await agent.ask("M2", what_time, within_s=6)
        return await reading

    assert idle([meter.plan(), make_meter("M2", line=line).plan()], both) == 960
    assert line.turns == ["M1", "M2", "M1"]


@pytest.mark.parametrize(
    ("start_utc", "end_utc", "field"),
    [
        (START, MIDNIGHT + DAY, "start_utc"),
        (MIDNIGHT - DAY, START, "end_utc"),
        (MIDNIGHT, MIDNIGHT, "end_utc"),
        (MIDNIGHT, MIDNIGHT - DAY, "end_utc"),
        (MIDNIGHT - 401 * DAY, MIDNIGHT, "end_utc"),
    ],
)
def test_a_stretch_that_cannot_be_is_refused(idle, make_meter, start_utc, end_utc, field):
    with pytest.raises(InvalidValueError) as caught:
        idle([make_meter().plan()], reread(start_utc, end_utc))
    assert caught.value.field == field


def test_a_meter_without_a_profile_has_nothing_to_read_again(idle, make_registers_only):
    with pytest.raises(UnsupportedError):
        idle([make_registers_only().plan()], reread(MIDNIGHT - DAY, MIDNIGHT))


def test_a_reread_that_hangs_is_a_time_out(idle, make_meter):
    with pytest.raises(ReadTimeoutError):
        idle([make_meter(slow_s=10**6).plan()], reread(MIDNIGHT - DAY, MIDNIGHT))
