"""Registers ↔ integers: what a point's registers say, and how to say it in them.

Integers stay exact. A float holds what it holds: kilowatt-hours in float32 lose single Wh from
16,384 kWh on (24 bits of mantissa), and no reader can bring them back.
"""

import math
import struct
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from quince.model.errors import CodecError, InvalidValueError
from quince.model.unit import whole_units
from quince.protocols.modbus.points import NumberType, Part, Point

VALUE_MAX = 2**63 - 1  # what every store and message after this keeps as an integer
REGISTER_MAX = 0xFFFF
NO_SCALE = 0x8000  # SunSpec's "there is no scale factor", and so no value
_SCALE_FACTOR_MAX = 10  # SunSpec: sunssf is -10..10
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
    """Return the point's value, None where it has none; `registers` are [begin, end).

    An energy is in its unit at scaler 0, a momentary quantity in thousandths of it. "Not
    available" is the type's own sign for it, as SunSpec has it and most makers do: all ones
    for unsigned, the most negative number for signed, NaN for floats; or what the point says.
    An integer finer than the value is taken down to what it has gone through; a float is itself
    rounded, and goes to the nearest. CodecError for anything that is no such value.
    """
    if len(registers) != point.end - point.begin:
        raise CodecError(f"{point.obis}: {len(registers)} registers for {point.type}")
    if not all(0 <= register <= REGISTER_MAX for register in registers):
        raise CodecError(f"{point.obis}: a register has 16 bits")
    factor = _scale_factor(point, registers)
    offset = point.address - point.begin
    octets = struct.pack(
        f">{point.type.registers}H",
        *_ordered(point, registers[offset : offset + point.type.registers]),
    )
    number: float = struct.unpack(">" + _FORM[point.type], octets)[0]
    if factor is None or math.isnan(number) or int.from_bytes(octets) == _not_available(point):
        return None
    if math.isinf(number):
        raise CodecError(f"{point.obis}: infinite")
    return _sided(point, _scaled(point, number, factor))


def encode(point: Point, value: int | None, scale_factor: int = 0) -> dict[int, int]:
    """Return the registers, by address, that say `value`; what is finer than them is cut off.

    `scale_factor` is what the point's scale register says, if it has one. InvalidValueError if
    the type does not hold the value.
    """
    factor = 0 if point.scale_register is None else scale_factor
    if value is None:
        octets = _not_available(point).to_bytes(point.type.bits // 8)
    else:
        octets = _packed(point, value, factor)
    words = _ordered(point, struct.unpack(f">{point.type.registers}H", octets))
    registers = dict(enumerate(words, point.address))
    if point.scale_register is not None:
        registers[point.scale_register] = factor & REGISTER_MAX
    return registers


def _scale_factor(point: Point, registers: Sequence[int]) -> int | None:
    """Return the exponent the point's scale register tells, 0 without one, None for "none"."""
    if point.scale_register is None:
        return 0
    word = registers[point.scale_register - point.begin]
    if word == NO_SCALE:
        return None
    factor = word - (1 << 16) if word > NO_SCALE else word
    if abs(factor) > _SCALE_FACTOR_MAX:
        raise CodecError(f"{point.obis}: a scale factor of {factor}")
    return factor


def _scaled(point: Point, number: float, factor: int) -> int:
    exponent = point.exponent + factor
    if isinstance(number, int):
        scaled = whole_units(number, exponent)
    else:
        scaled = int(Decimal(number).scaleb(exponent).to_integral_value(ROUND_HALF_EVEN))
    if abs(scaled) > VALUE_MAX:
        raise CodecError(f"{point.obis}: beyond 63 bits")
    return scaled


def _sided(point: Point, value: int) -> int | None:
    """Return the part of a signed value that is this point's.

    Power on the other side of zero is 0 of this quantity. A counter on the other side is a net
    counter, from which neither import nor export can be told.
    """
    if point.part is None:
        return value
    side = -value if point.part is Part.NEGATIVE else value
    if side >= 0:
        return side
    return 0 if point.momentary else None


def _packed(point: Point, value: int, scale_factor: int) -> bytes:
    side = -value if point.part is Part.NEGATIVE else value
    scaled = Decimal(side).scaleb(-point.exponent - scale_factor)
    number = float(scaled) if point.type.startswith("float") else int(scaled)
    try:
        return struct.pack(">" + _FORM[point.type], number)
    except (struct.error, OverflowError) as error:
        raise InvalidValueError(str(point.obis), value, f"beyond {point.type}") from error


def _ordered(point: Point, registers: Sequence[int]) -> tuple[int, ...]:
    """Bring registers from the wire's order to the natural one, or back: it is the same move."""
    words = reversed(registers) if point.order.words_swapped else iter(registers)
    if point.order.octets_swapped:
        return tuple((word & 0xFF) << 8 | word >> 8 for word in words)
    return tuple(words)


def _not_available(point: Point) -> int:
    """Return the bits that say "no value"; for floats one NaN of many."""
    if point.not_available is not None:
        return point.not_available
    if point.type.startswith("float"):
        return int.from_bytes(struct.pack(">" + _FORM[point.type], math.nan))
    ones = (1 << point.type.bits) - 1
    return ones if point.type.startswith("uint") else ones // 2 + 1
