"""What reads Modbus meters: numbers out of registers, SunSpec maps, and register profiles."""

from collections.abc import Callable
from contextlib import suppress
from itertools import product

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import Obis
from quince.protocols.modbus.documents import parse_profile
from quince.protocols.modbus.planning import plan_reads
from quince.protocols.modbus.points import NumberType, Order, Part, Point, Table
from quince.protocols.modbus.registers import decode
from quince.protocols.modbus.sunspec import ModelWalk, parse_common

POINTS = [
    Point(
        obis=Obis(1, 0, 1, 8, 0),
        address=10,
        table=Table.INPUT,
        type=kind,
        order=order,
        unit="kWh",
        scale=scale,
        scale_register=scale_register,
        part=Part.POSITIVE,
    )
    for kind, order, scale, scale_register in product(NumberType, Order, (-9, 9), (None, 20))
]


def _words(octets: bytes) -> list[int]:
    return [int.from_bytes(octets[at : at + 2]) for at in range(0, len(octets), 2)]


def _registers(octets: bytes) -> None:
    """Read as the point the first octet names, from as many registers as it wants."""
    if not octets:
        return
    point = POINTS[octets[0] % len(POINTS)]
    words = _words(octets[1:])
    decode(point, (words + [0] * 16)[: point.end - point.begin])
    decode(point, words)


def _walk(octets: bytes) -> None:
    """Walk a map that says what it likes, at addresses as they come; a zero octet refuses."""
    walk, at = ModelWalk(), 0
    while walk.address is not None and at < len(octets):
        refused, header = octets[at] == 0, _words(octets[at : at + 4])
        walk.receive(None if refused else header)
        at += 1 if refused else 4
    with suppress(CodecError):
        walk.find(1)


def _profile(octets: bytes) -> None:
    text = octets.decode("utf-8", "replace")
    with suppress(InvalidValueError):  # a profile is written by people: it is refused as values
        profile = parse_profile(text)
        plan_reads(profile, profile.points)


HARNESSES: dict[str, Callable[[bytes], object]] = {
    "modbus-registers": _registers,
    "modbus-profile": _profile,
    "sunspec-walk": _walk,
    "sunspec-common": lambda octets: parse_common(_words(octets)),
}
# A SunSpec map with model 1 and its end; a point's registers.
SEEDS = [
    bytes.fromhex("53756e53 00010042 00cb0069 ffff0000"),
    bytes.fromhex("00420001") + b"Eastron".ljust(32, b"\0") * 4,
    bytes.fromhex("00 0000 0001 e240 fffd"),
]
