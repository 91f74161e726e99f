"""Meters that answer, sulk or lie, an agent that lives in virtual time, and what it kept."""

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from quince.edge.agent import Agent, MeterPlan
from quince.edge.errors import TransportError, UnsupportedError
from quince.edge.outbox.store import Outbox
from quince.edge.readers.reader import ProfilePiece
from quince.model.errors import CodecError
from quince.model.interval import STEP, IntervalSeries, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality
from quince.protocols.gateway.messages import Envelope, decode_uplink, encode_uplink
from quince.protocols.gateway.topics import Lane

START = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)


class LoopClock:
    """The true time: the virtual loop's."""

    start = START

    def now_utc(self):
        return self.start + timedelta(seconds=asyncio.get_running_loop().time())

    def seconds_until(self, moment_utc):
        return max(0.0, (moment_utc - self.now_utc()).total_seconds())


class SteppingClock(LoopClock):
    """The wall clock of a machine that is corrected once."""

    def __init__(self, after_s, step):
        self.after_s, self.step = after_s, step

    def now_utc(self):
        stepped = asyncio.get_running_loop().time() >= self.after_s
        return super().now_utc() + (self.step if stepped else timedelta(0))


class SpokenOverError(BaseException):
    """Two sessions on one wire. Not an Exception: no worker may survive it."""


class Line:
    """A wire that bears one session at a time."""

    def __init__(self):
        self.speaker = None
        self.turns = []


class FakeMeter:
    """Answers with one watt-hour a second; fails as often as it is told."""

    def __init__(self, meter_id="M1", *, line=None, failures=0, slow_s=0.0, behind=timedelta(0)):
        self.meter_id, self.failures, self.slow_s, self.behind = meter_id, failures, slow_s, behind
        self.line = line or Line()
        self.span_s = 0.0
        self.visits = []
        self.read = []
        self.late_rows = {}
        self.broken_day = None
        self.noise = set()  # which visit cannot hear which stretch
        self.clock_error = None
        self.reading_as = lambda reading: reading
        self.answering_as = lambda piece: piece
        self.true_clock = LoopClock()
        self.gateway_clock = LoopClock()

    @asynccontextmanager
    async def connect(self):
        if self.line.speaker is not None:
            raise SpokenOverError(self.line.speaker)
        self.line.speaker = self.meter_id
        self.line.turns.append(self.meter_id)
        self.visits.append(self.true_clock.now_utc())
        try:
            await asyncio.sleep(self.slow_s)
            if self.failures:
                self.failures -= 1
                raise TransportError("no answer")
            yield self
        finally:
            self.line.speaker = None

    async def clock(self):
        if self.clock_error is not None:
            raise self.clock_error
        return self.true_clock.now_utc() - self.behind

    async def registers(self):
        at_utc = self.gateway_clock.now_utc()
        value = int(self.true_clock.now_utc().timestamp())
        reading = RegisterReading(
            meter_id=self.meter_id, obis=ACTIVE_IMPORT_REGISTER, at_utc=at_utc, value=value
        )
        return [self.reading_as(reading)]

    async def intervals(self, start_utc, end_utc):
        await asyncio.sleep(self.span_s)
        if self.broken_day is not None and start_utc >= self.broken_day:
            raise CodecError("a row that cannot be")
        if (len(self.visits), start_utc) in self.noise:
            raise CodecError("noise")
        starts = [start_utc + i * STEP for i in range((end_utc - start_utc) // STEP)]
        now_utc = self.true_clock.now_utc()
        written = [self.late_rows.get(start, start) <= now_utc for start in starts]
        self.read.append((now_utc, start_utc, end_utc))
        series = IntervalSeries(
            meter_id=self.meter_id,
            obis=ACTIVE_IMPORT_INTERVAL,
            start_utc=start_utc,
            values=tuple(900 if there else None for there in written),
            quality=tuple(Quality.GOOD if there else Quality.MISSING for there in written),
        )
        return self.answering_as(ProfilePiece(series=series))

    def plan(self, *, bus="bus", keeps_profile=True):
        return MeterPlan(
            meter_id=self.meter_id,
            bus=bus,
            keeps_profile=keeps_profile,
            utc_offset_min=-360,
            connect=self.connect,
        )


class RegistersOnly(FakeMeter):
    """Keeps no profile."""

    async def intervals(self, start_utc, end_utc):
        raise UnsupportedError(f"no profile for {start_utc}..{end_utc}")

    def plan(self, *, bus="bus", keeps_profile=False):
        return super().plan(bus=bus, keeps_profile=keeps_profile)


class Kept:
    """What is in an outbox, in the test's words."""

    def __init__(self, outbox):
        self._outbox = outbox

    def contents(self, *lanes):
        envelope = Envelope(epoch=1, lane=Lane.LIVE, seq=1, oldest_seq=1, sent_utc=START)
        return [
            decode_uplink(encode_uplink(envelope, message.body))[1]
            for message in self._outbox.messages()
            if message.lane in lanes
        ]

    def series(self, *lanes):
        chosen = lanes or (Lane.LIVE, Lane.BACKFILL)
        return [series for content in self.contents(*chosen) for series in content.series]

    def starts(self, *lanes):
        return [series.start_utc for series in self.series(*lanes)]

    def events(self):
        contents = self.contents(Lane.EVENTS)
        return [(str(one.kind), one.detail) for each in contents for one in each.gateway_events]


@pytest.fixture
def outbox(tmp_path):
    with Outbox(tmp_path / "outbox.db", random.Random(1)) as opened:
        yield opened


@pytest.fixture
def kept(outbox):
    return Kept(outbox)


@pytest.fixture
def clock():
    return LoopClock()


@pytest.fixture
def stepping():
    """Make a wall clock that is corrected once: after so many seconds, by so much."""
    return SteppingClock


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def make_meter():
    return FakeMeter


@pytest.fixture
def make_registers_only():
    return RegistersOnly


@pytest.fixture
def live(outbox, in_virtual_time):
    """Let an agent with these plans live for so many seconds, while `visitor(agent)` is there."""

    async def life(plans, seconds, clock, backfill_days, visitor):
        agent = Agent(
            gateway="gw",
            plans=plans,
            backfill_days=backfill_days,
            outbox=outbox,
            stir=lambda: None,
            clock=clock,
            boot="this one",
        )
        running = asyncio.ensure_future(agent.run())
        visiting = asyncio.ensure_future(visitor(agent))
        await asyncio.sleep(seconds)
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])
        return await asyncio.wait_for(visiting, 0)

    async def nobody(_agent):
        return None

    def run(plans, seconds, *, clock=None, backfill_days=1, visitor=nobody):
        return in_virtual_time(life(plans, seconds, clock or LoopClock(), backfill_days, visitor))

    return run
