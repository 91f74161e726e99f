"""One quantity of a Modbus meter: which registers hold it, and how they say it.

Law: a value is an integer. An energy register is told in its unit at scaler 0 (Wh, varh, VAh),
which is what is billed; a momentary quantity in thousandths of its unit (mW, mV, mA, mHz).
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from quince.model.errors import InvalidValueError
from quince.model.obis import REGISTER_D, Obis
from quince.model.unit import POWER_OF_TEN

ADDRESS_MAX = 65_535
MOMENTARY_SCALER = -3
_MOMENTARY_D = 7
_SCALE_MAX = 9

# Each unit a profile may use, with the unit at scaler 0 it is a power of ten of.
UNITS = {unit: (unit.lstrip("kM"), power) for unit, power in POWER_OF_TEN.items()} | {
    "VAh": ("VAh", 0),
    "kVAh": ("VAh", 3),
    "W": ("W", 0),
    "kW": ("W", 3),
    "var": ("var", 0),
    "kvar": ("var", 3),
    "VA": ("VA", 0),
    "kVA": ("VA", 3),
    "V": ("V", 0),
    "A": ("A", 0),
    "Hz": ("Hz", 0),
    "1": ("1", 0),
}

# What OBIS group C names, the same for the sum (1..20) and the phases (21..40, 41..60, 61..80).
# Source: IEC 62056-61, value group C for electricity; from memory.
_ACTIVE, _REACTIVE, _APPARENT = (1, 2, 15, 16), (3, 4, 5, 6, 7, 8), (9, 10)
_ENERGY_UNITS = (
    dict.fromkeys(_ACTIVE, "Wh")
    | dict.fromkeys(_REACTIVE, "varh")
    | dict.fromkeys(_APPARENT, "VAh")
)
_MOMENTARY_UNITS = (
    dict.fromkeys(_ACTIVE, "W")
    | dict.fromkeys(_REACTIVE, "var")
    | dict.fromkeys(_APPARENT, "VA")
    | {11: "A", 12: "V", 13: "1", 14: "Hz"}
)
_C_PER_PHASE, _C_MAX = 20, 80


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


class Part(StrEnum):
    """Which side of zero is this quantity, where one signed register tells import and export."""

    POSITIVE = "positive"
    NEGATIVE = "negative"


def unit_of(obis: Obis) -> str:
    """Return the unit at scaler 0 an energy register or a momentary quantity is told in.

    InvalidValueError for any other name: a Modbus profile tells nothing else.
    """
    units = {REGISTER_D: _ENERGY_UNITS, _MOMENTARY_D: _MOMENTARY_UNITS}.get(obis.d, {})
    kind = (obis.c - 1) % _C_PER_PHASE + 1 if 1 <= obis.c <= _C_MAX else 0
    if kind not in units:
        raise InvalidValueError(
            "point.obis", str(obis), "an energy register (D = 8) or a momentary quantity (D = 7)"
        )
    return units[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One quantity: its registers hold a number that times 10**scale is in `unit`.

    `scale_register` holds another exponent, a signed 16-bit number in the same table, that is
    added to `scale` (SunSpec's scale factors). `not_available` is what the registers hold, as one
    unsigned number, when the meter has no value, where that differs from the type's own sign
    for it. `rolls_over_at` is the number, as the registers hold it, at which they begin at 0 again.
    """

    obis: Obis
    address: int
    table: Table
    type: NumberType
    order: Order
    unit: str
    scale: int = 0
    scale_register: int | None = None
    not_available: int | None = None
    part: Part | None = None
    rolls_over_at: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.address <= ADDRESS_MAX - self.type.registers + 1:
            raise InvalidValueError("point.address", self.address, f"0..{ADDRESS_MAX}")
        if self.unit not in UNITS or UNITS[self.unit][0] != unit_of(self.obis):
            raise InvalidValueError(
                "point.unit", self.unit, f"{self.obis} is told in {unit_of(self.obis)}"
            )
        if abs(self.scale) > _SCALE_MAX:
            raise InvalidValueError("point.scale", self.scale, f"within ±{_SCALE_MAX}")
        self._check_scale_register()
        if self.not_available is not None and not 0 <= self.not_available < 1 << self.type.bits:
            raise InvalidValueError(
                "point.not_available", self.not_available, f"{self.type.bits} bits, unsigned"
            )
        self._check_rollover()

    def _check_scale_register(self) -> None:
        at = self.scale_register
        if at is None:
            return
        if not 0 <= at <= ADDRESS_MAX or self.address <= at < self.address + self.type.registers:
            raise InvalidValueError("point.scale_register", at, "an address beside the value's")

    def _check_rollover(self) -> None:
        if self.rolls_over_at is None:
            return
        if self.momentary or self.scale_register is not None or self.rolls_over_at <= 0:
            raise InvalidValueError(
                "point.rolls_over_at", self.rolls_over_at, "of an energy register of a fixed scale"
            )
        if self._rollover % 1:
            raise InvalidValueError(
                "point.rolls_over_at", self.rolls_over_at, f"not a whole number of {self.unit}"
            )

    @property
    def momentary(self) -> bool:
        """Whether this is a power, a voltage … and not an energy register."""
        return self.obis.d == _MOMENTARY_D

    @property
    def begin(self) -> int:
        """The first address that is read for it: its scale register travels with the value."""
        return (
            self.address if self.scale_register is None else min(self.address, self.scale_register)
        )

    @property
    def end(self) -> int:
        """The address after the last that is read for it."""
        end = self.address + self.type.registers
        return end if self.scale_register is None else max(end, self.scale_register + 1)

    @property
    def exponent(self) -> int:
        """The power of ten that takes the number to what the value is told in."""
        scaler = MOMENTARY_SCALER if self.momentary else 0
        return self.scale + UNITS[self.unit][1] - scaler

    @property
    def modulus(self) -> int | None:
        """How much energy the register counts before it begins at 0 again; None if unknown."""
        return None if self.rolls_over_at is None else int(self._rollover)

    @property
    def _rollover(self) -> Decimal:
        return Decimal(self.rolls_over_at or 0).scaleb(self.exponent)
