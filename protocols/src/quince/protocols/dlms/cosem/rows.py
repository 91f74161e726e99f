"""A profile's rows, turned into columns: when, how sure the clock was, and what was captured.

Law: a column keeps its place. A null in the clock's column is the previous row's time and one
period (less one, in a profile that tells its newest row first); a null in another column is the
value above it, in its own column, and a delta is to be added to that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import cast

from quince.model.errors import CodecError
from quince.model.quality import Quality
from quince.protocols.dlms.cosem.clock import MeterTime
from quince.protocols.dlms.cosem.profile import Layout, SortMethod
from quince.protocols.dlms.encoding import columns
from quince.protocols.dlms.encoding.axdr import Data, Encoded, Value
from quince.protocols.dlms.encoding.tags import NUMBER_FORMATS, STRINGS, TIME_OCTETS, Tag

Plain = bool | int | float | bytes | tuple[bool, ...] | tuple[Data, ...] | None
_INTEGERS = {int, NoneType}
_DELTAS = frozenset(
    {
        Tag.DELTA_INT8,
        Tag.DELTA_INT16,
        Tag.DELTA_INT32,
        Tag.DELTA_UINT8,
        Tag.DELTA_UINT16,
        Tag.DELTA_UINT32,
    }
)
# Rows that go by anything but their time are no period apart.
_STEPS = {SortMethod.FIFO: 1, SortMethod.LIFO: -1}
_PLAIN_INTEGERS = NUMBER_FORMATS.keys() - _DELTAS - {Tag.FLOAT32, Tag.FLOAT64}
_OCTETS = STRINGS | TIME_OCTETS.keys()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRows:
    """Rows in the order they came, all sequences of the same length.

    `at_s` are whole seconds since 1970 UTC, `clock` what the meter thought of its clock then.
    `columns` hold plain values, the clock's column its octets; None has nothing above it.
    """

    at_s: Sequence[int]
    clock: Sequence[Quality]
    columns: tuple[Sequence[Plain], ...]

    def integers(self, column: int) -> Sequence[int | None]:
        """Return a column of integers; CodecError if something else is in it."""
        values = self.columns[column]
        if not set(map(type, values)) <= _INTEGERS:
            raise CodecError(f"column {column} holds something else than integers")
        return cast("Sequence[int | None]", values)


def read_rows(buffer: Value, layout: Layout, time: MeterTime) -> ProfileRows:
    """Read a profile's buffer; CodecError if its rows are not of `layout`."""
    if not isinstance(buffer, Encoded):
        return _one_by_one(buffer, layout, time)
    alike = columns.decode_rows(buffer.octets)
    if alike is None or not _are_plain(alike, layout):
        return _one_by_one(buffer.decode(), layout, time)
    at_s, clock = time.stamps(alike.columns[layout.clock].as_octets())
    captured = tuple(_plain(column) for column in alike.columns)
    return ProfileRows(at_s=at_s, clock=clock, columns=captured)


def _are_plain(alike: columns.Rows, layout: Layout) -> bool:
    """Say whether rows that are all laid out alike need nothing from the row above."""
    tags = [column.tag for column in alike.columns]
    return (
        len(tags) == len(layout.columns)
        and tags[layout.clock] is not Tag.NULL
        and _DELTAS.isdisjoint(tags)
    )


def _plain(column: columns.Column) -> Sequence[Plain]:
    if column.tag in _PLAIN_INTEGERS:
        return column.as_ints()
    if column.tag in _OCTETS:
        return column.as_octets()
    return [data.value for data in column.values()]


def _one_by_one(buffer: Data, layout: Layout, time: MeterTime) -> ProfileRows:
    width = len(layout.columns)
    rows = [item.as_items(width) for item in buffer.as_items()]
    captured = [tuple(row[i] for row in rows) for i in range(width)]
    stamps = _stamps(captured[layout.clock], layout, time)
    return ProfileRows(
        at_s=[at_s for at_s, _ in stamps],
        clock=[quality for _, quality in stamps],
        columns=tuple(tuple(_filled(column)) for column in captured),
    )


def _stamps(column: Sequence[Data], layout: Layout, time: MeterTime) -> list[tuple[int, Quality]]:
    stamps: list[tuple[int, Quality]] = []
    step_s = layout.period_s * _STEPS.get(layout.sort_method, 0)
    for value in column:
        if value.tag is not Tag.NULL:
            stamps.append(time.stamp(value.as_octets()))
        elif stamps and step_s:
            at_s, quality = stamps[-1]
            stamps.append((at_s + step_s, quality))
        else:
            raise CodecError("a row without a time, and nothing to count from")
    return stamps


def _filled(column: Iterable[Data]) -> Iterable[Plain]:
    above: Plain = None
    for data in column:
        if data.tag in _DELTAS:
            above = Data(data.tag, above).as_int() + data.as_int()
        elif data.tag is not Tag.NULL:
            above = data.value
        yield above
