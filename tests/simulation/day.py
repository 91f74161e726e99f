"""A bad day lived through in virtual time: everything that can go wrong, checked every hour."""

import asyncio
import math
import random
from asyncio import FIRST_EXCEPTION
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from tests.simulation.ledger import TENANT_ID, Ledger
from tests.simulation.meters import METERS, Site
from tests.simulation.network import Broker
from tests.simulation.processes import ADDRESS, Gateway, HeadEnd, cut_power, kill, lives
from tests.simulation.virtual_time import VirtualLoop
from tests.simulation.world import NO_FAULTS, QUIET_EVENING, Faults, TrueClock, World

from quince.edge.agent import bus, clock_watch
from quince.edge.uplink import service as uplink_service
from quince.headend.assets.rules import read_registration
from quince.headend.platform.sqlite import open_connection
from quince.headend.wiring import register

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a flush to disk costs nothing there, and is still one
_HOUR_S = 3600
_LOOK_S = 45.0
_RESET_SHARE = 0.1  # of the clocks that are wrong


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Lend a folder where a commit is cheap, if there is such a place."""
    place = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with TemporaryDirectory(prefix="quince-day-", dir=place) as folder:
        yield Path(folder)


def live_through(seed: int, folder: Path, faults: Faults | None = None) -> tuple[World, Ledger]:
    """Live through one day of a seed; AssertionError says what broke, and when."""
    world = World(seed, faults or Faults())
    day = _Day(world, folder)
    loop = VirtualLoop()
    try:
        with _looking_rarely():
            loop.run_until_complete(day.pass_by())
    finally:
        loop.close()
    asyncio.run(day.ledger.check_local_day())
    return world, day.ledger


@contextmanager
def _looking_rarely() -> Iterator[None]:
    """Let loops that look now and then, whether anything was missed, look every 45 s.

    A day of looking every two seconds is three of its four seconds; what is promised must not
    depend on how often somebody looks.
    """
    with (
        patch.object(uplink_service, "IDLE_S_MAX", _LOOK_S),
        patch.object(bus, "RECHECK_S", _LOOK_S),
        patch.object(clock_watch, "WATCH_S", _LOOK_S),
    ):
        yield


class _Day:
    def __init__(self, world: World, folder: Path) -> None:
        self._world, self._outbox, headend = world, folder / "outbox.db", folder / "headend.db"
        headend.write_bytes(_registered(world.place.zone))
        self._site, self._broker = Site(world), Broker(world)
        self.ledger = Ledger(world, self._site, self._outbox, headend)
        self._gateway = Gateway(world, self._site, self._broker, self.ledger, self._outbox)
        self._headend = HeadEnd(world, self._broker, headend)

    async def pass_by(self) -> None:
        """Live through the local day, then through an evening without faults."""
        troubles = self._begin(
            lives(self._world, "gateway", self._gateway.live, self._end_gateway),
            lives(self._world, "head-end", self._headend.live, kill),
            self._jump_clock(),
            self._cut_ways(),
            self._restart_broker(),
            self._fill_disk(),
            self._break_links(),
            self._swap_meter(),
        )
        await self._watch(troubles, self._world.place.end_utc)
        self._calm_down()
        lives_on = self._begin(self._gateway.live(), self._headend.live())
        await self._watch(lives_on, self._world.place.end_utc + QUIET_EVENING)
        self.ledger.check_the_end()

    def _begin(self, *parts: Coroutine[Any, Any, None]) -> list["asyncio.Future[None]"]:
        return [asyncio.ensure_future(part) for part in parts]

    async def _watch(self, parts: list["asyncio.Future[None]"], until_utc: datetime) -> None:
        try:
            while (left := until_utc - self._world.now_utc()) > timedelta(0):
                await asyncio.wait(
                    parts, timeout=min(_HOUR_S, left.total_seconds()), return_when=FIRST_EXCEPTION
                )
                for part in parts:
                    if part.done():
                        part.result()
                self.ledger.check()
        finally:
            for part in parts:
                await kill(part)

    def _calm_down(self) -> None:
        self._world.faults = NO_FAULTS
        self._world.clock_error = timedelta(0)
        self._world.cut.clear()
        self._world.disk_full = False

    async def _end_gateway(self, life: "asyncio.Future[None]") -> None:
        if self._world.chance(self._world.faults.power_loss):
            await cut_power(life, self._world, self._outbox)
        else:
            await kill(life)

    # --- what goes wrong --------------------------------------------------------------------

    async def _jump_clock(self) -> None:
        world = self._world
        while True:
            await world.pause(world.faults.clock_jumps)
            world.clock_error = _some_error(world.rng)
            world.note("clock_jumped", world.clock_error)
            await asyncio.sleep(world.rng.uniform(300, 3 * _HOUR_S))
            world.clock_error = timedelta(0)
            world.note("clock_put_right")

    async def _cut_ways(self) -> None:
        world = self._world
        while True:
            await world.pause(world.faults.partitions)
            world.cut |= world.rng.choice(({"up"}, {"down"}, {"up", "down"}))
            world.note("partitioned", sorted(world.cut))
            await asyncio.sleep(math.exp(world.rng.uniform(math.log(60), math.log(5 * _HOUR_S))))
            world.cut.clear()

    async def _restart_broker(self) -> None:
        while True:
            await self._world.pause(self._world.faults.broker_restarts)
            self._world.note("broker_forgot", len(self._broker.unacknowledged))
            self._broker.restart()

    async def _break_links(self) -> None:
        while True:
            await self._world.pause(self._world.faults.link_breaks)
            self._broker.close_link()

    async def _fill_disk(self) -> None:
        world = self._world
        while True:
            await world.pause(world.faults.full_disks)
            world.disk_full = True
            world.note("disk_full")
            await asyncio.sleep(world.rng.uniform(600, 2 * _HOUR_S))
            world.disk_full = False

    async def _swap_meter(self) -> None:
        swapped_s = TrueClock(self._world).seconds_until(self._site.swapped_utc)
        await asyncio.sleep(swapped_s + self._world.rng.uniform(60, 1800))
        self._world.note("swap_told")
        self._gateway.swap()
        await asyncio.get_running_loop().create_future()


def _some_error(rng: random.Random) -> timedelta:
    """Return how wrong a clock is: by seconds, minutes, hours, or by years of a dead cell."""
    limit_s = rng.choice((10, 90, 1800, 6 * _HOUR_S))
    if rng.random() < _RESET_SHARE:
        return -timedelta(days=365 * 5)
    return timedelta(seconds=rng.uniform(-limit_s, limit_s))


@cache
def _registered(zone: str) -> bytes:
    """Return a head-end's database in which everybody is registered."""
    meters = "".join(
        f'[[meter]]\nid = "{meter_id}"\npremise = "-"\nzone = "{zone}"\n' for meter_id in METERS
    )
    text = (
        f'tenant = {{ id = {TENANT_ID}, name = "One", cells = ["{ADDRESS.cell}"] }}\n'
        f'[[gateway]]\nid = "{ADDRESS.gateway}"\ncell = "{ADDRESS.cell}"\n{meters}'
    )
    with scratch_folder() as folder:
        path = folder / "registered.db"
        asyncio.run(register(path, read_registration(text)))
        with closing(open_connection(path)) as db:
            db.execute("pragma wal_checkpoint(truncate)")
        return path.read_bytes()
