"""What the objects say: clock, registers with their scaler, profiles and their selections."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import ACTIVE_IMPORT_REGISTER, Obis
from quince.model.quality import Quality
from quince.protocols.dlms.apdu.reference import Access, Ref
from quince.protocols.dlms.encoding.axdr import Data, Tag, array, octet_string, structure
from quince.protocols.dlms.encoding.date_time import Moment, decode_date_time, encode_date_time

CLASS_DATA, CLASS_REGISTER, CLASS_PROFILE, CLASS_CLOCK, CLASS_ASSOCIATION = 1, 3, 7, 8, 15
CLOCK_TIME = Ref(CLASS_CLOCK, Obis(0, 0, 1, 0, 0), 2)
CLOCK_ZONE = Ref(CLASS_CLOCK, Obis(0, 0, 1, 0, 0), 3)
LOGICAL_DEVICE_NAME = Ref(CLASS_DATA, Obis(0, 0, 42, 0, 0), 2)
DEVICE_ID = Ref(CLASS_DATA, Obis(0, 0, 96, 1, 1), 2)
PROFILE_STATUS = Ref(CLASS_DATA, Obis(0, 0, 96, 10, 1), 2)
ACTIVE_IMPORT = Ref(CLASS_REGISTER, ACTIVE_IMPORT_REGISTER, 2)
ACTIVE_IMPORT_SCALE = Ref(CLASS_REGISTER, ACTIVE_IMPORT_REGISTER, 3)
LOAD_PROFILE = Obis(1, 0, 99, 1, 0)
PROFILE_BUFFER = Ref(CLASS_PROFILE, LOAD_PROFILE, 2)
PROFILE_COLUMNS = Ref(CLASS_PROFILE, LOAD_PROFILE, 3)
PROFILE_PERIOD = Ref(CLASS_PROFILE, LOAD_PROFILE, 4)
PROFILE_ENTRIES_IN_USE = Ref(CLASS_PROFILE, LOAD_PROFILE, 7)
OBJECT_LIST = Ref(CLASS_ASSOCIATION, Obis(0, 0, 40, 0, 0), 2)
# What MX382 meters push, with their device id: when the supply goes, and when it is back.
LAST_GASP = Ref(CLASS_DATA, Obis(128, 128, 128, 128, 128, 0), 2)
POWER_UP = DEVICE_ID

UNIT_WH = 30
BY_RANGE, BY_ENTRY = 1, 2
# Beyond 10^±12 no register of energy is scaled.
_SCALER_MAX = 12

# The profile status octet as IDIS meters keep it; the other bits have no counterpart here.
STATUS_CRITICAL_ERROR, STATUS_CLOCK_INVALID, STATUS_DATA_INVALID = 0x01, 0x02, 0x04
STATUS_CLOCK_ADJUSTED, STATUS_POWER_DOWN = 0x20, 0x80
_STATUS_QUALITY = {
    # The meter itself disowns such a row: it must not be billed.
    STATUS_CRITICAL_ERROR: Quality.MISSING,
    STATUS_DATA_INVALID: Quality.MISSING,
    STATUS_CLOCK_INVALID: Quality.CLOCK_INVALID,
    STATUS_CLOCK_ADJUSTED: Quality.CLOCK_ADJUSTED,
    STATUS_POWER_DOWN: Quality.POWER_FAIL,
}


def quality_of_status(status: int) -> Quality:
    """Return what a profile status octet says about its row."""
    quality = Quality.GOOD
    for bit, flag in _STATUS_QUALITY.items():
        if status & bit:
            quality |= flag
    return quality


def read_clock(data: Data, *, fallback_offset_min: int | None = None) -> Moment:
    """Return the time of a clock object or of a profile's clock column."""
    return decode_date_time(data.as_octets(), fallback_offset_min=fallback_offset_min)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A register's scaler and unit: the quantity is value * 10^scaler in `unit` (30 is Wh)."""

    scaler: int
    unit: int

    def __post_init__(self) -> None:
        if abs(self.scaler) > _SCALER_MAX:
            raise CodecError(f"a scaler of {self.scaler}")

    @classmethod
    def read(cls, data: Data) -> "Scale":
        """Read attribute 3 of a register."""
        scaler, unit = data.as_items(2)
        return cls(scaler=scaler.as_int(), unit=unit.as_int())

    def apply(self, value: Data) -> int:
        """Return a register's value in its unit at scaler 0, decimals cut off.

        Cut, not rounded: the differences of cut registers add up to the cut difference.
        """
        factor: int = 10 ** abs(self.scaler)
        return value.as_int() * factor if self.scaler >= 0 else value.as_int() // factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A capture object: which attribute a profile's column holds."""

    ref: Ref
    data_index: int = 0

    def encode(self) -> Data:
        """Write the capture object definition."""
        return structure(
            Data(Tag.UINT16, self.ref.class_id),
            octet_string(bytes(self.ref.obis)),
            Data(Tag.INT8, self.ref.index),
            Data(Tag.UINT16, self.data_index),
        )


def read_column(data: Data) -> Column:
    """Read one capture object definition."""
    class_id, name, index, data_index = data.as_items(4)
    octets = name.as_octets()
    if len(octets) != 6:  # noqa: PLR2004 - a logical name
        raise CodecError(f"a logical name of {len(octets)} octets")
    try:
        ref = Ref(class_id.as_int(), Obis.from_bytes(octets), index.as_int())
    except InvalidValueError as error:
        raise CodecError(str(error)) from error
    return Column(ref=ref, data_index=data_index.as_int())


def read_columns(data: Data) -> tuple[Column, ...]:
    """Read attribute 3 of a profile."""
    return tuple(read_column(item) for item in data.as_items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One captured row: its moment, and one value for each column (the clock's included)."""

    moment: Moment
    values: tuple[Data, ...]


def read_rows(
    data: Data,
    columns: Sequence[Column],
    *,
    period_s: int,
    fallback_offset_min: int | None = None,
) -> tuple[Row, ...]:
    """Read a profile's buffer, oldest row first as it came.

    A null in the clock's column means the previous row's time and one period; any other null the
    value of the row above, in its own column.
    """
    try:
        clock = [column.ref for column in columns].index(CLOCK_TIME)
    except ValueError:
        raise CodecError("the profile captures no clock") from None
    rows: list[Row] = []
    for item in data.as_items():
        values = item.as_items(len(columns))
        above = rows[-1] if rows else None
        if values[clock].tag is not Tag.NULL:
            moment = read_clock(values[clock], fallback_offset_min=fallback_offset_min)
        else:
            moment = _next_moment(above, period_s)
        rows.append(Row(moment=moment, values=_filled(values, above)))
    return tuple(rows)


def _next_moment(above: Row | None, period_s: int) -> Moment:
    if above is None or period_s <= 0:
        raise CodecError("a row without a time, and nothing to count from")
    try:
        at_utc = above.moment.at_utc + timedelta(seconds=period_s)
    except OverflowError:
        raise CodecError("a row behind the end of time") from None
    return Moment(at_utc=at_utc, quality=above.moment.quality)


def _filled(values: tuple[Data, ...], above: Row | None) -> tuple[Data, ...]:
    if above is None:
        return values
    return tuple(
        previous if value.tag is Tag.NULL else value
        for value, previous in zip(values, above.values, strict=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The rows from `from_utc` to `to_utc`, both included; the columns asked for, () is all."""

    from_utc: datetime
    to_utc: datetime
    columns: tuple[Column, ...] = ()


def range_access(selection: Range, *, utc_offset_min: int) -> Access:
    """Write a selection by the clock, its times in the meter's local time."""
    bounds = (
        octet_string(encode_date_time(moment, utc_offset_min=utc_offset_min))
        for moment in (selection.from_utc, selection.to_utc)
    )
    columns = array(column.encode() for column in selection.columns)
    restricting = Column(ref=CLOCK_TIME).encode()
    return Access(selector=BY_RANGE, parameter=structure(restricting, *bounds, columns))


def read_range(parameter: Data, *, fallback_offset_min: int) -> Range:
    """Read a selection by range; CodecError if it restricts anything but the clock."""
    restricting, low, high, columns = parameter.as_items(4)
    if read_column(restricting).ref != CLOCK_TIME:
        raise CodecError("a range over something else than the clock")
    return Range(
        from_utc=read_clock(low, fallback_offset_min=fallback_offset_min).at_utc,
        to_utc=read_clock(high, fallback_offset_min=fallback_offset_min).at_utc,
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
    if first < 1 or first_column < 1 or last < 0 or last_column < 0:
        raise CodecError("entries and columns count from 1")
    return Entries(first=first, last=last, first_column=first_column, last_column=last_column)
