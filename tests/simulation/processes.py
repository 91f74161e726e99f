"""The two processes as the simulation runs them: the real parts, started, killed, started again."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.simulation.ledger import Ledger
from tests.simulation.meters import (
    METERS,
    NEW,
    OLD,
    PROFILED,
    ROLLING,
    ROLLS_OVER_AT,
    SAMPLED,
    STEADY,
    ProfiledReader,
    SimulatedReader,
    Site,
)
from tests.simulation.network import Broker
from tests.simulation.world import Crash, GatewayClock, TrueClock, World

from quince.edge.agent import Agent, MeterPlan
from quince.edge.errors import LinkError
from quince.edge.outbox.store import Outbox, Round
from quince.edge.uplink.service import Uplink
from quince.headend.ingest.consumer import consume
from quince.headend.wiring import open_ingest
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.gateway.topics import GatewayAddress

ADDRESS = GatewayAddress(cell="sv-1", gateway="gw-1")
_BUS_OF = {STEADY: "a", OLD: "b", NEW: "b", SAMPLED: "c", ROLLING: "c"}
_TORN_OCTETS_MAX = 5_000  # more than a page and its frame's head


class WitnessedOutbox(Outbox):
    """An outbox that tells the ledger what it accepted, and whose disk may be full."""

    def __init__(self, path: Path, world: World, ledger: Ledger) -> None:
        super().__init__(path, world.rng)
        self._world, self._ledger = world, ledger
        (self._room,) = self._db.execute("pragma max_page_count").fetchone()

    def record(self, round_: Round) -> None:
        """Commit, then tell; a full disk has as many pages as are in use."""
        pages = 1 if self._world.disk_full else self._room
        self._db.execute(f"pragma max_page_count={pages}")
        super().record(round_)
        self._ledger.accept(round_)


class Gateway:
    """The edge process of one site: it has one life at a time, on what the last one left."""

    def __init__(
        self, world: World, site: Site, broker: Broker, ledger: Ledger, outbox: Path
    ) -> None:
        self._world, self._site, self._broker = world, site, broker
        self._ledger, self._outbox = ledger, outbox
        self._all = {meter_id: self._plan(meter_id) for meter_id in METERS}
        self._second = OLD
        self._agent: Agent | None = None

    async def live(self) -> None:
        """Read, keep and deliver, for ever."""
        clock = GatewayClock(self._world)
        with WitnessedOutbox(self._outbox, self._world, self._ledger) as outbox:
            uplink = Uplink(outbox, ADDRESS, clock)
            agent = self._agent = Agent(
                gateway=ADDRESS.gateway,
                plans=self._plans(),
                backfill_days=1,
                outbox=outbox,
                stir=uplink.stir,
                clock=clock,
                boot=f"boot {self._world.counts['power_lost']}",
            )
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._sessions(uplink))
                    tasks.create_task(agent.run())
            finally:
                self._agent = None
                self._broker.close_link()

    def swap(self) -> None:
        """Read the new meter instead of the old one: at once, or from the next life on."""
        self._second = NEW
        if self._agent is not None:
            self._agent.replace(self._plans())

    async def _sessions(self, uplink: Uplink) -> None:
        while True:
            try:
                await uplink.run(self._broker.open_link())
            except* LinkError:
                self._world.note("link_broke")
            await asyncio.sleep(self._world.rng.uniform(1, 300))

    def _plans(self) -> list[MeterPlan]:
        return [self._all[meter_id] for meter_id in (STEADY, self._second, SAMPLED, ROLLING)]

    def _plan(self, meter_id: str) -> MeterPlan:
        rolling = {ACTIVE_IMPORT_REGISTER: ROLLS_OVER_AT} if meter_id == ROLLING else {}
        return MeterPlan(
            meter_id=meter_id,
            bus=_BUS_OF[meter_id],
            keeps_profile=meter_id in PROFILED,
            utc_offset_min=self._world.place.utc_offset_min,
            connect=lambda: self._connect(meter_id),
            rolls_over_at=rolling,
        )

    def _connect(self, meter_id: str) -> AbstractAsyncContextManager[Any]:
        kind = ProfiledReader if meter_id in PROFILED else SimulatedReader

        @asynccontextmanager
        async def connect() -> Any:
            yield kind(self._world, self._site, meter_id)

        return connect()


class HeadEnd:
    """The head-end process, on the database the last one left."""

    def __init__(self, world: World, broker: Broker, database: Path) -> None:
        self._world, self._broker, self._database = world, broker, database

    async def live(self) -> None:
        """Ingest, for ever."""
        with open_ingest(self._database) as ingest:
            self._broker.redeliver()
            await consume(self._broker, ingest, TrueClock(self._world))


async def lives(world: World, name: str, live: Callable[[], Awaitable[None]], end: Any) -> None:
    """Start a process, kill it at a random moment, start it again, for ever."""
    while True:
        life = asyncio.ensure_future(live())
        pause = asyncio.ensure_future(world.pause(world.faults.crashes))
        try:
            await asyncio.wait([life, pause], return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            await end(life)
        world.note("crashed", name)
        await asyncio.sleep(world.rng.uniform(1, 900))


async def kill(life: "asyncio.Future[None]") -> None:
    """End a process; one that has ended of its own fault fails the day."""
    life.cancel()
    try:
        await life
    except (asyncio.CancelledError, Crash):
        return
    except BaseExceptionGroup as group:
        _, faults = group.split((asyncio.CancelledError, Crash))
        if faults is not None:
            raise


async def cut_power(life: "asyncio.Future[None]", world: World, path: Path) -> None:
    """End the gateway with what its disk had at that moment, and half a write behind it."""
    log = path.with_name(path.name + "-wal")
    kept = {one: one.read_bytes() for one in (path, log) if one.exists()}
    await kill(life)
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    for one, octets in kept.items():
        one.write_bytes(octets)
    if log in kept:
        with log.open("ab") as torn:
            torn.write(kept[log][-world.rng.randrange(_TORN_OCTETS_MAX) :])
    world.note("power_lost")
