"""Registers ↔ integers at scaler 0: what a point's registers say, and how to say it in them.

Integers stay exact. A float holds what it holds: kilowatt-hours in float32 lose single Wh from
16,384 kWh on (24 bits of mantissa), and no reader can bring them back.
"""

import math
import struct
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.modbus.profiles import NumberType, Point

VALUE_MAX = 2**63 - 1  # what every store and message after this keeps as an integer
_REGISTER_MAX = 0xFFFF
_FORM = {
    NumberType.UINT16: "H",
    NumberType.INT16: "h",
    NumberType.UINT32: "I",
    NumberType.INT32: "i",
    NumberType.UINT64: "Q",
    NumberType.INT64: "q",
    NumberType.FLOAT32: "f",
    NumberType.FLOAT64: "d",
}


def decode(point: Point, registers: Sequence[int]) -> int | None:
    """Return the point's value in its unit at scaler 0 (Wh, varh), None where it has none.

    "Not available" is the type's own sign for it, as SunSpec has it and most makers do: all ones
    for unsigned, the most negative number for signed, NaN for floats. What is finer than the
    unit is rounded half to even. CodecError for anything that is no such value.
    """
    number = _number(point, registers)
    if math.isnan(number) or number == _not_available(point.type):
        return None
    if math.isinf(number):
        raise CodecError(f"{point.obis}: infinite")
    scaled = Decimal(number).scaleb(point.exponent).to_integral_value(ROUND_HALF_EVEN)
    if abs(scaled) > VALUE_MAX:
        raise CodecError(f"{point.obis}: {scaled} is beyond 63 bits")
    return int(scaled)


def encode(point: Point, value: int | None) -> tuple[int, ...]:
    """Return the registers that say `value` at scaler 0; what is finer than the point is cut off.

    InvalidValueError if the type does not hold it.
    """
    number = _not_available(point.type) if value is None else _scaled_down(point, value)
    try:
        octets = struct.pack(">" + _FORM[point.type], number)
    except (struct.error, OverflowError) as error:
        raise InvalidValueError(str(point.obis), value, f"beyond {point.type}") from error
    return _ordered(point, struct.unpack(f">{point.type.registers}H", octets))


def _number(point: Point, registers: Sequence[int]) -> float:
    if len(registers) != point.type.registers:
        raise CodecError(f"{point.obis}: {len(registers)} registers for {point.type}")
    if not all(0 <= register <= _REGISTER_MAX for register in registers):
        raise CodecError(f"{point.obis}: a register has 16 bits")
    octets = struct.pack(f">{len(registers)}H", *_ordered(point, registers))
    number: float = struct.unpack(">" + _FORM[point.type], octets)[0]
    return number


def _scaled_down(point: Point, value: int) -> float:
    scaled = Decimal(value).scaleb(-point.exponent)
    return float(scaled) if point.type.startswith("float") else int(scaled)


def _ordered(point: Point, registers: Sequence[int]) -> tuple[int, ...]:
    """Bring registers from the wire's order to the natural one, or back: it is the same move."""
    words = reversed(registers) if point.order.words_swapped else iter(registers)
    if point.order.octets_swapped:
        return tuple((word & 0xFF) << 8 | word >> 8 for word in words)
    return tuple(words)


def _not_available(type_: NumberType) -> float:
    if type_.startswith("float"):
        return math.nan
    return (1 << type_.bits) - 1 if type_.startswith("uint") else -(1 << type_.bits - 1)
