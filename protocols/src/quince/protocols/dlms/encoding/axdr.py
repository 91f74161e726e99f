"""COSEM data as it travels: a tag and a value (A-XDR, IEC 61334-6).

Law: decoding is bounded. Nesting ends at DEPTH_MAX, an array has no more items than octets are
left, and one decode makes no more than OBJECTS_MAX values.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.encoding.reader import Reader, encode_length, sized

# Real objects nest four or five deep; the rest of the room is for the unforeseen.
DEPTH_MAX = 16
# 13,000 rows of four columns: more than four months of quarter-hours in one answer.
OBJECTS_MAX = 65_536


class Tag(IntEnum):
    """The types of COSEM data, by their tag octet. Not read: compact-array and delta types."""

    NULL = 0
    ARRAY = 1
    STRUCTURE = 2
    BOOLEAN = 3
    BIT_STRING = 4
    INT32 = 5
    UINT32 = 6
    OCTET_STRING = 9
    VISIBLE_STRING = 10
    UTF8_STRING = 12
    BCD = 13
    INT8 = 15
    INT16 = 16
    UINT8 = 17
    UINT16 = 18
    INT64 = 20
    UINT64 = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27


_TAGS = {tag.value: tag for tag in Tag}
_NUMBERS = {
    Tag.INT32: struct.Struct(">i"),
    Tag.UINT32: struct.Struct(">I"),
    Tag.BCD: struct.Struct(">B"),
    Tag.INT8: struct.Struct(">b"),
    Tag.INT16: struct.Struct(">h"),
    Tag.UINT8: struct.Struct(">B"),
    Tag.UINT16: struct.Struct(">H"),
    Tag.INT64: struct.Struct(">q"),
    Tag.UINT64: struct.Struct(">Q"),
    Tag.ENUM: struct.Struct(">B"),
    Tag.FLOAT32: struct.Struct(">f"),
    Tag.FLOAT64: struct.Struct(">d"),
}
_STRINGS = frozenset({Tag.OCTET_STRING, Tag.VISIBLE_STRING, Tag.UTF8_STRING})
_TIMES = {Tag.DATE_TIME: 12, Tag.DATE: 5, Tag.TIME: 4}
_LISTS = frozenset({Tag.ARRAY, Tag.STRUCTURE})


@dataclass(frozen=True, slots=True)
class Data:
    """One value with its type.

    `value` is None for NULL, a bool, an int (BCD: the raw octet), a float, a tuple of bool for
    BIT_STRING, a tuple of Data for ARRAY and STRUCTURE, and octets for strings and times.
    """

    tag: Tag
    value: "bool | int | float | bytes | tuple[bool, ...] | tuple[Data, ...] | None" = None

    def as_int(self) -> int:
        """Return the integer; CodecError if this is none."""
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return self.value
        raise CodecError(f"an integer expected, not {self.tag.name}")

    def as_octets(self) -> bytes:
        """Return the octets of a string or a time; CodecError if this is none."""
        if isinstance(self.value, bytes):
            return self.value
        raise CodecError(f"octets expected, not {self.tag.name}")

    def as_items(self, count: int | None = None) -> "tuple[Data, ...]":
        """Return the items of an array or a structure, `count` of them if that is given."""
        if self.tag not in _LISTS or not isinstance(self.value, tuple):
            raise CodecError(f"a list expected, not {self.tag.name}")
        items = tuple(item for item in self.value if isinstance(item, Data))
        if count is not None and len(items) != count:
            raise CodecError(f"{count} items expected, not {len(items)}")
        return items


NULL = Data(Tag.NULL)


def array(items: Iterable[Data]) -> Data:
    """Return the array of `items`."""
    return Data(Tag.ARRAY, tuple(items))


def structure(*items: Data) -> Data:
    """Return the structure of `items`."""
    return Data(Tag.STRUCTURE, items)


def octet_string(octets: bytes) -> Data:
    """Return `octets` as an octet-string."""
    return Data(Tag.OCTET_STRING, octets)


def decode(octets: bytes) -> Data:
    """Read one value that fills `octets`."""
    reader = Reader(octets)
    data = read_data(reader)
    reader.finish("value")
    return data


def read_data(reader: Reader) -> Data:
    """Read the next value."""
    return _Decoder(reader).read(depth=1)


class _Decoder:
    """Counts what it makes, for the bound."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._room = OBJECTS_MAX

    def read(self, depth: int) -> Data:
        self._room -= 1
        if depth > DEPTH_MAX or self._room < 0:
            raise CodecError(f"deeper than {DEPTH_MAX} or more than {OBJECTS_MAX} values")
        code = self._reader.octet()
        tag = _TAGS.get(code)
        if tag is None:
            raise CodecError(f"no data type has tag {code}")
        if tag in _LISTS:
            return Data(tag, self._items(depth))
        return Data(tag, _read_plain(self._reader, tag))

    def _items(self, depth: int) -> tuple[Data, ...]:
        count = self._reader.length()
        if count > self._reader.remaining:
            raise CodecError(f"{count} items in {self._reader.remaining} octets")
        return tuple(self.read(depth + 1) for _ in range(count))


def _read_plain(reader: Reader, tag: Tag) -> bool | int | float | bytes | tuple[bool, ...] | None:
    if tag in _NUMBERS:
        form = _NUMBERS[tag]
        number: int | float = form.unpack(reader.take(form.size))[0]
        return number
    if tag in _STRINGS:
        return reader.sized()
    if tag in _TIMES:
        return reader.take(_TIMES[tag])
    if tag is Tag.BOOLEAN:
        return reader.flag()
    return _read_bits(reader) if tag is Tag.BIT_STRING else None


def _read_bits(reader: Reader) -> tuple[bool, ...]:
    count = reader.length()
    octets = reader.take((count + 7) // 8)
    return tuple(bool(octets[i // 8] & (0x80 >> i % 8)) for i in range(count))


def encode(data: Data) -> bytes:
    """Write one value; InvalidValueError if the value does not fit its type."""
    return bytes((data.tag,)) + _encode_value(data)


def _encode_value(data: Data) -> bytes:
    tag, value = data.tag, data.value
    if tag in _LISTS:
        items = data.as_items()
        return encode_length(len(items)) + b"".join(map(encode, items))
    if tag in _NUMBERS:
        try:
            return _NUMBERS[tag].pack(value)
        except (struct.error, OverflowError) as error:
            raise InvalidValueError(tag.name, value, str(error)) from error
    if tag in _STRINGS:
        return sized(data.as_octets())
    if tag in _TIMES:
        return _encode_time(data)
    if tag is Tag.BOOLEAN:
        return b"\x01" if value else b"\x00"
    return _encode_bits(value) if isinstance(value, tuple) else b""


def _encode_time(data: Data) -> bytes:
    octets = data.as_octets()
    if len(octets) != _TIMES[data.tag]:
        raise InvalidValueError(data.tag.name, octets.hex(), f"{_TIMES[data.tag]} octets")
    return octets


def _encode_bits(bits: "tuple[bool, ...] | tuple[Data, ...]") -> bytes:
    octets = bytearray((len(bits) + 7) // 8)
    for i, bit in enumerate(bits):
        octets[i // 8] |= (0x80 >> i % 8) if bit else 0
    return encode_length(len(bits)) + bytes(octets)
