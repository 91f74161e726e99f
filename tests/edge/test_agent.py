"""The agent in virtual time, on meters that answer, sulk or lie."""

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quince.edge.agent import Agent, MeterPlan
from quince.edge.errors import TransportError
from quince.edge.outbox.store import Outbox
from quince.edge.readers.reader import ProfilePiece
from quince.edge.schedule.rules import jitter_s
from quince.model.errors import CodecError
from quince.model.interval import STEP, IntervalSeries, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality
from quince.protocols.gateway.messages import Envelope, decode_uplink, encode_uplink
from quince.protocols.gateway.topics import Lane

START = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
ACTIVE_EXPORT_INTERVAL = replace(ACTIVE_IMPORT_INTERVAL, c=2)
JITTER = timedelta(seconds=jitter_s("gw"))


class LoopClock:
    def now_utc(self):
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    def seconds_until(self, moment_utc):
        return max(0.0, (moment_utc - self.now_utc()).total_seconds())


class SteppingClock(LoopClock):
    """The wall clock of a machine that is corrected once."""

    def __init__(self, after_s, step):
        self.after_s, self.step = after_s, step

    def now_utc(self):
        stepped = asyncio.get_running_loop().time() >= self.after_s
        return super().now_utc() + (self.step if stepped else timedelta(0))


class FakeMeter:
    """Answers with one watt-hour a second; fails as often as it is told."""

    def __init__(self, meter_id="M1", failures=0, slow_s=0.0, behind=timedelta(0)):
        self.meter_id, self.failures, self.slow_s, self.behind = meter_id, failures, slow_s, behind
        self.visits = []
        self.late_rows = {}
        self.broken_day = None
        self.gateway_clock = LoopClock()

    @asynccontextmanager
    async def connect(self):
        self.visits.append(LoopClock().now_utc())
        await asyncio.sleep(self.slow_s)
        if self.failures:
            self.failures -= 1
            raise TransportError("no answer")
        yield self

    async def clock(self):
        return LoopClock().now_utc() - self.behind

    async def registers(self):
        at_utc = self.gateway_clock.now_utc()
        value = int(LoopClock().now_utc().timestamp())
        return [
            RegisterReading(
                meter_id=self.meter_id, obis=ACTIVE_IMPORT_REGISTER, at_utc=at_utc, value=value
            )
        ]

    async def intervals(self, start_utc, end_utc):
        if self.broken_day is not None and start_utc >= self.broken_day:
            raise CodecError("a row that cannot be")
        starts = [start_utc + i * STEP for i in range((end_utc - start_utc) // STEP)]
        now_utc = LoopClock().now_utc()
        written = [self.late_rows.get(start, start) <= now_utc for start in starts]
        series = IntervalSeries(
            meter_id=self.meter_id,
            obis=ACTIVE_IMPORT_INTERVAL,
            start_utc=start_utc,
            values=tuple(900 if there else None for there in written),
            quality=tuple(Quality.GOOD if there else Quality.MISSING for there in written),
        )
        return ProfilePiece(series=series)

    def plan(self, *, bus="bus", keeps_profile=True):
        return MeterPlan(
            meter_id=self.meter_id,
            bus=bus,
            keeps_profile=keeps_profile,
            utc_offset_min=-360,
            connect=self.connect,
        )


@pytest.fixture
def outbox(tmp_path):
    with Outbox(tmp_path / "outbox.db", random.Random(1)) as opened:
        yield opened


@pytest.fixture
def live(outbox, in_virtual_time):
    """Let an agent with these plans live for so many seconds."""

    async def life(plans, seconds, clock):
        agent = Agent(
            gateway="gw",
            plans=plans,
            backfill_days=1,
            outbox=outbox,
            stir=lambda: None,
            clock=clock,
        )
        running = asyncio.ensure_future(agent.run())
        await asyncio.sleep(seconds)
        running.cancel()
        await asyncio.wait([running])

    def run(plans, seconds, clock=None):
        in_virtual_time(life(plans, seconds, clock or LoopClock()))

    return run


def contents(outbox, lane):
    envelope = Envelope(epoch=1, lane=lane, seq=1, oldest_seq=1, sent_utc=START)
    messages = outbox.pending(lane, 0, 1000)
    return [decode_uplink(encode_uplink(envelope, message.body))[1] for message in messages]


def starts(outbox, lane):
    return [s.start_utc for content in contents(outbox, lane) for s in content.series]


def test_a_new_meter_is_read_at_once_today_before_yesterday(outbox, live):
    meter = FakeMeter()
    live([meter.plan()], 1)
    midnight = datetime(2026, 5, 2, 6, 0, tzinfo=UTC)
    assert meter.visits == [START]
    assert starts(outbox, Lane.LIVE) + starts(outbox, Lane.BACKFILL) == [midnight - STEP * 96]


def test_each_quarter_hour_is_read_once_after_the_gateways_jitter(outbox, live):
    meter = FakeMeter()
    live([meter.plan()], 3600)
    boundaries = [datetime(2026, 5, 2, 6, 15, tzinfo=UTC) + i * STEP for i in range(4)]
    assert meter.visits[1:] == [boundary + JITTER for boundary in boundaries]
    assert starts(outbox, Lane.LIVE)[1:] == [boundary - STEP for boundary in boundaries]


def test_a_row_the_meter_writes_late_is_read_when_it_is_there(outbox, live):
    late = datetime(2026, 5, 2, 6, 0, tzinfo=UTC)
    meter = FakeMeter()
    meter.late_rows[late] = late + timedelta(minutes=40)
    live([meter.plan()], 3600)
    lanes = (Lane.LIVE, Lane.BACKFILL)
    read = [s for lane in lanes for c in contents(outbox, lane) for s in c.series]
    values = [s.values[0] for s in read if s.start_utc == late]
    assert sorted(values, key=str) == [900, None, None]


def test_a_meter_whose_clock_is_behind_is_not_asked_for_the_future(outbox, live):
    meter = FakeMeter(behind=timedelta(minutes=20))
    live([meter.plan()], 1)
    (series,) = contents(outbox, Lane.LIVE)[0].series
    assert series.end_utc == datetime(2026, 5, 2, 5, 45, tzinfo=UTC)


def test_a_dead_meter_is_asked_ever_more_rarely_and_within_five_minutes(live):
    meter = FakeMeter(failures=10**6)
    live([meter.plan()], 3600)
    pauses = [after - before for before, after in zip(meter.visits, meter.visits[1:], strict=False)]
    assert [pause.total_seconds() for pause in pauses[:6]] == [5, 10, 20, 40, 80, 160]
    assert all(timedelta(0) < pause <= timedelta(seconds=300) for pause in pauses)


def test_a_meter_that_comes_back_loses_nothing(outbox, live):
    meter = FakeMeter(failures=9)
    live([meter.plan()], 3600)
    read = [
        s for lane in (Lane.LIVE, Lane.BACKFILL) for c in contents(outbox, lane) for s in c.series
    ]
    assert sum(len(series.values) for series in read) == 96 + 4


def test_a_dead_meter_does_not_hold_up_another_bus(live):
    dead, good = FakeMeter("M1", failures=10**6, slow_s=200), FakeMeter("M2")
    live([dead.plan(bus="a"), good.plan(bus="b")], 1000)
    assert len(good.visits) == 2


def test_a_meter_that_never_answers_costs_a_visit_and_no_more(live):
    hanging, good = FakeMeter("M1", slow_s=10**6), FakeMeter("M2")
    live([hanging.plan(), good.plan()], 1000)
    assert good.visits[0] == START + timedelta(seconds=300)


def test_a_meter_without_a_profile_is_sampled_on_the_border(outbox, live):
    meter = FakeMeter(slow_s=1)
    live([meter.plan(keeps_profile=False)], 3000)
    borders = [datetime(2026, 5, 2, 6, 15, tzinfo=UTC) + i * STEP for i in range(4)]
    assert meter.visits == borders[: len(meter.visits)]
    sampled = [s for content in contents(outbox, Lane.LIVE) for s in content.series]
    assert [(s.start_utc, s.values) for s in sampled] == [
        (borders[0], (900,)),
        (borders[1], (900,)),
    ]


def test_a_sample_that_comes_too_late_makes_no_interval(outbox, live):
    meter = FakeMeter(slow_s=61)
    live([meter.plan(keeps_profile=False)], 3000)
    assert starts(outbox, Lane.LIVE) == []


class SlowClockMeter(FakeMeter):
    """Stamps its registers with a clock that is three seconds slow."""

    async def registers(self):
        (reading,) = await super().registers()
        return [replace(reading, at_utc=reading.at_utc - timedelta(seconds=3))]


def test_a_meter_with_a_slow_clock_is_sampled_behind_its_own_border(outbox, live):
    live([SlowClockMeter().plan(keeps_profile=False)], 2 * 900 + 60)
    series = [series for content in contents(outbox, Lane.LIVE) for series in content.series]
    assert [one.values for one in series] == [(900,)]


def test_a_failed_sample_is_tried_again_while_it_still_tells_its_border(outbox, live):
    meter = FakeMeter(failures=2)
    live([meter.plan(keeps_profile=False)], 1600)
    border = datetime(2026, 5, 2, 6, 15, tzinfo=UTC)
    assert meter.visits[:3] == [border + timedelta(seconds=s) for s in (0, 5, 10)]
    (series,) = [s for content in contents(outbox, Lane.LIVE) for s in content.series]
    assert (series.start_utc, series.quality) == (border, (Quality.SAMPLED_LATE,))


def test_a_border_that_cannot_be_sampled_in_its_minute_is_given_up(live):
    meter = FakeMeter(failures=1000)
    live([meter.plan(keeps_profile=False)], 1600)
    seconds = [visit.minute % 15 * 60 + visit.second for visit in meter.visits]
    assert max(seconds) <= 60
    assert meter.visits[-1].minute == 30 or meter.visits[-1].minute == 31


def test_a_day_that_cannot_be_read_does_not_hide_the_days_behind_it(outbox, live):
    meter = FakeMeter()
    meter.broken_day = datetime(2026, 5, 2, 6, 0, tzinfo=UTC)
    live([meter.plan()], 1200)
    assert datetime(2026, 5, 1, 6, 0, tzinfo=UTC) in starts(outbox, Lane.LIVE) + starts(
        outbox, Lane.BACKFILL
    )
    assert len(meter.visits) > 3


def test_a_clock_set_back_leaves_no_meter_waiting_for_the_old_time(live):
    one, other = FakeMeter("M1"), FakeMeter("M2")
    stepping = SteppingClock(after_s=1000, step=timedelta(days=-30))
    live([one.plan(), other.plan()], 8000, clock=stepping)
    assert len(one.visits) > 6
    assert abs(len(one.visits) - len(other.visits)) <= 1


def test_a_clock_step_between_two_samples_makes_no_interval_of_them(outbox, live):
    meter = FakeMeter()
    stepping = SteppingClock(after_s=1000, step=timedelta(minutes=-10))
    meter.gateway_clock = stepping
    live([meter.plan(keeps_profile=False)], 6000, clock=stepping)
    sampled = [s for content in contents(outbox, Lane.LIVE) for s in content.series]
    assert len(sampled) >= 3
    assert {series.values for series in sampled} == {(900,)}


def test_a_register_that_rolls_over_is_sampled_as_if_it_had_not(live, outbox):
    rolls_over_at = int(START.timestamp()) + 900  # at 06:20, between two samples

    class RollingMeter(FakeMeter):
        async def registers(self):
            (reading,) = await super().registers()
            return [replace(reading, value=reading.value % rolls_over_at)]

    plan = RollingMeter().plan(keeps_profile=False)
    live([replace(plan, rolls_over_at={ACTIVE_IMPORT_REGISTER: rolls_over_at})], 1600)
    series = [series for content in contents(outbox, Lane.LIVE) for series in content.series]
    assert [one.values for one in series] == [(900,)]


class TwoWayMeter(FakeMeter):
    """Tells what it feeds in beside what it draws."""

    async def intervals(self, start_utc, end_utc):
        piece = await super().intervals(start_utc, end_utc)
        return replace(piece, others=(replace(piece.series, obis=ACTIVE_EXPORT_INTERVAL),))


def test_every_channel_of_a_meter_travels_with_its_active_import(live, outbox):
    live([TwoWayMeter().plan()], 10)
    channels = {tuple(series.obis for series in one.series) for one in contents(outbox, Lane.LIVE)}
    assert channels == {(ACTIVE_IMPORT_INTERVAL, ACTIVE_EXPORT_INTERVAL)}
