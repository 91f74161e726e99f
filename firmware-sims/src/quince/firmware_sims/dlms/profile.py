"""Profiles: rows kept in memory as they were captured, and told in many ways.

A row is encoded once, when it is first told, and kept so, as firmware keeps it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import cast

from quince.firmware_sims.dlms.objects import MeterObject, Write
from quince.model.errors import CodecError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.reference import Access
from quince.protocols.dlms.cosem.clock import CLOCK_TIME, MeterTime
from quince.protocols.dlms.cosem.names import ClassId
from quince.protocols.dlms.cosem.profile import Column, SortMethod
from quince.protocols.dlms.cosem.selection import BY_ENTRY, BY_RANGE, read_entries, read_range
from quince.protocols.dlms.encoding.axdr import Data, Encoded, array, encoded_array
from quince.protocols.dlms.encoding.reader import encode_length, sized
from quince.protocols.dlms.encoding.tags import Tag

_NULL_CELL = bytes((Tag.NULL,))
_NO_DEVIATION = b"\x80\x00"

Cells = tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a profile tells its rows, and what it wants to be asked.

    `nulls`: a clock that is one period on, and a value that is the one above, are null-data.
    `compact`: a compact array, which has no nulls. `newest_first`: the last row comes first.
    `wants_deviation`: ranges with a deviation alone, or without alone; None takes both.
    """

    nulls: bool = False
    compact: bool = False
    newest_first: bool = False
    wants_deviation: bool | None = None


class Row:
    """What was captured at a moment; its cells are encoded when they are first told."""

    __slots__ = ("_cells", "_encode", "_whole", "shown_s")

    def __init__(self, shown_s: int, encode: Callable[[], Cells]) -> None:
        self.shown_s = shown_s
        self._encode = encode
        self._cells: Cells = ()
        self._whole = b""

    @property
    def cells(self) -> Cells:
        """The encoded cells."""
        if not self._cells:
            self._cells = self._encode()
        return self._cells

    @property
    def whole(self) -> bytes:
        """The structure of all cells."""
        if not self._whole:
            self._whole = _structure(self.cells)
        return self._whole


class Memory:
    """The newest `entries_max` rows, in the order they were captured.

    `begun_s` are the stamps of rows from before the meter was made: `recall` makes one when
    somebody asks for it, for most meters of a fleet are never asked for a month.
    """

    def __init__(
        self,
        entries_max: int,
        *,
        begun_s: Iterable[int] = (),
        recall: Callable[[int], Row] | None = None,
    ) -> None:
        self.entries_max = entries_max
        self._rows: list[Row | int] = [*begun_s]
        self._recall = recall
        self._is_in_order = True

    def __len__(self) -> int:
        return len(self._rows)

    def keep(self, row: Row) -> None:
        """Keep a row; the oldest goes when there is no room."""
        if self._rows and row.shown_s < _shown_s(self._rows[-1]):
            self._is_in_order = False
        self._rows.append(row)
        if len(self._rows) > self.entries_max:
            del self._rows[0]

    def take(self, low: int = 0, high: int | None = None) -> list[Row]:
        """Return the rows of a slice."""
        indices = range(*slice(low, high).indices(len(self._rows)))
        return [self._row(index) for index in indices]

    def between(self, from_utc: datetime, to_utc: datetime) -> list[Row]:
        """Return the rows that are stamped within a range, both ends included."""
        from_s, to_s = from_utc.timestamp(), to_utc.timestamp()
        if not self._is_in_order:  # somebody has set the clock back
            return [row for row in self.take() if from_s <= row.shown_s <= to_s]
        low = bisect_left(self._rows, from_s, key=_shown_s)
        return self.take(low, bisect_right(self._rows, to_s, key=_shown_s))

    def _row(self, index: int) -> Row:
        row = self._rows[index]
        if isinstance(row, int) and self._recall is not None:
            row = self._rows[index] = self._recall(row)
        return cast("Row", row)


def _shown_s(row: Row | int) -> int:
    return row if isinstance(row, int) else row.shown_s


class Profile:
    """A profile generic; `memory` gives its rows as they are now."""

    def __init__(
        self,
        name: Obis,
        columns: tuple[Column, ...],
        *,
        period_s: int,
        memory: Callable[[], Memory],
        time: MeterTime,
        style: Style,
    ) -> None:
        self.columns = columns
        self._name = name
        self._period_s = period_s
        self._memory = memory
        self._time = time
        self._style = style
        self._clock = columns.index(Column(ref=CLOCK_TIME))
        self._all = tuple(range(len(columns)))

    def set_period(self, period_s: int) -> None:
        """Say from now on that rows are so far apart."""
        self._period_s = period_s

    def described(self, writes: Mapping[int, Write] | None = None) -> MeterObject:
        """Return the profile object, with what of it can be written."""
        sort_method = SortMethod.LIFO if self._style.newest_first else SortMethod.FIFO
        return MeterObject(
            class_id=ClassId.PROFILE,
            version=1,
            name=self._name,
            reads={
                2: lambda: self._tell(self._ordered(self._memory().take()), self._all),
                3: lambda: array(column.encode() for column in self.columns),
                4: lambda: Data(Tag.UINT32, self._period_s),
                5: lambda: Data(Tag.ENUM, sort_method),
                7: lambda: Data(Tag.UINT32, len(self._memory())),
                8: lambda: Data(Tag.UINT32, self._memory().entries_max),
            },
            writes=writes or {},
            select=self._select,
        )

    # -- which rows, and which cells of them ---------------------------------------------

    def _select(self, access: Access) -> Encoded:
        if access.selector == BY_RANGE:
            return self._select_range(access.parameter)
        if access.selector == BY_ENTRY:
            entries = read_entries(access.parameter)
            rows = self._ordered(self._memory().take())
            return self._tell(
                rows[entries.first - 1 : entries.last or None],
                self._all[entries.first_column - 1 : entries.last_column or None],
            )
        raise CodecError(f"selector {access.selector}")

    def _select_range(self, parameter: Data) -> Encoded:
        _restricting, low, _high, _columns = parameter.as_items(4)
        has_deviation = low.as_octets()[9:11] != _NO_DEVIATION
        if self._style.wants_deviation not in (None, has_deviation):
            raise CodecError("a range whose times this meter does not understand")
        selection = read_range(parameter, self._time)
        rows = self._memory().between(selection.from_utc, selection.to_utc)
        picked = tuple(map(self._position, selection.columns)) or self._all
        return self._tell(self._ordered(rows), picked)

    def _ordered(self, rows: list[Row]) -> list[Row]:
        return rows[::-1] if self._style.newest_first else rows

    def _position(self, column: Column) -> int:
        try:
            return self.columns.index(column)
        except ValueError:
            raise CodecError("a column that is not captured") from None

    # -- how they are told ---------------------------------------------------------------

    def _tell(self, rows: Sequence[Row], picked: tuple[int, ...]) -> Encoded:
        if self._style.compact and rows:
            return _compact([_pick(row.cells, picked) for row in rows])
        if self._style.nulls:
            told = [_structure(_pick(cells, picked)) for cells in self._with_nulls(rows)]
        elif picked == self._all:
            told = [row.whole for row in rows]
        else:
            told = [_structure(_pick(row.cells, picked)) for row in rows]
        return encoded_array(told)

    def _with_nulls(self, rows: Sequence[Row]) -> list[Cells]:
        told = [row.cells for row in rows[:1]]
        for above, row in pairwise(rows):
            cells = [
                _NULL_CELL if cell == cell_above else cell
                for cell, cell_above in zip(row.cells, above.cells, strict=True)
            ]
            if self._is_next(row, above):
                cells[self._clock] = _NULL_CELL
            told.append(tuple(cells))
        return told

    def _is_next(self, row: Row, above: Row) -> bool:
        """Say whether a row's time is that of the row above and one period, and as sure."""
        step_s = row.shown_s - above.shown_s
        is_period = step_s == (-self._period_s if self._style.newest_first else self._period_s)
        return is_period and row.cells[self._clock][-1:] == above.cells[self._clock][-1:]


def _pick(cells: Cells, picked: tuple[int, ...]) -> Cells:
    return tuple([cells[position] for position in picked])


def _structure(cells: Cells) -> bytes:
    return bytes((Tag.STRUCTURE,)) + encode_length(len(cells)) + b"".join(cells)


def _compact(rows: list[Cells]) -> Encoded:
    """Write rows whose cells are all of the first row's types: those once, then the contents."""
    tags = b"".join(cell[:1] for cell in rows[0])
    shape = bytes((Tag.STRUCTURE,)) + encode_length(len(rows[0])) + tags
    contents = b"".join(cell[1:] for row in rows for cell in row)
    return Encoded(bytes((Tag.COMPACT_ARRAY,)) + shape + sized(contents))
