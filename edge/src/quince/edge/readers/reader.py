"""What the gateway asks of any meter, whatever it speaks: to be read, and to be told."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import NoReturn, Protocol

from quince.edge.errors import UnsupportedError
from quince.model.interval import IntervalSeries, RegisterReading
from quince.model.meter_key import MeterKey
from quince.model.obis import Obis


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
        """Return the meter's own time, in UTC; the gateway's for a meter that has none."""
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


class ReadOnly:
    """A Controller and an Inspector that refuses all: of meters, or protocols, without it.

    A reader that can do some of it overrides just that.
    """

    async def momentaries(self) -> list[Momentary]:
        """Refuse."""
        self._refuse("momentary values")

    async def objects(self) -> list[ListedObject]:
        """Refuse."""
        self._refuse("list of what it has")

    async def events(self, start_utc: datetime, end_utc: datetime) -> list[LoggedEvent]:
        """Refuse."""
        self._refuse(f"event log of {start_utc}..{end_utc}")

    async def capture_period_s(self) -> int:
        """Refuse."""
        self._refuse("capture period")

    async def set_capture_period(self, period_s: int) -> None:
        """Refuse."""
        self._refuse(f"capture period to set to {period_s} s")

    async def set_clock(self, to_utc: datetime) -> None:
        """Refuse."""
        self._refuse(f"a clock to set to {to_utc}")

    async def supply_state(self) -> SupplyState:
        """Refuse."""
        self._refuse("a switch")

    async def switch_supply(self, *, on: bool) -> None:
        """Refuse."""
        self._refuse(f"a switch to turn {'on' if on else 'off'}")

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
        self._refuse(f"a {key} key to change")

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedError(f"{type(self).__name__}: no {what}")


class WithoutProfile(ReadOnly):
    """A meter that keeps no load profile, and cannot be told anything."""

    _meter_id: str

    async def intervals(self, start_utc: datetime, end_utc: datetime) -> NoReturn:
        """Raise UnsupportedError: there is no load profile to read."""
        raise UnsupportedError(f"{self._meter_id}: no profile for {start_utc}..{end_utc}")
