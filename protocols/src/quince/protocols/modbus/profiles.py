"""A meter's register map as a value, read from TOML.

A profile names the meter, its points, and what the meter tolerates:

    name = "Schneider Electric iEM3155"
    hole_max = 0        # registers a block read may cross that belong to no point
    block_max = 125     # registers per read

    [[points]]
    obis = "1-0:1.8.0"
    address = 3203      # as it travels in the request: the first register is 0
    table = "holding"   # or "input"
    type = "int64"
    order = "ABCD"      # octets as they travel, A the most significant; CDAB swaps the words
    unit = "Wh"

Law: a mistake raises InvalidValueError naming field and value; nothing is guessed.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from quince.model.errors import InvalidValueError
from quince.model.obis import Obis

ADDRESS_MAX = 65_535
READ_REGISTERS_MAX = 125  # the protocol's limit for one read
POWER_OF_TEN = {"Wh": 0, "kWh": 3, "MWh": 6, "varh": 0, "kvarh": 3, "Mvarh": 6}
_SCALE_MAX = 9


class Table(StrEnum):
    """Which of the two register tables."""

    HOLDING = "holding"
    INPUT = "input"


class NumberType(StrEnum):
    """How a number stands in its registers."""

    UINT16 = "uint16"
    INT16 = "int16"
    UINT32 = "uint32"
    INT32 = "int32"
    UINT64 = "uint64"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def bits(self) -> int:
        """The number's width."""
        return int(self[-2:])

    @property
    def registers(self) -> int:
        """How many 16-bit registers it takes."""
        return self.bits // 16


class Order(StrEnum):
    """The octets' order on the wire, A the most significant of a 32-bit number."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"

    @property
    def words_swapped(self) -> bool:
        """Whether the least significant register comes first."""
        return self in (Order.CDAB, Order.DCBA)

    @property
    def octets_swapped(self) -> bool:
        """Whether the less significant octet comes first in each register."""
        return self in (Order.BADC, Order.DCBA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One quantity: its registers hold a number that times 10**scale is in `unit`."""

    obis: Obis
    address: int
    table: Table
    type: NumberType
    order: Order
    unit: str
    scale: int

    def __post_init__(self) -> None:
        if not 0 <= self.address <= ADDRESS_MAX - self.type.registers + 1:
            raise InvalidValueError("point.address", self.address, f"0..{ADDRESS_MAX}")
        if self.unit not in POWER_OF_TEN:
            raise InvalidValueError("point.unit", self.unit, f"one of {', '.join(POWER_OF_TEN)}")
        if abs(self.scale) > _SCALE_MAX:
            raise InvalidValueError("point.scale", self.scale, f"within ±{_SCALE_MAX}")

    @property
    def end(self) -> int:
        """The address after the last register."""
        return self.address + self.type.registers

    @property
    def exponent(self) -> int:
        """The power of ten that takes the number to its unit at scaler 0."""
        return self.scale + POWER_OF_TEN[self.unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusProfile:
    """One kind of meter; no quantity stands in it twice."""

    name: str
    points: tuple[Point, ...]
    hole_max: int
    block_max: int

    def __post_init__(self) -> None:
        if re.fullmatch(r"[ -~]{1,80}", self.name) is None:
            raise InvalidValueError("name", self.name, "1..80 printable characters")
        widest = max((point.type.registers for point in self.points), default=1)
        if not widest <= self.block_max <= READ_REGISTERS_MAX:
            raise InvalidValueError("block_max", self.block_max, f"{widest}..{READ_REGISTERS_MAX}")
        if not 0 <= self.hole_max <= READ_REGISTERS_MAX:
            raise InvalidValueError("hole_max", self.hole_max, f"0..{READ_REGISTERS_MAX}")
        if not self.points:
            raise InvalidValueError("points", (), "at least one")
        seen: set[Obis] = set()
        for point in self.points:
            if point.obis in seen:
                raise InvalidValueError("point.obis", str(point.obis), "named twice")
            seen.add(point.obis)


def parse_profile(text: str) -> ModbusProfile:
    """Read a profile; InvalidValueError names the first field that is wrong."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidValueError("profile", text[:40], str(error)) from error
    table = _Fields("profile", document)
    profile = ModbusProfile(
        name=table.take("name", str),
        points=tuple(_point(point) for point in table.take("points", list)),
        hole_max=table.take("hole_max", int, 0),
        block_max=table.take("block_max", int, READ_REGISTERS_MAX),
    )
    table.refuse_rest()
    return profile


def _point(document: object) -> Point:
    if not isinstance(document, dict):
        raise InvalidValueError("points", document, "expected a table")
    table = _Fields("point", document)
    point = Point(
        obis=Obis.parse(table.take("obis", str)),
        address=table.take("address", int),
        table=table.choose("table", Table),
        type=table.choose("type", NumberType),
        order=table.choose("order", Order),
        unit=table.take("unit", str),
        scale=table.take("scale", int, 0),
    )
    table.refuse_rest()
    return point


_Taken = TypeVar("_Taken", str, int, list[Any])
_Choice = TypeVar("_Choice", bound=StrEnum)


class _Fields:
    """A TOML table whose fields are taken one by one, so that what is left over is a mistake."""

    def __init__(self, name: str, table: Mapping[str, object]) -> None:
        self._name = name
        self._rest = dict(table)

    def take(self, field: str, kind: type[_Taken], default: _Taken | None = None) -> _Taken:
        value = self._rest.pop(field, default)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InvalidValueError(f"{self._name}.{field}", value, f"expected {kind.__name__}")
        return value

    def choose(self, field: str, choices: type[_Choice]) -> _Choice:
        value = self.take(field, str)
        if value not in {choice.value for choice in choices}:
            raise InvalidValueError(f"{self._name}.{field}", value, f"one of {', '.join(choices)}")
        return choices(value)

    def refuse_rest(self) -> None:
        for field, value in self._rest.items():
            raise InvalidValueError(f"{self._name}.{field}", value, "no such field")
