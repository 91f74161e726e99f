"""Selective access to a profile's buffer: rows by time or by number, and some of the columns.

Selector 1, range_descriptor: a restricting object (the clock, here), from, to, the columns.
Selector 2, entry_descriptor: from and to entry, from and to column, counted from 1.
"""

from dataclasses import dataclass
from datetime import datetime

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.reference import Access
from quince.protocols.dlms.cosem.clock import CLOCK_TIME, MeterTime
from quince.protocols.dlms.cosem.profile import Column, read_column, read_columns
from quince.protocols.dlms.encoding.axdr import Data, array, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag

BY_RANGE, BY_ENTRY = 1, 2
_ENTRY_MAX, _COLUMN_MAX = 2**32 - 1, 2**16 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The rows from `from_utc` to `to_utc`, both included; the columns asked for, () is all."""

    from_utc: datetime
    to_utc: datetime
    columns: tuple[Column, ...] = ()


def range_access(selection: Range, time: MeterTime, *, with_deviation: bool = True) -> Access:
    """Write a selection by the clock, its times as the meter writes them.

    Some meters want no deviation in it, others nothing else.
    """
    bounds = (
        octet_string(time.write(moment, with_deviation=with_deviation))
        for moment in (selection.from_utc, selection.to_utc)
    )
    columns = array(column.encode() for column in selection.columns)
    restricting = Column(ref=CLOCK_TIME).encode()
    return Access(selector=BY_RANGE, parameter=structure(restricting, *bounds, columns))


def read_range(parameter: Data, time: MeterTime) -> Range:
    """Read a selection by range; CodecError if it restricts anything but the clock."""
    restricting, low, high, columns = parameter.as_items(4)
    if read_column(restricting).ref != CLOCK_TIME:
        raise CodecError("a range over something else than the clock")
    return Range(
        from_utc=time.read(low.as_octets()).at_utc,
        to_utc=time.read(high.as_octets()).at_utc,
        columns=read_columns(columns),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Rows and columns by number, from 1, both ends included; 0 as an end is the last."""

    first: int
    last: int = 0
    first_column: int = 1
    last_column: int = 0


def entry_access(selection: Entries) -> Access:
    """Write a selection by entry."""
    parameter = structure(
        Data(Tag.UINT32, selection.first),
        Data(Tag.UINT32, selection.last),
        Data(Tag.UINT16, selection.first_column),
        Data(Tag.UINT16, selection.last_column),
    )
    return Access(selector=BY_ENTRY, parameter=parameter)


def read_entries(parameter: Data) -> Entries:
    """Read a selection by entry; CodecError if it begins before the first."""
    first, last, first_column, last_column = (item.as_int() for item in parameter.as_items(4))
    if not (1 <= first <= _ENTRY_MAX and 0 <= last <= _ENTRY_MAX):
        raise CodecError("entries count from 1")
    if not (1 <= first_column <= _COLUMN_MAX and 0 <= last_column <= _COLUMN_MAX):
        raise CodecError("columns count from 1")
    return Entries(first=first, last=last, first_column=first_column, last_column=last_column)
