"""What a load profile's rows come to: the energy of each quarter-hour, channel by channel.

Law: a quarter-hour without both its rows is missing, and so is one whose rows contradict another
or cannot be true.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import cast

from quince.edge.errors import UnsupportedError
from quince.edge.readers.reader import ProfilePiece
from quince.model.interval import ENERGY_MAX, STEP_S, IntervalSeries, RegisterReading
from quince.model.obis import (
    ACTIVE_IMPORT_INTERVAL,
    INTERVAL_D,
    REGISTER_D,
    Obis,
    interval_channel,
    register_channel,
)
from quince.model.quality import Quality
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.names import ClassId
from quince.protocols.dlms.cosem.profile import Column, Layout
from quince.protocols.dlms.cosem.register import UNIT_VARH, UNIT_WH, UNITS, Scale
from quince.protocols.dlms.cosem.rows import ProfileRows
from quince.protocols.dlms.cosem.status import is_status, quality_of_status

# What makes the border of an interval unsure, whichever of its two rows says it.
_CLOCK_FLAGS = Quality.CLOCK_INVALID | Quality.CLOCK_DOUBTFUL
_GOOD = Quality.GOOD
_REGISTER_CLASSES = (ClassId.REGISTER, ClassId.EXTENDED_REGISTER)
# Active and reactive energy, in and out: +A, -A, +R, -R.
_ENERGY_C = range(1, 5)
# Rate 0 is the total; tariffs of more than eight rates are not met.
_RATES_MAX = 8
_ENERGY_UNITS = (UNIT_WH, UNIT_VARH)

_Told = tuple[int, Quality]


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """A column that tells a channel's energy: by its register, or interval by interval."""

    column: int
    value: Ref
    scale: Scale

    def __post_init__(self) -> None:
        if self.scale.unit not in _ENERGY_UNITS:
            told = UNITS.get(self.scale.unit, f"unit {self.scale.unit}")
            raise UnsupportedError(f"{self.value.obis} in {told}, not Wh or varh")

    @property
    def is_register(self) -> bool:
        """Whether the column holds a cumulative register."""
        return self.value.obis.d == REGISTER_D

    @property
    def channel(self) -> Obis:
        """The interval channel's name."""
        return interval_channel(self.value.obis) if self.is_register else self.value.obis

    @property
    def register(self) -> Obis:
        """The register's name."""
        return register_channel(self.channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePlan:
    """A profile's layout, and what is made of it; active import is the first of `energies`."""

    layout: Layout
    energies: tuple[Energy, ...]

    def __post_init__(self) -> None:
        if self.layout.period_s != STEP_S:
            raise UnsupportedError(f"a profile every {self.layout.period_s} s, not {STEP_S} s")
        if not self.energies or self.energies[0].channel != ACTIVE_IMPORT_INTERVAL:
            raise UnsupportedError("the profile captures no active import")

    @property
    def status(self) -> int | None:
        """The column of the status word, if there is one."""
        refs = (column.ref for column in self.layout.columns)
        return next((i for i, ref in enumerate(refs) if is_status(ref)), None)


def is_register(ref: Ref) -> bool:
    """Say whether this is the value of an energy register that is worth reading."""
    return ref.obis.d == REGISTER_D and _is_energy(ref)


def energy_columns(columns: Sequence[Column]) -> dict[int, Ref]:
    """Return which columns tell energy, one for each channel, active import's first.

    Where a channel is captured both ways, its register counts.
    """
    found: dict[Obis, int] = {}
    for d in (REGISTER_D, INTERVAL_D):
        for i, column in enumerate(columns):
            if column.ref.obis.d == d and column.data_index == 0 and _is_energy(column.ref):
                name = column.ref.obis
                found.setdefault(interval_channel(name) if d == REGISTER_D else name, i)
    return {i: columns[i].ref for _, i in sorted(found.items())}


def _is_energy(ref: Ref) -> bool:
    name = ref.obis
    return (
        ref.class_id in _REGISTER_CLASSES
        and ref.index == 2  # noqa: PLR2004 - the value
        and (name.a, name.b) == (1, 0)
        and name.c in _ENERGY_C
        and name.e <= _RATES_MAX
    )


def read_piece(
    rows: ProfileRows, plan: ProfilePlan, *, meter_id: str, start_utc: datetime, end_utc: datetime
) -> ProfilePiece:
    """Return the quarter-hours of [start_utc, end_utc), and the registers at both borders."""
    borders_s = range(int(start_utc.timestamp()), int(end_utc.timestamp()) + 1, STEP_S)
    quality = _row_quality(rows, plan.status)
    series, readings = [], []
    for energy in plan.energies:
        told = _told(rows, quality, energy)
        at_borders = [told.get(at_s) for at_s in borders_s]
        series.append(_series(at_borders, energy, meter_id, start_utc))
        if energy.is_register:
            for border_utc, one in ((start_utc, at_borders[0]), (end_utc, at_borders[-1])):
                readings += _reading(one, energy, meter_id, border_utc)
    return ProfilePiece(series=series[0], others=tuple(series[1:]), readings=tuple(readings))


def _row_quality(rows: ProfileRows, status: int | None) -> list[Quality]:
    if status is None:
        return list(rows.clock)
    words = rows.integers(status)
    meanings = {word: quality_of_status(word or 0) for word in set(words)}
    if not any(meanings.values()):
        return list(rows.clock)
    return [clock | meanings[word] for clock, word in zip(rows.clock, words, strict=True)]


def _told(rows: ProfileRows, quality: Sequence[Quality], energy: Energy) -> dict[int, _Told]:
    """Return what the column tells at each moment, but not where the meter disowns the row.

    A moment told twice and differently tells nothing either.
    """
    values = energy.scale.apply_all(rows.integers(energy.column))
    told = dict(zip(rows.at_s, zip(values, quality, strict=True), strict=True))
    if len(told) < len(values) or None in values or any(quality):
        told = _uncontested(rows.at_s, values, quality)
    return cast("dict[int, _Told]", told)


def _uncontested(
    moments: Sequence[int], values: Sequence[int | None], quality: Sequence[Quality]
) -> dict[int, tuple[int | None, Quality]]:
    found: dict[int, tuple[int | None, Quality]] = {}
    contested: set[int] = set()
    for at_s, value, flags in zip(moments, values, quality, strict=True):
        known, known_flags = found.get(at_s, (value, flags))
        found[at_s] = value, known_flags | flags
        if value is None or known != value or flags & Quality.MISSING:
            contested.add(at_s)
    return {at_s: one for at_s, one in found.items() if at_s not in contested}


def _series(
    at_borders: Sequence[_Told | None], energy: Energy, meter_id: str, start_utc: datetime
) -> IntervalSeries:
    if energy.is_register:
        slots = [_growth(before, after) for before, after in pairwise(at_borders)]
    else:
        slots = [_captured(at_end) for at_end in at_borders[1:]]
    return IntervalSeries(
        meter_id=meter_id,
        obis=energy.channel,
        start_utc=start_utc,
        values=tuple([value for value, _ in slots]),
        quality=tuple([quality for _, quality in slots]),
    )


def _growth(before: _Told | None, after: _Told | None) -> tuple[int | None, Quality]:
    """Return what the register grew by; missing without both rows, or if it cannot have."""
    if before is None or after is None or not 0 <= after[0] - before[0] <= ENERGY_MAX:
        return None, Quality.MISSING
    if before[1] is _GOOD and after[1] is _GOOD:  # nearly always, and the rest is slow
        return after[0] - before[0], _GOOD
    return after[0] - before[0], after[1] | before[1] & _CLOCK_FLAGS


def _captured(at_end: _Told | None) -> tuple[int | None, Quality]:
    """Return the energy that a row gives for the interval it ends; missing if it cannot be."""
    if at_end is None or not 0 <= at_end[0] <= ENERGY_MAX:
        return None, Quality.MISSING
    return at_end


def _reading(
    told: _Told | None, energy: Energy, meter_id: str, at_utc: datetime
) -> list[RegisterReading]:
    if told is None or told[0] < 0:
        return []
    reading = RegisterReading(meter_id=meter_id, obis=energy.register, at_utc=at_utc, value=told[0])
    return [reading]
