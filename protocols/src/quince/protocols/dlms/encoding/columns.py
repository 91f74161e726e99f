"""A profile's rows as columns: thousands of alike rows read at once instead of value by value.

Law: what is read here is what `axdr.decode` would read, however many rows; anything else is None,
and the caller decodes value by value. The first row is the template: every other must have the
same tags and lengths in the same places, which strided slices compare at C speed.
"""

import struct
from dataclasses import dataclass

from quince.model.errors import CodecError
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.encoding.reader import Reader
from quince.protocols.dlms.encoding.tags import (
    EMPTY,
    NUMBER_FORMATS,
    STRINGS,
    TAGS,
    TIME_OCTETS,
    Tag,
)

# A captured object each; real profiles have a dozen, and each costs a slice per octet.
COLUMNS_MAX = 256
_OCTETS = STRINGS | TIME_OCTETS.keys()
_WIDTHS = {
    **{tag: struct.calcsize(f">{letter}") for tag, letter in NUMBER_FORMATS.items()},
    **TIME_OCTETS,
    **dict.fromkeys(EMPTY, 0),
    Tag.BOOLEAN: 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One value of every row, all of one type and length.

    `octets` holds the values one behind another, without tags and lengths, `width` octets each.
    """

    tag: Tag
    width: int
    rows: int
    octets: bytes

    def as_ints(self) -> tuple[int, ...]:
        """Return the integers; CodecError if they are none."""
        if self.tag not in NUMBER_FORMATS or self.tag in (Tag.FLOAT32, Tag.FLOAT64):
            raise CodecError(f"integers expected, not {self.tag.name}")
        return struct.unpack(f">{self.rows}{NUMBER_FORMATS[self.tag]}", self.octets)

    def as_octets(self) -> tuple[bytes, ...]:
        """Return the strings or times; CodecError if they are none."""
        if self.tag not in _OCTETS:
            raise CodecError(f"octets expected, not {self.tag.name}")
        octets, width = self.octets, self.width
        return tuple([octets[i * width : (i + 1) * width] for i in range(self.rows)])

    def octet(self, index: int) -> bytes:
        """Return the octet at `index` (0..width-1) of every row's value.

        A column of date-times gives its months as `octet(2)`, its hours as `octet(5)`. CodecError
        if the values are shorter.
        """
        if not 0 <= index < self.width:
            raise CodecError(f"octet {index} of values of {self.width} octets")
        return self.octets[index :: self.width]

    def values(self) -> tuple[Data, ...]:
        """Return what `axdr.decode` would have made of the column."""
        if self.tag in EMPTY:
            return (Data(self.tag),) * self.rows
        if self.tag in NUMBER_FORMATS:
            numbers = struct.unpack(f">{self.rows}{NUMBER_FORMATS[self.tag]}", self.octets)
            return tuple([Data(self.tag, number) for number in numbers])
        if self.tag is Tag.BOOLEAN:
            return tuple([Data(self.tag, bool(octet)) for octet in self.octets])
        return tuple([Data(self.tag, octets) for octets in self.as_octets()])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """An array of structures that are all laid out alike: `count` rows of at least one column."""

    count: int
    columns: tuple[Column, ...]


def decode_rows(octets: bytes) -> Rows | None:
    """Read an array, or a compact array, of flat structures of one layout; None if it is not.

    None also for no rows at all, and for octets that are no value: `axdr.decode` says why.
    """
    try:
        return _decode_rows(Reader(octets))
    except CodecError:
        return None


@dataclass(frozen=True, slots=True)
class _Field:
    """Where a column's value stands in a row."""

    tag: Tag
    at: int
    width: int


@dataclass(frozen=True, slots=True)
class _Template:
    """A row's layout; `fixed` are the places of its tags and lengths, the same in every row."""

    octets: int
    fields: tuple[_Field, ...]
    fixed: tuple[int, ...]


def _decode_rows(reader: Reader) -> Rows | None:
    kind = reader.octet()
    if kind == Tag.ARRAY:
        count = reader.count("rows")
        template = _template(Reader(reader.octets, reader.at), None)
    elif kind == Tag.COMPACT_ARRAY:
        shape = _shape(reader)
        if reader.length() != reader.remaining:
            return None
        template = _template(Reader(reader.octets, reader.at), shape)
        count = reader.remaining // max(template.octets, 1)
    else:
        return None
    if count == 0 or not template.fields or count * template.octets != reader.remaining:
        return None
    body = reader.rest()
    if not all(_is_fixed(body, at, template.octets, count) for at in template.fixed):
        return None
    columns = tuple([_column(body, field, template.octets, count) for field in template.fields])
    return Rows(count=count, columns=columns)


def _is_fixed(body: bytes, at: int, stride: int, count: int) -> bool:
    return body[at::stride] == body[at : at + 1] * count


def _column(body: bytes, field: _Field, stride: int, count: int) -> Column:
    values = bytearray(field.width * count)
    for index in range(field.width):
        values[index :: field.width] = body[field.at + index :: stride]
    return Column(tag=field.tag, width=field.width, rows=count, octets=bytes(values))


def _shape(reader: Reader) -> tuple[Tag, ...]:
    """Read the shape of a compact array's rows: their columns' tags."""
    return tuple([_tag(reader) for _ in range(_fields(reader))])


def _template(row: Reader, shape: tuple[Tag, ...] | None) -> _Template:
    """Read the layout of the row that `row` stands before; with a `shape` it has no tags."""
    start, fields = row.at, []
    count = _fields(row) if shape is None else len(shape)
    fixed = list(range(row.at - start))
    for i in range(count):
        before = row.at - start
        tag = _tag(row) if shape is None else shape[i]
        width = _width(row, tag)
        at = row.at - start
        row.take(width)
        fields.append(_Field(tag, at, width))
        fixed += range(before, at)
    return _Template(row.at - start, tuple(fields), tuple(fixed))


def _fields(reader: Reader) -> int:
    """Read that a structure follows, and of how many fields."""
    if reader.octet() != Tag.STRUCTURE:
        raise CodecError("rows that are no structures")
    count = reader.count("columns")
    if count > COLUMNS_MAX:
        raise CodecError(f"more than {COLUMNS_MAX} columns")
    return count


def _tag(reader: Reader) -> Tag:
    code = reader.octet()
    if code not in TAGS:
        raise CodecError(f"no data type has tag {code}")
    return TAGS[code]


def _width(row: Reader, tag: Tag) -> int:
    """Return how many octets the value takes; a string's length is read from the row."""
    if tag in STRINGS:
        return row.length()
    if tag not in _WIDTHS:
        raise CodecError(f"a column of {tag.name}")
    return _WIDTHS[tag]
