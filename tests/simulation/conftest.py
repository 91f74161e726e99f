"""A simulated day: one gateway, a lossy link, the head-end; real stores, virtual time, one seed."""

import asyncio
import hashlib
import itertools
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quince.edge.agent import Agent, MeterPlan
from quince.edge.errors import LinkError, TransportError
from quince.edge.outbox.store import Outbox, Round
from quince.edge.readers.reader import ProfilePiece
from quince.edge.uplink.service import Uplink
from quince.firmware_sims.load import Household
from quince.headend.assets.rules import read_registration
from quince.headend.ingest.consumer import consume
from quince.headend.intervals.service import read_stretch
from quince.headend.intervals.store import SqliteIntervalStore
from quince.headend.platform.sqlite import open_connection
from quince.headend.wiring import open_ingest, register
from quince.model.interval import STEP, IntervalSeries, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality
from quince.protocols.gateway.messages import Envelope, decode_uplink, encode_uplink
from quince.protocols.gateway.topics import GatewayAddress, Lane

START = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ADDRESS = GatewayAddress(cell="sv-1", gateway="gw-1")
TENANT_ID = 1
PROFILED, SAMPLED = "QN-1", "QN-2"
HOUSEHOLDS = {PROFILED: Household(seed=1), SAMPLED: Household(seed=2)}

REGISTRATION = """
tenant = { id = 1, name = "One", cells = ["sv-1"] }
[[gateway]]
id = "gw-1"
cell = "sv-1"
"""

Slots = dict[tuple[str, datetime], int]


class Crash(BaseException):
    """A process dies here. Not an Exception: nothing in it may survive by catching it."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How bad the day is."""

    loss: float = 0.10
    duplicate: float = 0.05
    delay_s: float = 3.0
    read_failure: float = 0.05
    crash_per_ack: float = 0.01
    hours_between_crashes: float = 3.0


@dataclass(slots=True)
class World:
    """Everything the seed decides, and everything that is written down about it."""

    seed: int
    faults: Faults = field(default_factory=Faults)
    counts: Counter[str] = field(default_factory=Counter)
    accepted: Slots = field(default_factory=dict)
    stored: Slots = field(default_factory=dict)
    waiting: Slots = field(default_factory=dict)
    rng: random.Random = field(init=False)
    _digest: Any = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def chance(self, probability: float) -> bool:
        """Let it happen, or not."""
        return self.rng.random() < probability

    def note(self, what: str, detail: object = "") -> None:
        """Write down that something happened now: the trace."""
        self.counts[what] += 1
        self._digest.update(f"{now_s():.6f} {what} {detail}\n".encode())

    @property
    def trace(self) -> str:
        """The fingerprint of everything that happened, in order."""
        return str(self._digest.hexdigest())


def now_s() -> float:
    return asyncio.get_running_loop().time()


class LoopClock:
    """The wall clock of a virtual loop."""

    def now_utc(self) -> datetime:
        return START + timedelta(seconds=now_s())

    def seconds_until(self, moment_utc: datetime) -> float:
        return max(0.0, (moment_utc - self.now_utc()).total_seconds())


# --- the meters -------------------------------------------------------------------------


class SimulatedReader:
    """A meter answered from its household's truth, when the line is good."""

    def __init__(self, world: World, meter_id: str) -> None:
        self._world, self._meter_id = world, meter_id
        self._household = HOUSEHOLDS[meter_id]

    async def clock(self) -> datetime:
        await self._line()
        return LoopClock().now_utc()

    async def registers(self) -> list[RegisterReading]:
        await self._line()
        at_utc = LoopClock().now_utc()
        return [
            RegisterReading(
                meter_id=self._meter_id,
                obis=ACTIVE_IMPORT_REGISTER,
                at_utc=at_utc,
                value=self._household.register_wh(at_utc),
            )
        ]

    async def intervals(self, start_utc: datetime, end_utc: datetime) -> ProfilePiece:
        await self._line()
        starts = [start_utc + i * STEP for i in range((end_utc - start_utc) // STEP)]
        values = tuple(truth(self._meter_id, start) for start in starts)
        quality = tuple(Quality.MISSING if v is None else Quality.GOOD for v in values)
        series = IntervalSeries(
            meter_id=self._meter_id,
            obis=ACTIVE_IMPORT_INTERVAL,
            start_utc=start_utc,
            values=values,
            quality=quality,
        )
        return ProfilePiece(series=series)

    async def _line(self) -> None:
        await asyncio.sleep(self._world.rng.uniform(0.01, 0.5))
        if self._world.chance(self._world.faults.read_failure):
            self._world.note("read_failed", self._meter_id)
            raise TransportError("the line is bad")


def truth(meter_id: str, start_utc: datetime) -> int | None:
    """What the meter has for an interval; now and then it has nothing."""
    if meter_id == PROFILED and int(start_utc.timestamp()) // 900 % 41 == 0:
        return None
    return HOUSEHOLDS[meter_id].interval_wh(start_utc)


# --- the link ---------------------------------------------------------------------------


@dataclass(slots=True)
class Delivery:
    """A message at the head-end's door, there until it is acknowledged."""

    world: World
    door: "Broker"
    number: int
    topic: str
    payload: bytes

    def ack(self) -> None:
        if self.world.chance(self.world.faults.crash_per_ack):
            self.world.note("crash_before_puback", self.number)
            raise Crash
        self.door.unacknowledged.pop(self.number, None)


class Broker:
    """A broker that loses, repeats and delays, both ways."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count()
        self._arrived: asyncio.Queue[Delivery] = asyncio.Queue()
        self.unacknowledged: dict[int, Delivery] = {}
        self.down: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    # the head-end's side

    async def take(self, max_messages: int) -> list[Delivery]:
        taken = [await self._arrived.get()]
        while len(taken) < max_messages and not self._arrived.empty():
            taken.append(self._arrived.get_nowait())
        return taken

    async def publish(self, topic: str, payload: bytes) -> None:
        self._carry("down", lambda: self.down.put_nowait((topic, payload)))

    def redeliver(self) -> None:
        """The head-end has a new session: what it did not acknowledge comes again."""
        self._arrived = asyncio.Queue()
        for delivery in self.unacknowledged.values():
            self._arrived.put_nowait(delivery)

    # the gateway's side

    def accept(self, topic: str, payload: bytes) -> None:
        self._carry("up", lambda: self._arrive(topic, payload))

    def _arrive(self, topic: str, payload: bytes) -> None:
        delivery = Delivery(self._world, self, next(self._numbers), topic, payload)
        self.unacknowledged[delivery.number] = delivery
        self._arrived.put_nowait(delivery)

    def _carry(self, way: str, deliver: Callable[[], None]) -> None:
        if self._world.chance(self._world.faults.loss):
            self._world.note(f"lost_{way}")
            return
        copies = 2 if self._world.chance(self._world.faults.duplicate) else 1
        for _ in range(copies):
            delay_s = self._world.rng.expovariate(1 / self._world.faults.delay_s)
            asyncio.get_running_loop().call_later(delay_s, deliver)
        self._world.note(f"carried_{way}", copies)


class GatewayLink:
    """The gateway's session with the broker; it breaks now and then."""

    def __init__(self, world: World, broker: Broker) -> None:
        self._world, self._broker = world, broker
        self._breaks_at_s = now_s() + world.rng.expovariate(1 / 7200)

    async def publish(self, topic: str, payload: bytes) -> None:
        await asyncio.sleep(0.05)
        if now_s() > self._breaks_at_s:
            self._world.note("link_broke")
            raise LinkError("broken")
        self._broker.accept(topic, payload)

    async def receive(self) -> tuple[str, bytes]:
        return await self._broker.down.get()


# --- the processes ----------------------------------------------------------------------


class WitnessedOutbox(Outbox):
    """An outbox that tells the world what it accepted, once it is committed."""

    def __init__(self, path: Path, world: World) -> None:
        super().__init__(path, world.rng)
        self._world = world

    def record(self, round_: Round) -> None:
        super().record(round_)
        for _, content in round_.messages:
            for series in content.series:
                self._world.accepted |= slots_of(series)
                self._world.note("accepted", (series.meter_id, series.start_utc, series.values))


async def gateway_process(world: World, broker: Broker, path: Path, *, reads: bool) -> None:
    """One life of the edge process, on the outbox the last one left."""
    clock = LoopClock()
    with WitnessedOutbox(path, world) as outbox:
        uplink = Uplink(outbox, ADDRESS, clock)
        agent = Agent(
            gateway=ADDRESS.gateway,
            plans=[plan(world, PROFILED), plan(world, SAMPLED)],
            backfill_days=1,
            outbox=outbox,
            stir=uplink.stir,
            clock=clock,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(sessions(world, broker, uplink))
            if reads:
                tasks.create_task(agent.run())


def plan(world: World, meter_id: str) -> MeterPlan:
    @asynccontextmanager
    async def connect() -> Any:
        yield SimulatedReader(world, meter_id)

    return MeterPlan(
        meter_id=meter_id,
        bus=meter_id,
        keeps_profile=meter_id == PROFILED,
        utc_offset_min=-360,
        connect=connect,
    )


async def sessions(world: World, broker: Broker, uplink: Uplink) -> None:
    while True:
        try:
            await uplink.run(GatewayLink(world, broker))
        except* LinkError:
            await asyncio.sleep(world.rng.uniform(1, 300))


async def headend_process(broker: Broker, path: Path) -> None:
    """One life of the head-end process."""
    with open_ingest(path) as ingest:
        broker.redeliver()
        await consume(broker, ingest, LoopClock())


async def lives(world: World, name: str, process: Callable[[], Any]) -> None:
    """Start a process, kill it at a random moment, start it again, for ever."""
    while True:
        life = asyncio.ensure_future(process())
        lifetime_s = world.rng.expovariate(1 / (world.faults.hours_between_crashes * 3600))
        try:
            await asyncio.wait([life], timeout=lifetime_s)
        finally:
            await kill(life)
        world.note("crashed", name)
        await asyncio.sleep(world.rng.uniform(1, 900))


async def kill(life: "asyncio.Future[Any]") -> None:
    """End a process; one that has ended of its own fault fails the test."""
    life.cancel()
    try:
        await life
    except (asyncio.CancelledError, Crash):
        return
    except BaseExceptionGroup as group:
        _, faults = group.split((asyncio.CancelledError, Crash))
        if faults is not None:
            raise


async def simulate(world: World, outbox_path: Path, headend_path: Path) -> None:
    """Live through a bad day, checking law 1 every hour; then a quiet evening drains the outbox."""
    broker = Broker(world)
    bad = [
        asyncio.ensure_future(lives(world, name, process))
        for name, process in {
            "gateway": lambda: gateway_process(world, broker, outbox_path, reads=True),
            "head-end": lambda: headend_process(broker, headend_path),
        }.items()
    ]
    for _ in range(24):
        await asyncio.sleep(3600)
        check_law_one(world, outbox_path, headend_path)
    for life in bad:
        await kill(life)
    world.faults = Faults(loss=0, duplicate=0, read_failure=0, crash_per_ack=0)
    quiet = [
        asyncio.ensure_future(gateway_process(world, broker, outbox_path, reads=False)),
        asyncio.ensure_future(headend_process(broker, headend_path)),
    ]
    await asyncio.sleep(3600)
    for life in quiet:
        await kill(life)


# --- what must hold ---------------------------------------------------------------------


def check_law_one(world: World, outbox_path: Path, headend_path: Path) -> None:
    """Accepted = in the head-end with that value, or still in the outbox with that value."""
    stored, waiting = stored_slots(headend_path), waiting_slots(outbox_path, world.rng)
    for slot, value in world.accepted.items():
        assert stored.get(slot, waiting.get(slot)) == value, slot
    for slot, value in stored.items():
        assert world.accepted.get(slot) == value, slot


def stored_slots(path: Path) -> Slots:
    connection = open_connection(path)
    intervals = SqliteIntervalStore(connection)
    found: Slots = {}
    for channel in intervals.channels(tenant_id=TENANT_ID, meter_ids=[PROFILED, SAMPLED]):
        start_utc = START - 2 * DAY
        stretch = read_stretch(
            intervals,
            tenant_id=TENANT_ID,
            channel_id=channel.channel_id,
            start_utc=start_utc,
            end_utc=START + 2 * DAY,
        )
        for index, value in enumerate(stretch.values.tolist()):
            if value >= 0:
                found[channel.meter_id, start_utc + index * STEP] = value
    connection.close()
    return found


def waiting_slots(path: Path, rng: random.Random) -> Slots:
    envelope = Envelope(epoch=1, lane=Lane.LIVE, seq=1, oldest_seq=1, sent_utc=START)
    found: Slots = {}
    if not path.exists():
        return found
    with Outbox(path, rng) as outbox:
        for message in outbox.messages():
            _, content = decode_uplink(encode_uplink(envelope, message.body))
            for series in content.series:
                found |= slots_of(series)
    return found


def slots_of(series: IntervalSeries) -> Slots:
    return {
        (series.meter_id, series.start_utc + index * STEP): value
        for index, value in enumerate(series.values)
        if value is not None
    }


# --- the fixtures -----------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for a `seed` as many as the command line says."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("--simulated-days")))


@pytest.fixture
def expected() -> Slots:
    """What must be in the head-end at the day's end: all the profiled meter had, but the last."""
    first = START - DAY
    starts = [first + i * STEP for i in range(2 * 96 - 8)]  # the last two hours may be under way
    slots = {(PROFILED, start): truth(PROFILED, start) for start in starts}
    return {slot: value for slot, value in slots.items() if value is not None}


@pytest.fixture
def simulated_day(tmp_path: Path, in_virtual_time: Callable[..., Any]) -> Callable[..., World]:
    """Live through one day of a seed, in a folder of its own."""

    def run(seed: int, *, faults: Faults | None = None) -> World:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        headend_path = folder / "headend.db"
        asyncio.run(register(headend_path, read_registration(REGISTRATION)))
        world = World(seed, faults or Faults())
        in_virtual_time(simulate(world, folder / "outbox.db", headend_path))
        world.stored = stored_slots(headend_path)
        world.waiting = waiting_slots(folder / "outbox.db", world.rng)
        return world

    return run
