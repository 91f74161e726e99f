"""The simulated meters: which device hangs where and when, and what it truly measured."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from tests.simulation.world import DAY, GatewayClock, World

from quince.edge.errors import TransportError
from quince.edge.readers.reader import Identity, ProfilePiece, WithoutProfile
from quince.firmware_sims.load import Household
from quince.model.interval import STEP, STEP_S, IntervalSeries, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality

STEADY, OLD, NEW, SAMPLED, ROLLING = "QN-1", "QN-2", "QN-3", "QN-4", "QN-5"
METERS = (STEADY, OLD, NEW, SAMPLED, ROLLING)
PROFILED = (STEADY, OLD, NEW)
ROLLS_OVER_AT = 1_000_000
_ROW_LATE_MAX = timedelta(minutes=40)  # an hour is what the gateway waits for a row


@cache
def household(seed: int) -> Household:
    """Return one of a few households: a pattern of four weeks costs more than a simulated hour."""
    return Household(seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One piece of hardware on the wall, from when to when, and where its register began."""

    serial: str
    household: Household
    hung_utc: datetime
    taken_utc: datetime
    begins_at: int = 0
    rolls_over_at: int | None = None

    def hangs(self, at_utc: datetime) -> bool:
        """Say whether it is there."""
        return self.hung_utc <= at_utc < self.taken_utc

    def grown(self, from_utc: datetime, to_utc: datetime) -> int:
        """Return the energy it measured in [from, to), both while it hung there."""
        return self.household.register_wh(to_utc) - self.household.register_wh(from_utc)

    def register(self, at_utc: datetime) -> int:
        """Return what its register shows."""
        total = self.begins_at + self.grown(self.hung_utc, at_utc)
        return total if self.rolls_over_at is None else total % self.rolls_over_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """A register as it was read: the gateway's time, the true time, the device, the value."""

    wall_utc: datetime
    true_utc: datetime
    device: Device
    value: int


class Site:
    """Every wall and what hangs on it; what was glanced at is remembered."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._forgetful = world.seed % 3 == 0  # these meters' profiles have holes
        before, after = world.start_utc - 3 * DAY, world.start_utc + 3 * DAY
        span_s = (world.place.end_utc - world.start_utc).total_seconds()
        moment = timedelta(seconds=world.rng.uniform(0.2, 0.8) * span_s)
        self.swapped_utc = world.start_utc + moment
        restarted_utc = world.start_utc + world.rng.uniform(0.1, 0.9) * moment

        def device(serial: str, seed: int, hung: datetime, taken: datetime, **more: int) -> Device:
            return Device(
                serial=serial, household=household(seed), hung_utc=hung, taken_utc=taken, **more
            )

        rolling = {"begins_at": ROLLS_OVER_AT - 40_000, "rolls_over_at": ROLLS_OVER_AT}
        self.walls: dict[str, tuple[Device, ...]] = {
            STEADY: (device("A", 1, before, after, begins_at=10_000),),
            OLD: (device("B", 2, before, self.swapped_utc, begins_at=70_000),),
            NEW: (device("C", 2, self.swapped_utc, after),),
            SAMPLED: (
                device("D", 3, before, restarted_utc, begins_at=500_000),
                device("E", 3, restarted_utc, after, begins_at=2),
            ),
            ROLLING: (device("F", 4, before, after, **rolling),),
        }
        self.glances: dict[str, list[Glance]] = {meter_id: [] for meter_id in METERS}

    def device(self, meter_id: str, at_utc: datetime) -> Device | None:
        """Return what hangs there under that name."""
        return next((one for one in self.walls[meter_id] if one.hangs(at_utc)), None)

    def truth(self, meter_id: str, start_utc: datetime) -> int | None:
        """Return what a meter's profile has for an interval; now and then it has nothing."""
        slot = int(start_utc.timestamp()) // STEP_S
        device = self.device(meter_id, start_utc)
        if device is None or start_utc + STEP > device.taken_utc:
            return None
        if self._forgetful and slot % 41 == 0:
            return None
        return device.grown(start_utc, start_utc + STEP)

    def written_utc(self, meter_id: str, start_utc: datetime) -> datetime:
        """Return when the row of an interval is there: at its end, or late."""
        slot = int(start_utc.timestamp()) // STEP_S
        dice = (slot * 2_654_435_761 + METERS.index(meter_id) * 40_503) % 10_000
        late = dice < self._world.faults.late_row * 10_000
        return start_utc + STEP + (_ROW_LATE_MAX * (dice % 100) / 100 if late else timedelta(0))

    def glance(self, meter_id: str) -> Glance:
        """Read a register now; TransportError where nothing hangs."""
        now_utc = self._world.now_utc()
        device = self.device(meter_id, now_utc)
        if device is None:
            raise TransportError("nothing hangs there")
        glance = Glance(
            wall_utc=GatewayClock(self._world).now_utc(),
            true_utc=now_utc,
            device=device,
            value=device.register(now_utc),
        )
        self.glances[meter_id].append(glance)
        return glance


class SimulatedReader(WithoutProfile):
    """A meter without a profile or a clock, answering when the line is good."""

    def __init__(self, world: World, site: Site, meter_id: str) -> None:
        self._world, self._site, self._meter_id = world, site, meter_id

    async def identify(self) -> Identity:
        """Return the serial number of what hangs there."""
        await self._line()
        return Identity(serial=self._site.glance(self._meter_id).device.serial)

    async def clock(self) -> datetime:
        """Return the gateway's time, for want of one."""
        await self._line()
        return GatewayClock(self._world).now_utc()

    async def registers(self) -> list[RegisterReading]:
        """Return the register as it stands."""
        await self._line()
        glance = self._site.glance(self._meter_id)
        return [self._reading(glance.wall_utc, glance.value)]

    def _reading(self, at_utc: datetime, value: int) -> RegisterReading:
        return RegisterReading(
            meter_id=self._meter_id, obis=ACTIVE_IMPORT_REGISTER, at_utc=at_utc, value=value
        )

    async def _line(self) -> None:
        await asyncio.sleep(self._world.rng.uniform(0.01, 0.5))
        if self._world.chance(self._world.faults.read_failure):
            self._world.note("read_failed", self._meter_id)
            raise TransportError("the line is bad")
        if self._site.device(self._meter_id, self._world.now_utc()) is None:
            raise TransportError("nothing hangs there")


class ProfiledReader(SimulatedReader):
    """A meter with a load profile and a clock that is right."""

    async def clock(self) -> datetime:
        """Return the true time."""
        await self._line()
        return self._world.now_utc()

    async def registers(self) -> list[RegisterReading]:
        """Return the register as it stands, under the meter's own time."""
        await self._line()
        glance = self._site.glance(self._meter_id)
        return [self._reading(glance.true_utc, glance.value)]

    async def intervals(self, start_utc: datetime, end_utc: datetime) -> ProfilePiece:  # type: ignore[override]  # this one has a profile
        """Return what the profile has, and the registers at both borders."""
        await self._line()
        starts = [start_utc + i * STEP for i in range((end_utc - start_utc) // STEP)]
        values = tuple(map(self._row, starts))
        series = IntervalSeries(
            meter_id=self._meter_id,
            obis=ACTIVE_IMPORT_INTERVAL,
            start_utc=start_utc,
            values=values,
            quality=tuple(Quality.MISSING if v is None else Quality.GOOD for v in values),
        )
        return ProfilePiece(series=series, readings=tuple(self._borders(start_utc, end_utc)))

    def _row(self, start_utc: datetime) -> int | None:
        if self._site.written_utc(self._meter_id, start_utc) > self._world.now_utc():
            return None
        return self._site.truth(self._meter_id, start_utc)

    def _borders(self, *moments: datetime) -> list[RegisterReading]:
        there = [(at_utc, self._site.device(self._meter_id, at_utc)) for at_utc in moments]
        return [
            self._reading(at_utc, device.register(at_utc))
            for at_utc, device in there
            if device is not None and at_utc <= self._world.now_utc()
        ]
