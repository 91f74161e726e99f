"""A simulated day's world: what its seed decides, what o'clock it is, what was written down."""

import asyncio
import hashlib
import random
from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
QUIET_EVENING = timedelta(hours=2)  # a late row is an hour old by then, and was asked for again


class Crash(BaseException):
    """A process dies here. Not an Exception: nothing in it may survive by catching it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How bad the day is: probabilities per message or read, and how often in a day the rest."""

    loss: float = 0.10
    duplicate: float = 0.05
    held_back: float = 0.05
    delay_s: float = 3.0
    read_failure: float = 0.05
    late_row: float = 0.05
    crash_per_batch: float = 0.01
    crashes: float = 8.0
    power_loss: float = 0.5  # of the gateway's crashes
    link_breaks: float = 12.0
    partitions: float = 4.0
    broker_restarts: float = 2.0
    clock_jumps: float = 4.0
    full_disks: float = 2.0


NO_FAULTS = Faults(**{field.name: 0.0 for field in fields(Faults)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A local day somewhere; the meters keep its winter time all year, as meters do."""

    zone: str
    utc_offset_min: int
    day: date

    @property
    def start_utc(self) -> datetime:
        """The local midnight it begins with."""
        return self._midnight(self.day)

    @property
    def end_utc(self) -> datetime:
        """The local midnight it ends with, 23, 24 or 25 hours later."""
        return self._midnight(self.day + DAY)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), ZoneInfo(self.zone)).astimezone(UTC)


def place_of(seed: int) -> Place:
    """Return where and when a seed's day is: half of them on the days clocks are changed."""
    some_day = date(2026, 1, 1) + seed * 7 % 365 * DAY
    return (
        Place(zone="America/El_Salvador", utc_offset_min=-360, day=some_day),
        Place(zone="America/New_York", utc_offset_min=-300, day=date(2026, 3, 8)),
        Place(zone="America/El_Salvador", utc_offset_min=-360, day=some_day),
        Place(zone="America/New_York", utc_offset_min=-300, day=date(2026, 11, 1)),
    )[seed % 4]


@dataclass(slots=True)
class World:
    """Everything the seed decides, and everything that is written down about it.

    `clock_error` is what the gateway's wall clock is ahead of the truth; `cut` names the ways
    ("up", "down") nothing passes at the moment; `disk_full` is the gateway's.
    """

    seed: int
    faults: Faults = field(default_factory=Faults)
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    clock_error: timedelta = timedelta(0)
    cut: set[str] = field(default_factory=set)
    disk_full: bool = False
    rng: random.Random = field(init=False)
    place: Place = field(init=False)
    start_utc: datetime = field(init=False)
    _digest: Any = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.place = place_of(self.seed)
        self.start_utc = self.place.start_utc

    def now_utc(self) -> datetime:
        """Return the true time."""
        return self.start_utc + timedelta(seconds=now_s())

    def chance(self, probability: float) -> bool:
        """Let it happen, or not."""
        return self.rng.random() < probability

    async def pause(self, times_a_day: float) -> None:
        """Wait until something that happens so often happens again; for ever if it never does."""
        if times_a_day == 0:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(self.rng.expovariate(times_a_day / 86_400))

    def note(self, what: str, detail: object = "") -> None:
        """Write down that something happened now: the trace."""
        self.counts[what] += 1
        self._digest.update(f"{now_s():.6f} {what} {detail}\n".encode())

    def protest(self, what: str) -> None:
        """Write down that something happened that must not; the next check ends the day."""
        self.violations.append(f"{self.now_utc():%d %H:%M:%S} {what}")

    @property
    def trace(self) -> str:
        """The fingerprint of everything that happened, in order."""
        return str(self._digest.hexdigest())


def now_s() -> float:
    """Return the loop's time: the day began at 0."""
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class TrueClock:
    """The head-end's clock, and the meters': always right."""

    world: World

    def now_utc(self) -> datetime:
        """Return the true time."""
        return self.world.now_utc()

    def seconds_until(self, moment_utc: datetime) -> float:
        """Return the seconds to wait for a moment, 0 if it has passed."""
        return max(0.0, (moment_utc - self.now_utc()).total_seconds())


@dataclass(frozen=True, slots=True)
class GatewayClock:
    """The gateway's wall clock: it jumps, and is put right again."""

    world: World

    def now_utc(self) -> datetime:
        """Return what it shows."""
        return self.world.now_utc() + self.world.clock_error

    def seconds_until(self, moment_utc: datetime) -> float:
        """Return the seconds to wait until it shows a moment, if it does not jump meanwhile."""
        return max(0.0, (moment_utc - self.now_utc()).total_seconds())
