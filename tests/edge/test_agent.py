"""The agent in virtual time, on meters that answer, sulk or lie."""

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from quince.edge.agent import Agent, MeterPlan
from quince.edge.errors import TransportError
from quince.edge.outbox.store import Outbox
from quince.edge.readers.reader import ProfilePiece
from quince.edge.schedule.rules import jitter_s
from quince.model.interval import STEP, IntervalSeries, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality
from quince.protocols.gateway.messages import Envelope, decode_uplink, encode_uplink
from quince.protocols.gateway.topics import Lane

START = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
JITTER = timedelta(seconds=jitter_s("gw"))


class LoopClock:
    def now_utc(self):
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    def seconds_until(self, moment_utc):
        return max(0.0, (moment_utc - self.now_utc()).total_seconds())


class FakeMeter:
    """Answers with one watt-hour a second; fails as often as it is told."""

    def __init__(self, meter_id="M1", failures=0, slow_s=0.0, behind=timedelta(0)):
        self.meter_id, self.failures, self.slow_s, self.behind = meter_id, failures, slow_s, behind
        self.visits = []
        self.late_rows = {}

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
        at_utc = LoopClock().now_utc()
        value = int(at_utc.timestamp())
        return [
            RegisterReading(
                meter_id=self.meter_id, obis=ACTIVE_IMPORT_REGISTER, at_utc=at_utc, value=value
            )
        ]

    async def intervals(self, start_utc, end_utc):
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

    async def life(plans, seconds):
        agent = Agent(
            gateway="gw",
            plans=plans,
            backfill_days=1,
            outbox=outbox,
            stir=lambda: None,
            clock=LoopClock(),
        )
        running = asyncio.ensure_future(agent.run())
        await asyncio.sleep(seconds)
        running.cancel()
        await asyncio.wait([running])

    return lambda plans, seconds: in_virtual_time(life(plans, seconds))


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
    assert [pause.total_seconds() for pause in pauses[:8]] == [5, 10, 20, 40, 80, 160, 300, 300]


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


def test_a_failed_sample_is_not_tried_again_before_its_next_border(live):
    meter = FakeMeter(failures=1)
    live([meter.plan(keeps_profile=False)], 1600)
    assert meter.visits == [datetime(2026, 5, 2, 6, m, tzinfo=UTC) for m in (15, 30)]
