"""Day blocks: 96 values and quality octets of one channel and UTC day, and how slots are filled.

Law: a slot is only ever filled. The same again is a duplicate; anything else is a conflict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numba import njit
from numpy.typing import NDArray

from quince.headend.errors import CorruptBlockError
from quince.model.interval import SLOTS_PER_DAY, STEP_S, IntervalSeries

EMPTY = -(2**31)  # never a value: energies start at 0
_EMPTY_NARROW = 65_535
_NARROW_MAX = _EMPTY_NARROW - 1
_NARROW_BYTES = 2 * SLOTS_PER_DAY
_WIDE_BYTES = 4 * SLOTS_PER_DAY

FILLED, DUPLICATE, CONFLICT = 0, 1, 2

Values = NDArray[np.int32]
Flags = NDArray[np.uint8]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBlock:
    """One channel's UTC day as stored: `values` and `flags` have 96 slots, EMPTY where nothing is.

    `day` counts from 1970-01-01; `rev` counts the merges that changed the block, 0 before any.
    """

    day: int
    rev: int
    values: Values
    flags: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotColumns:
    """Intervals as columns: which row (channel), which slot since 1970, what, how good."""

    row: Indices
    slot: Indices
    values: Values
    flags: Flags


def slot_of(moment_utc: datetime) -> int:
    """Return the number of quarter-hours since 1970."""
    return int(moment_utc.timestamp()) // STEP_S


def moment_of(slot: int) -> datetime:
    """Return the start of a slot."""
    return datetime.fromtimestamp(slot * STEP_S, UTC)


def columns_of(series: Sequence[IntervalSeries]) -> SlotColumns:
    """Return the intervals that have a value; `row` is the index of their series.

    A missing interval is left out: it is remembered by its absence alone.
    """
    lengths = [len(one.values) for one in series]
    total = sum(lengths)
    values = np.fromiter(
        (EMPTY if value is None else value for one in series for value in one.values),
        np.int32,
        total,
    )
    flags = np.fromiter((flag for one in series for flag in one.quality), np.uint8, total)
    row = np.repeat(np.arange(len(series)), lengths)
    first = np.array([slot_of(one.start_utc) for one in series], np.int64)
    offset = np.cumsum([0, *lengths])[:-1]
    slot = first[row] + np.arange(total) - offset[row]
    present = values != EMPTY
    return SlotColumns(
        row=row[present], slot=slot[present], values=values[present], flags=flags[present]
    )


@njit(cache=True)
def fill_slots(
    block: Indices,
    slot: Indices,
    values: Values,
    flags: Flags,
    held_values: Values,
    held_flags: Flags,
) -> NDArray[np.uint8]:
    """Fill `held_*[block[i], slot[i]]` where empty; return FILLED, DUPLICATE or CONFLICT per i.

    Value and quality count together: a slot that holds both already is a duplicate. In order of i,
    so that two different values for one slot within a batch are a conflict too.
    """
    outcome = np.empty(len(block), np.uint8)
    for i in range(len(block)):
        at = block[i], slot[i]
        if held_values[at] == EMPTY:
            held_values[at] = values[i]
            held_flags[at] = flags[i]
            outcome[i] = FILLED
        elif held_values[at] == values[i] and held_flags[at] == flags[i]:
            outcome[i] = DUPLICATE
        else:
            outcome[i] = CONFLICT
    return outcome


def encode_blocks(values: Values, flags: Flags) -> list[tuple[bytes, bytes | None]]:
    """Return each row as stored: little-endian uint16, or int32 where one value needs it.

    Quality is None where all of it is good.
    """
    wide = np.any(values > _NARROW_MAX, axis=1).tolist()
    flagged = np.any(flags, axis=1).tolist()
    narrow_values = np.where(values == EMPTY, _EMPTY_NARROW, values).astype("<u2")
    wide_values = values.astype("<i4")
    return [
        (
            (wide_values if wide[i] else narrow_values)[i].tobytes(),
            flags[i].tobytes() if flagged[i] else None,
        )
        for i in range(len(values))
    ]


def decode_block(packed: bytes, quality: bytes | None) -> tuple[Values, Flags]:
    """Return a stored block's 96 values and quality octets; CorruptBlockError for other lengths."""
    if len(packed) == _NARROW_BYTES:
        narrow = np.frombuffer(packed, "<u2").astype(np.int32)
        values = np.where(narrow == _EMPTY_NARROW, np.int32(EMPTY), narrow)
    elif len(packed) == _WIDE_BYTES:
        values = np.frombuffer(packed, "<i4").astype(np.int32)
    else:
        raise CorruptBlockError(f"a block of {len(packed)} octets")
    if quality is None:
        return values, np.zeros(SLOTS_PER_DAY, np.uint8)
    if len(quality) != SLOTS_PER_DAY:
        raise CorruptBlockError(f"{len(quality)} quality octets")
    return values, np.frombuffer(quality, np.uint8)
