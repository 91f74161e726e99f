"""The load profile P.01 as IEC 62056-21 meters of the VDEW kind send it in programming mode.

Asked by `R5 P.01(from;to)` with stamps `ZYYMMDDhhmm` of local time, both ends included, answered by
one or more sections, a new one after every gap and every change of status:

    P.01(ZYYMMDDhhmmss)(status)(period in min)(n)(address)(unit)…(address)(unit)
    (value)…(value)        one row per period, n values, the oldest first

The stamp is that of the section's first row, and a row's stamp is the END of its period: a day
begins with 00:15. `P.01(ERROR)` says that there is nothing in the range.

Source: this form, the eight status bits and `R5 P.01(01808130001;01808191600)` are what public
recordings of EMH, Metcom and Landis+Gyr meters and their readers show; the VDEW specification
("Lastenheft 2.1.2") itself is known here from memory only. Wider status words carry the maker's
own bits above the low octet; only that octet is interpreted.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntFlag

from quince.model.errors import CodecError, InvalidValueError
from quince.model.interval import STEP, STEP_S, floor_boundary, require_utc
from quince.model.quality import Quality
from quince.protocols.optical.iec62056_21.datasets import (
    DataSet,
    Value,
    energy,
    parse_data_sets,
    parse_stamp,
    render_data_sets,
    render_stamp,
)

ADDRESS = "P.01"
# A section names its channels in pairs; VDEW meters have at most eight quantities, some add sums.
CHANNELS_MAX = 32
_HEAD = 4  # stamp, status, period, number of channels
_INTERVAL = re.compile(r"(?:1-[01]:)?1\.29(?:\.0)?")
_REGISTER = re.compile(r"(?:1-[01]:)?1\.8(?:\.0)?")


class Status(IntFlag):
    """The low octet of the status word."""

    FATAL_ERROR = 0x01
    RESERVE_EXHAUSTED = 0x02
    DISTURBED = 0x04
    SEASON_CHANGED = 0x08
    RESET = 0x10
    CLOCK_SET = 0x20
    POWER_RECOVERY = 0x40
    POWER_FAILURE = 0x80


_QUALITY = {
    Status.RESERVE_EXHAUSTED: Quality.CLOCK_INVALID,
    Status.DISTURBED: Quality.CLOCK_DOUBTFUL,  # the period was not a whole one
    Status.RESET: Quality.RESET,
    Status.CLOCK_SET: Quality.CLOCK_ADJUSTED,
    Status.POWER_RECOVERY: Quality.POWER_FAIL,
    Status.POWER_FAILURE: Quality.POWER_FAIL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One column: its address as the meter writes it, and its unit."""

    address: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Consecutive rows of one status; the first ends at `first_end_utc`, each has every channel."""

    first_end_utc: datetime
    status: int
    period_min: int
    channels: tuple[Channel, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        require_utc("section.first_end_utc", self.first_end_utc)
        if not 0 <= self.status < 1 << 32:
            raise InvalidValueError("section.status", self.status, "at most 32 bits")
        if not 1 <= self.period_min <= 60:  # noqa: PLR2004 - a demand period divides the hour
            raise InvalidValueError("section.period_min", self.period_min, "1..60")
        if not 1 <= len(self.channels) <= CHANNELS_MAX:
            raise InvalidValueError("section.channels", len(self.channels), f"1..{CHANNELS_MAX}")
        if any(len(row) != len(self.channels) for row in self.rows):
            raise InvalidValueError("section.rows", self.rows, "one value per channel in each")


def render_range(first_end_utc: datetime, last_end_utc: datetime, utc_offset_min: int) -> str:
    """Return the argument of R5 for the rows that end at or between the two moments."""
    ends = (render_stamp(end, utc_offset_min)[:-2] for end in (first_end_utc, last_end_utc))
    return ";".join(ends)


def parse_range(text: str, utc_offset_min: int) -> tuple[datetime, datetime]:
    """Read the argument of R5, both ends given; CodecError otherwise."""
    first, separator, last = text.partition(";")
    if not separator:
        raise CodecError(f"not a range: {text!r}")
    return parse_stamp(first, utc_offset_min), parse_stamp(last, utc_offset_min)


def render_profile(sections: Sequence[Section], utc_offset_min: int) -> str:
    """Return the answer's text; `P.01(ERROR)` when there is no section."""
    if not sections:
        return f"{ADDRESS}(ERROR)"
    data_sets = [line for section in sections for line in _lines(section, utc_offset_min)]
    return render_data_sets(data_sets) + "\r\n"


def parse_profile(text: str, utc_offset_min: int) -> list[Section]:
    """Read an answer; no section when the meter has nothing in the range. CodecError otherwise."""
    data_sets = parse_data_sets(text)
    if len(data_sets) == 1 and data_sets[0].address == ADDRESS and data_sets[0].values[0].is_error:
        return []
    sections: list[list[Value]] = []
    for data_set in data_sets:
        if data_set.address == ADDRESS:
            sections.append([])
        elif data_set.address or not sections:
            raise CodecError(f"{data_set.address!r} inside a load profile")
        sections[-1].extend(data_set.values)
    try:
        return [_section([value.text for value in values], utc_offset_min) for values in sections]
    except (InvalidValueError, ValueError) as error:
        raise CodecError(f"not a load profile: {error}") from error


def active_import(sections: Iterable[Section]) -> dict[datetime, tuple[int | None, Quality]]:
    """Return Wh and quality of each quarter-hour, by its start, from the column 1.29.

    A row that ends off the boundary (the meter began anew inside the period) belongs to the
    quarter-hour it lies in, and adds to it. A value under FATAL_ERROR is missing: the meter
    itself disowns it. Rows that end at the same moment add up when the clock was set back between
    them. CodecError if it was not, if the period is not 15 minutes, or the column is not there.
    """
    found: dict[datetime, tuple[int | None, Quality]] = {}
    lived: set[datetime] = set()  # the ends of rows before the clock was last set
    ends: set[datetime] = set()  # and since then
    for section in sections:
        column = _column(section, _INTERVAL)
        if column is None or section.period_min * 60 != STEP_S:
            raise CodecError("no column 1.29 (active import per period) of 15 minutes")
        if section.status & Status.CLOCK_SET:
            lived |= ends
            ends = set()
        flags = _quality(section.status)
        for end_utc, value_wh in _column_values(section, column):
            if end_utc in ends:
                raise CodecError(f"two rows end at {end_utc.isoformat()}")
            ends.add(end_utc)
            again = Quality.CLOCK_ADJUSTED if end_utc in lived else Quality.GOOD
            start_utc = _quarter_of(end_utc)
            found[start_utc] = _merge(found.get(start_utc), value_wh, flags | again)
    return found


def begun_quarter(sections: Sequence[Section]) -> datetime | None:
    """Return the start of the quarter-hour the last row ends inside of, None if it ends one.

    Such a row is a part: the meter may yet write the rest of its quarter-hour.
    """
    last = next((section for section in reversed(sections) if section.rows), None)
    if last is None:
        return None
    end_utc = _row_ends(last)[-1]
    return None if end_utc == floor_boundary(end_utc) else _quarter_of(end_utc)


def active_import_registers(sections: Iterable[Section]) -> dict[datetime, int]:
    """Return the register 1.8.0 in Wh at the end of each row, where the profile has that column."""
    found: dict[datetime, int] = {}
    for section in sections:
        column = _column(section, _REGISTER)
        if column is not None and not section.status & Status.FATAL_ERROR:
            found.update(_column_values(section, column))
    return found


def _lines(section: Section, utc_offset_min: int) -> Iterator[DataSet]:
    head = (
        render_stamp(section.first_end_utc, utc_offset_min),
        f"{section.status:02X}",
        str(section.period_min),
        str(len(section.channels)),
        *(text for channel in section.channels for text in (channel.address, channel.unit)),
    )
    yield DataSet(ADDRESS, tuple(map(Value, head)))
    for row in section.rows:
        yield DataSet("", tuple(map(Value, row)))


def _section(texts: list[str], utc_offset_min: int) -> Section:
    if len(texts) < _HEAD:
        raise CodecError(f"a section's head has {_HEAD} values and more: {texts!r}")
    stamp, status, period, number = texts[:_HEAD]
    width = int(number)
    rows = _HEAD + 2 * width
    if not 1 <= width <= CHANNELS_MAX or len(texts) < rows or (len(texts) - rows) % width:
        raise CodecError(f"{len(texts) - _HEAD} values for {number!r} channels")
    pairs = zip(texts[_HEAD:rows:2], texts[_HEAD + 1 : rows : 2], strict=True)
    return Section(
        first_end_utc=parse_stamp(stamp, utc_offset_min),
        status=int(status, 16),
        period_min=int(period),
        channels=tuple(Channel(address=address, unit=unit) for address, unit in pairs),
        rows=tuple(tuple(texts[i : i + width]) for i in range(rows, len(texts), width)),
    )


def _column(section: Section, address: re.Pattern[str]) -> int | None:
    matching = (
        i for i, channel in enumerate(section.channels) if address.fullmatch(channel.address)
    )
    return next(matching, None)


def _column_values(section: Section, column: int) -> Iterator[tuple[datetime, int]]:
    unit = section.channels[column].unit
    for end_utc, row in zip(_row_ends(section), section.rows, strict=True):
        yield end_utc, energy(Value(row[column], unit))


def _row_ends(section: Section) -> list[datetime]:
    """Return when each row ends: the first as the section says, the others on the border."""
    border_utc = floor_boundary(section.first_end_utc)
    later = (border_utc + i * STEP for i in range(1, len(section.rows)))
    return [section.first_end_utc, *later][: len(section.rows)]


def _quarter_of(end_utc: datetime) -> datetime:
    return floor_boundary(end_utc - timedelta(seconds=1))


def _merge(
    before: tuple[int | None, Quality] | None, value: int, flags: Quality
) -> tuple[int | None, Quality]:
    known, known_flags = before or (0, Quality.GOOD)
    flags |= known_flags
    return (None if flags & Quality.MISSING else (known or 0) + value), flags


def _quality(status: int) -> Quality:
    flags = Quality.MISSING if status & Status.FATAL_ERROR else Quality.GOOD
    for bit, flag in _QUALITY.items():
        if status & bit:
            flags |= flag
    return flags
