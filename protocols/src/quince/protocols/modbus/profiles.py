"""A kind of Modbus meter as a value: its points, what it tolerates, and what it was proven with."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from quince.model.errors import InvalidValueError
from quince.model.obis import Obis
from quince.protocols.modbus.points import ADDRESS_MAX, Point, Table
from quince.protocols.modbus.quality import Quality, Rule
from quince.protocols.modbus.registers import REGISTER_MAX
from quince.protocols.modbus.sunspec import METER_MODELS

READ_REGISTERS_MAX = 125  # the protocol's limit for one read
GAP_MS_MAX = 1000  # no meter needs a second to listen again
POINTS_MAX = 256
_MATCHES_MAX = 32


class TransformerSide(StrEnum):
    """What the registers count: what flowed in the line, or in the transformers' other winding."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the addresses and units are from, and under which licence; what is from memory."""

    addresses: str
    licence: str
    from_memory: str = ""

    def __post_init__(self) -> None:
        for field, text in (("addresses", self.addresses), ("licence", self.licence)):
            if not text:
                raise InvalidValueError(f"source.{field}", text, "must be said")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A register by which the meter says what it is: an unsigned 16-bit code, one of `values`."""

    table: Table
    address: int
    values: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.address <= ADDRESS_MAX:
            raise InvalidValueError("match.address", self.address, f"0..{ADDRESS_MAX}")
        if not 1 <= len(self.values) <= _MATCHES_MAX:
            raise InvalidValueError("match.values", self.values, f"1..{_MATCHES_MAX} of them")
        for value in self.values:
            if not 0 <= value <= REGISTER_MAX:
                raise InvalidValueError("match.values", value, "a register has 16 bits")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusProfile:
    """One kind of meter; no quantity stands in it twice.

    `gap_ms` is how long the meter wants silence before a request. With a `sunspec_model` the
    addresses count from that model's first register, wherever the meter has it.
    """

    name: str
    source: Source
    points: tuple[Point, ...]
    quality: Quality
    hole_max: int = 0
    block_max: int = READ_REGISTERS_MAX
    gap_ms: int = 0
    transformer_side: TransformerSide = TransformerSide.PRIMARY
    match: Match | None = None
    sunspec_model: int | None = None

    def __post_init__(self) -> None:
        if re.fullmatch(r"[ -~]{1,80}", self.name) is None:
            raise InvalidValueError("name", self.name[:80], "1..80 printable characters")
        self._check_limits()
        self._check_points()
        if (missing := set(Rule) - set(self.quality)) != set():
            raise InvalidValueError("quality", ", ".join(sorted(missing)), "must be answered")
        if self.sunspec_model is None:
            return
        if self.sunspec_model not in METER_MODELS:
            known = ", ".join(str(model) for model in METER_MODELS)
            raise InvalidValueError("sunspec_model", self.sunspec_model, f"one of {known}")
        length = METER_MODELS[self.sunspec_model]
        if any(point.end > length or point.table is Table.INPUT for point in self.points):
            raise InvalidValueError("points", self.sunspec_model, f"{length} holding registers")

    def _check_limits(self) -> None:
        widest = max((point.end - point.begin for point in self.points), default=1)
        if not widest <= self.block_max <= READ_REGISTERS_MAX:
            raise InvalidValueError("block_max", self.block_max, f"{widest}..{READ_REGISTERS_MAX}")
        if not 0 <= self.hole_max <= READ_REGISTERS_MAX:
            raise InvalidValueError("hole_max", self.hole_max, f"0..{READ_REGISTERS_MAX}")
        if not 0 <= self.gap_ms <= GAP_MS_MAX:
            raise InvalidValueError("gap_ms", self.gap_ms, f"0..{GAP_MS_MAX}")

    def _check_points(self) -> None:
        if not 1 <= len(self.points) <= POINTS_MAX:
            raise InvalidValueError("points", len(self.points), f"1..{POINTS_MAX} of them")
        seen: set[Obis] = set()
        for point in self.points:
            if point.obis in seen:
                raise InvalidValueError("point.obis", str(point.obis), "named twice")
            seen.add(point.obis)

    @property
    def energies(self) -> tuple[Point, ...]:
        """The cumulative registers: what is billed."""
        return tuple(point for point in self.points if not point.momentary)

    @property
    def momentaries(self) -> tuple[Point, ...]:
        """Power, voltage, current …: what a technician looks at."""
        return tuple(point for point in self.points if point.momentary)

    def moved(self, base: int) -> "ModbusProfile":
        """Return the profile with every address `base` higher, no longer one of a SunSpec model.

        InvalidValueError if that leaves the address space.
        """
        points = tuple(
            replace(
                point,
                address=point.address + base,
                scale_register=None
                if point.scale_register is None
                else point.scale_register + base,
            )
            for point in self.points
        )
        return replace(self, points=points, sunspec_model=None)
