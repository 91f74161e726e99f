"""What the gateway asks of any meter, whatever it speaks: to be read, and to be told."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import NoReturn, Protocol

from quince.edge.errors import UnsupportedError
from quince.model.errors import InvalidValueError
from quince.model.interval import IntervalSeries, RegisterReading
from quince.model.meter_key import MeterKey
from quince.model.obis import Obis
from quince.protocols.modbus.points import unit_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePiece:
    """A stretch of a load profile, and the registers the same rows tell at its two borders.

    `series` is active import, which coverage is counted by; `others` are the further channels
    over the same quarter-hours.
    """

    series: IntervalSeries
    others: tuple[IntervalSeries, ...] = ()
    readings: tuple[RegisterReading, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a meter says it is; an empty text where its protocol does not tell.

    What cannot be printed is left out: a terminal is to show it.
    """

    serial: str
    maker: str = ""
    model: str = ""
    firmware: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            text = getattr(self, field.name)
            object.__setattr__(self, field.name, "".join(filter(str.isprintable, text)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Momentary:
    """A power, voltage, current … as it was at a moment, in thousandths of `unit`; signed."""

    obis: Obis
    at_utc: datetime
    thousandths: int
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a meter shows under a name: a number's digits or a text, and its unit if it has one."""

    obis: Obis
    value: str
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformers:
    """What stands before a meter: "200/5", or "40" of a meter that divides; empty if untold.

    `gateway_ratio` is what the gateway multiplies by, for a meter that leaves it to its reader.
    """

    current: str = ""
    voltage: str = ""
    gateway_ratio: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedObject:
    """One thing a meter has, as it lists it.

    `kind` is what it is, `place` where it lies. The numbers are those of the attributes that can
    be read and written, and of the methods. `value` is there where listing it tells it too.
    """

    name: str
    kind: str
    place: str = ""
    value: str = ""
    version: int | None = None
    readable: tuple[int, ...] = ()
    writable: tuple[int, ...] = ()
    methods: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """A line of a meter's event log, by its own clock; `code` is the log's number for it."""

    log: Obis
    at_utc: datetime
    code: int
    text: str = ""


class Reader(Protocol):
    """One session with one meter; an async context manager opens and closes it.

    UnsupportedError from any of them: this meter, or its protocol, has no such thing.
    """

    async def identify(self) -> Identity:
        """Return who the meter says it is."""
        ...

    async def clock(self) -> datetime:
        """Return the meter's own time, in UTC; UnsupportedError where it shows none."""
        ...

    async def registers(self) -> list[RegisterReading]:
        """Return the cumulative registers as they stand now."""
        ...

    async def intervals(self, start_utc: datetime, end_utc: datetime) -> ProfilePiece:
        """Return every interval of [start_utc, end_utc), MISSING where the meter has none."""
        ...


class SupplyState(StrEnum):
    """What a meter's switch does for the premise."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    READY = "ready"  # the customer may push the button


Progress = Callable[[int, int], None]  # blocks done, blocks in all


class Controller(Protocol):
    """What a session can tell a meter. UnsupportedError where it has no such thing."""

    async def set_clock(self, to_utc: datetime) -> None:
        """Set the meter's clock."""
        ...

    async def supply_state(self) -> SupplyState:
        """Return what the switch does now."""
        ...

    async def switch_supply(self, *, on: bool) -> None:
        """Connect or disconnect the premise."""
        ...

    async def transfer_firmware(self, image: bytes, identifier: str, progress: Progress) -> None:
        """Bring an image to the meter, whole and verified; go on where an earlier try ended."""
        ...

    async def activate_firmware(self, identifier: str) -> None:
        """Let the meter start the verified image of this name; it ends the session."""
        ...

    async def change_key(self, key: MeterKey, new: bytes) -> None:
        """Replace one of the meter's keys by `new`, wrapped under its master key."""
        ...


class Inspector(Protocol):
    """What a technician asks beyond what is billed. UnsupportedError where there is no such thing.

    CodecError and RemoteProtocolError for what makes no sense.
    """

    async def momentaries(self) -> list[Momentary]:
        """Return powers, voltages, currents … as they are now."""
        ...

    async def values(self, names: Sequence[Obis]) -> list[Named]:
        """Return what the meter shows under each name; UnsupportedError names those it has not."""
        ...

    async def transformers(self) -> Transformers:
        """Return what the meter multiplies by, as far as it tells, and what the gateway does."""
        ...

    async def objects(self) -> list[ListedObject]:
        """Return what the meter has to be read, as it lists it."""
        ...

    async def events(self, start_utc: datetime, end_utc: datetime) -> list[LoggedEvent]:
        """Return what its logs say of [start_utc, end_utc], the oldest first."""
        ...

    async def capture_period_s(self) -> int:
        """Return how many seconds the load profile's rows are apart."""
        ...

    async def set_capture_period(self, period_s: int) -> None:
        """Change that; meters then clear the profile."""
        ...


class Instrument(Reader, Controller, Inspector, Protocol):
    """All that a session with a meter can do."""


def register_unit(obis: Obis) -> str:
    """Return the unit a register is told in; empty for one that is no energy."""
    try:
        return unit_of(obis)
    except InvalidValueError:
        return ""


def require_all(names: Sequence[Obis], there: Container[Obis]) -> Sequence[Obis]:
    """Return the names; UnsupportedError says which are not there."""
    if lacking := [str(name) for name in names if name not in there]:
        raise UnsupportedError(f"the meter shows no {', '.join(lacking)}")
    return names


class ReadOnly:
    """Refuses what a Controller and an Inspector do, and to show a clock: of meters without it.

    A reader that can do some of it overrides just that.
    """

    async def momentaries(self) -> list[Momentary]:
        """Refuse."""
        self._refuse("momentary values")

    async def values(self: Instrument, names: Sequence[Obis]) -> list[Named]:
        """Return them out of all that is shown: registers and momentary values."""
        shown = {
            one.obis: Named(obis=one.obis, value=str(one.value), unit=register_unit(one.obis))
            for one in await self.registers()
        }
        try:
            momentaries = await self.momentaries()
        except UnsupportedError:
            momentaries = []
        for one in momentaries:
            value = f"{one.thousandths / 1000:.3f}"
            shown[one.obis] = Named(obis=one.obis, value=value, unit=one.unit)
        return [shown[name] for name in require_all(names, shown)]

    async def transformers(self) -> Transformers:
        """Refuse."""
        self._refuse("word of its transformers")

    async def objects(self) -> list[ListedObject]:
        """Refuse."""
        self._refuse("list of what it has")

    async def events(self, start_utc: datetime, end_utc: datetime) -> list[LoggedEvent]:
        """Refuse."""
        del start_utc, end_utc
        self._refuse("event log")

    async def capture_period_s(self) -> int:
        """Refuse."""
        self._refuse("capture period")

    async def set_capture_period(self, period_s: int) -> None:
        """Refuse."""
        self._refuse(f"capture period to set to {period_s} s")

    async def clock(self) -> datetime:
        """Refuse."""
        self._refuse("clock")

    async def set_clock(self, to_utc: datetime) -> None:
        """Refuse."""
        del to_utc
        self._refuse("clock to set")

    async def supply_state(self) -> SupplyState:
        """Refuse."""
        self._refuse("switch")

    async def switch_supply(self, *, on: bool) -> None:
        """Refuse."""
        self._refuse(f"switch to turn {'on' if on else 'off'}")

    async def transfer_firmware(self, image: bytes, identifier: str, progress: Progress) -> None:
        """Refuse."""
        del image, progress
        self._refuse(f"room for firmware {identifier}")

    async def activate_firmware(self, identifier: str) -> None:
        """Refuse."""
        self._refuse(f"firmware {identifier} to activate")

    async def change_key(self, key: MeterKey, new: bytes) -> None:
        """Refuse."""
        del new
        self._refuse(f"{key} key to change")

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedError(f"the meter, or its protocol, has no {what}")


class WithoutProfile(ReadOnly):
    """A meter that keeps no load profile, and cannot be told anything."""

    _meter_id: str

    async def intervals(self, start_utc: datetime, end_utc: datetime) -> NoReturn:
        """Raise UnsupportedError: there is no load profile to read."""
        raise UnsupportedError(f"{self._meter_id}: no profile for {start_utc}..{end_utc}")
