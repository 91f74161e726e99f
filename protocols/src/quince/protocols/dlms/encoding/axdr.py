"""COSEM data as it travels: a tag and a value (A-XDR, IEC 61334-6).

Law: decoding is bounded. Nesting ends at DEPTH_MAX, an array has no more items than octets are
left, and of one APDU no more than OBJECTS_MAX values are made: a compact array says a shape once
and can fill it with nothing.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.encoding.reader import Reader, encode_length, sized
from quince.protocols.dlms.encoding.tags import NUMBER_FORMATS, STRINGS, TAGS, TIME_OCTETS, Tag

# Real objects nest four or five deep; the rest of the room is for the unforeseen.
DEPTH_MAX = 16
# 13,000 rows of four columns: more than four months of quarter-hours in one answer.
OBJECTS_MAX = 65_536
_LISTS = frozenset({Tag.ARRAY, Tag.STRUCTURE})
_ITEM_LISTS = _LISTS | {Tag.COMPACT_ARRAY}

_UNPACKERS = {
    tag.value: (tag, struct.Struct(f">{letter}").unpack_from, struct.calcsize(f">{letter}"))
    for tag, letter in NUMBER_FORMATS.items()
}
# The tag octet and the number in one go.
_PACKERS = {tag.value: struct.Struct(f">B{letter}").pack for tag, letter in NUMBER_FORMATS.items()}
_INNER_ITEMS_MAX = 0xFFFF  # an array within a compact array is counted in two octets


@dataclass(frozen=True, slots=True)
class Data:
    """One value with its type.

    `value` is None for NULL and DONT_CARE, a bool, an int (BCD: the raw octet), a float, a tuple
    of bool for BIT_STRING, a tuple of Data for ARRAY, STRUCTURE and COMPACT_ARRAY, and octets for
    strings and times. What a delta is the difference to, its column tells, not the type.
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
        if self.tag not in _ITEM_LISTS or not isinstance(self.value, tuple):
            raise CodecError(f"a list expected, not {self.tag.name}")
        items = cast("tuple[Data, ...]", self.value)
        if count is not None and len(items) != count:
            raise CodecError(f"{count} items expected, not {len(items)}")
        return items


@dataclass(frozen=True, slots=True)
class Encoded:
    """One value as it travels: read, or already written, and not looked into."""

    octets: bytes

    def decode(self) -> Data:
        """Read the value; CodecError if the octets are none, or more than one."""
        return decode(self.octets)


Value = Data | Encoded

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


def compact_array(items: Iterable[Data]) -> Data:
    """Return the compact array of `items`, which must all be of one shape to be written."""
    return Data(Tag.COMPACT_ARRAY, tuple(items))


def encoded_array(items: Sequence[bytes]) -> Encoded:
    """Return the array of `items`, each encoded already, as a meter keeps its profile's rows."""
    return Encoded(bytes((Tag.ARRAY,)) + encode_length(len(items)) + b"".join(items))


def decode(octets: bytes) -> Data:
    """Read one value that fills `octets`."""
    reader = Reader(octets)
    data = read_data(reader)
    reader.finish("value")
    return data


def read_data(reader: Reader) -> Data:
    """Read the next value."""
    decoder = _Decoder(reader)
    try:
        data = decoder.read(depth=1)
    except (IndexError, struct.error) as error:
        raise CodecError(f"a value cut short: {error}") from error
    reader.values = decoder.made
    return data


@dataclass(frozen=True, slots=True)
class _Shape:
    """What every item of a compact array looks like: the tags, said once.

    `count` is how many items an inner array has, each of the one shape in `inner`.
    """

    tag: Tag
    inner: "tuple[_Shape, ...]" = ()
    count: int = 0


class _Decoder:
    """Reads from a Reader's octets by itself, for speed; counts what it makes, for the bound."""

    __slots__ = ("_octets", "_reader", "_room")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._octets = reader.octets
        self._room = OBJECTS_MAX - reader.values

    @property
    def made(self) -> int:
        """How many values were made of the reader's octets, this one's and those before."""
        return OBJECTS_MAX - self._room

    def read(self, depth: int) -> Data:
        """Read a tag and its value; IndexError or struct.error if they are cut short."""
        reader = self._reader
        at = reader.at
        code = self._octets[at]
        if code in _UNPACKERS:
            self._room -= 1
            tag, unpack_from, size = _UNPACKERS[code]
            data = Data(tag, unpack_from(self._octets, at + 1)[0])
            reader.at = at + 1 + size
            return data
        reader.at = at + 1
        known = TAGS.get(code)
        if known is None:
            raise CodecError(f"no data type has tag {code}")
        self._count(depth)
        if known in _LISTS:
            return Data(known, self._items(depth))
        if known is Tag.COMPACT_ARRAY:
            return Data(known, self._compact_items(depth))
        return Data(known, self._plain(known))

    def _count(self, depth: int) -> None:
        self._room -= 1
        if depth > DEPTH_MAX or self._room < 0:
            raise CodecError(f"deeper than {DEPTH_MAX} or more than {OBJECTS_MAX} values")

    def _items(self, depth: int) -> tuple[Data, ...]:
        count = self._reader.count("items")
        if count > self._room:
            raise CodecError(f"more than {OBJECTS_MAX} values")
        return tuple([self.read(depth + 1) for _ in range(count)])

    def _plain(self, tag: Tag) -> bool | int | float | bytes | tuple[bool, ...] | None:
        reader = self._reader
        if tag in STRINGS:
            return reader.sized()
        if tag.value in _UNPACKERS:
            _tag, unpack_from, size = _UNPACKERS[tag.value]
            number: int | float = unpack_from(reader.take(size))[0]
            return number
        if tag in TIME_OCTETS:
            return reader.take(TIME_OCTETS[tag])
        if tag is Tag.BOOLEAN:
            return reader.flag()
        return _read_bits(reader) if tag is Tag.BIT_STRING else None

    def _compact_items(self, depth: int) -> tuple[Data, ...]:
        shape = self._shape(depth + 1)
        length = self._reader.count("octets of contents")
        end = self._reader.at + length
        items = []
        while self._reader.at < end:
            before = self._reader.at
            items.append(self._shaped(shape, depth + 1))
            if self._reader.at == before:
                raise CodecError("items without octets, and octets left for more")
        if self._reader.at != end:
            raise CodecError("the last item ends behind its compact array")
        return tuple(items)

    def _shape(self, depth: int) -> _Shape:
        self._count(depth)
        tag = TAGS.get(self._reader.octet())
        if tag is None or tag is Tag.COMPACT_ARRAY:
            raise CodecError("a compact array of something without a shape")
        if tag is Tag.STRUCTURE:
            fields = range(self._reader.count("fields"))
            return _Shape(tag, tuple([self._shape(depth + 1) for _ in fields]))
        count = self._reader.uint(2) if tag is Tag.ARRAY else 0
        return _Shape(tag, (self._shape(depth + 1),) if tag is Tag.ARRAY else (), count)

    def _shaped(self, shape: _Shape, depth: int) -> Data:
        self._count(depth)
        if shape.tag not in _LISTS:
            return Data(shape.tag, self._plain(shape.tag))
        inner = shape.inner if shape.tag is Tag.STRUCTURE else shape.inner * shape.count
        return Data(shape.tag, tuple([self._shaped(one, depth + 1) for one in inner]))


def _read_bits(reader: Reader) -> tuple[bool, ...]:
    count = reader.length()
    octets = reader.take((count + 7) // 8)
    return tuple(bool(octets[i // 8] & (0x80 >> i % 8)) for i in range(count))


def encode(data: Value) -> bytes:
    """Write one value; InvalidValueError if the value does not fit its type."""
    if isinstance(data, Encoded):
        return data.octets
    out = bytearray()
    _write(out, data)
    return bytes(out)


def _write(out: bytearray, data: Data) -> None:
    tag = data.tag
    if tag in _PACKERS:
        out += _number(data)
        return
    out.append(tag)
    if tag in _LISTS:
        items = data.as_items()
        out += encode_length(len(items))
        for item in items:
            _write(out, item)
    elif tag is Tag.COMPACT_ARRAY:
        _write_compact(out, data.as_items())
    else:
        _write_plain(out, data)


def _number(data: Data) -> bytes:
    """Return the number behind its tag."""
    try:
        return _PACKERS[data.tag](data.tag, data.value)
    except (struct.error, OverflowError) as error:
        raise InvalidValueError(data.tag.name, data.value, str(error)) from error


def _write_plain(out: bytearray, data: Data) -> None:
    """Write what stands behind the tag of anything but a list."""
    tag = data.tag
    if tag in STRINGS:
        out += sized(data.as_octets())
    elif tag in _PACKERS:
        out += _number(data)[1:]
    elif tag in TIME_OCTETS:
        out += _time(data)
    elif tag is Tag.BOOLEAN:
        out.append(1 if data.value else 0)
    elif isinstance(data.value, tuple):
        out += _bits(data.value)


def _time(data: Data) -> bytes:
    octets = data.as_octets()
    if len(octets) != TIME_OCTETS[data.tag]:
        raise InvalidValueError(data.tag.name, octets.hex(), f"{TIME_OCTETS[data.tag]} octets")
    return octets


def _bits(bits: "tuple[bool, ...] | tuple[Data, ...]") -> bytes:
    octets = bytearray((len(bits) + 7) // 8)
    for i, bit in enumerate(bits):
        octets[i // 8] |= (0x80 >> i % 8) if bit else 0
    return encode_length(len(bits)) + bytes(octets)


def _write_compact(out: bytearray, items: tuple[Data, ...]) -> None:
    """Write the shape that all items share, and then their contents without a tag."""
    shapes = {_shape_of(item) for item in items} or {_Shape(Tag.NULL)}
    if len(shapes) > 1:
        raise InvalidValueError("COMPACT_ARRAY", len(items), "items of one shape")
    _write_shape(out, shapes.pop())
    contents = bytearray()
    for item in items:
        _write_contents(contents, item)
    if items and not contents:
        raise InvalidValueError("COMPACT_ARRAY", len(items), "items that take octets")
    out += sized(bytes(contents))


def _shape_of(data: Data) -> _Shape:
    if data.tag is Tag.COMPACT_ARRAY:
        raise InvalidValueError("COMPACT_ARRAY", data.tag.name, "no compact array within another")
    if data.tag not in _LISTS:
        return _Shape(data.tag)
    inner = tuple(map(_shape_of, data.as_items()))
    if data.tag is Tag.STRUCTURE:
        return _Shape(data.tag, inner)
    if len(set(inner)) != 1 or len(inner) > _INNER_ITEMS_MAX:
        raise InvalidValueError("COMPACT_ARRAY", len(inner), "an inner array of one shape")
    return _Shape(data.tag, inner[:1], len(inner))


def _write_shape(out: bytearray, shape: _Shape) -> None:
    out.append(shape.tag)
    if shape.tag is Tag.STRUCTURE:
        out += encode_length(len(shape.inner))
    elif shape.tag is Tag.ARRAY:
        out += shape.count.to_bytes(2, "big")
    for inner in shape.inner:
        _write_shape(out, inner)


def _write_contents(out: bytearray, data: Data) -> None:
    if data.tag in _LISTS:
        for item in data.as_items():
            _write_contents(out, item)
    else:
        _write_plain(out, data)
