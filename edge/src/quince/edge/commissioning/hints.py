"""What a picture of the phases hints at: a transformer the wrong way round, phases swapped.

Law: a hint is a reason to look, no proof; nothing is hinted at where too little flows to tell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations

from quince.edge.commissioning.phases import Phase, Picture

# Below this noise, and the meter's own creep, have angles of their own.
CURRENT_MA_MIN = 50
# A phase that shows less than half of the highest voltage has lost its own.
_DEAD_PART = 2
# Standards bound unbalance of voltage to 2 or 3 %; a tenth is a bad neutral or a wrong connection.
_UNBALANCE_PART = 10
# Loads lag by up to 60°, and a little capacitance leads.
_LOAD_DEG_MAX = 60
_TOLERANCE_DEG = 30
_THIRD_OF_A_TURN_DEG = 120


class Kind(StrEnum):
    """What it looks like."""

    MISSING_PHASE = "missing_phase"
    UNBALANCED_VOLTAGE = "unbalanced_voltage"
    REVERSED_CT = "reversed_ct"
    SWAPPED_PHASES = "swapped_phases"
    ROTATED_PHASES = "rotated_phases"
    ALL_FEED_IN = "all_feed_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What it looks like, and at which phases."""

    kind: Kind
    phases: tuple[int, ...]


def hints(picture: Picture) -> list[Hint]:
    """Return what to look at, the voltages first: what they lack the rest follows from."""
    return [*_voltages(picture.phases), *_currents(picture.phases)]


def _voltages(phases: Sequence[Phase]) -> Iterator[Hint]:
    shown = {one.number: one.voltage_mv for one in phases if one.voltage_mv is not None}
    highest = max(shown.values(), default=0)
    missing = [number for number, voltage in shown.items() if voltage * _DEAD_PART < highest]
    if missing:
        yield Hint(kind=Kind.MISSING_PHASE, phases=tuple(missing))
    present = {number: mv for number, mv in shown.items() if number not in missing}
    mean = sum(present.values()) // max(1, len(present))
    apart = [n for n, mv in present.items() if abs(mv - mean) * _UNBALANCE_PART > mean]
    if apart:
        yield Hint(kind=Kind.UNBALANCED_VOLTAGE, phases=tuple(apart))


def _currents(phases: Sequence[Phase]) -> Iterator[Hint]:
    loaded = [one for one in phases if (one.current_ma or 0) >= CURRENT_MA_MIN]
    if (swapped := _swapped(loaded)) is not None:
        yield Hint(kind=Kind.SWAPPED_PHASES, phases=swapped)
        return
    if _rotated(loaded):
        yield Hint(kind=Kind.ROTATED_PHASES, phases=tuple(one.number for one in loaded))
        return
    negative = tuple(one.number for one in loaded if (one.power_mw or 0) < 0)
    if negative and len(negative) == len(loaded):
        yield Hint(kind=Kind.ALL_FEED_IN, phases=negative)
    elif negative:
        yield Hint(kind=Kind.REVERSED_CT, phases=negative)


def _swapped(loaded: Sequence[Phase]) -> tuple[int, int] | None:
    """Return two phases whose currents are each other's: a third of a turn off, to either side."""
    if len(loaded) != 3:  # noqa: PLR2004 - three phases, or it cannot be told
        return None
    for ahead, behind, right in permutations(loaded):
        angles = (ahead.angle_deg, behind.angle_deg, right.angle_deg)
        if None in angles or abs(right.angle_deg or 0) > _LOAD_DEG_MAX:
            continue
        load_deg = right.angle_deg or 0
        if _is_near(ahead, load_deg + _THIRD_OF_A_TURN_DEG) and _is_near(
            behind, load_deg - _THIRD_OF_A_TURN_DEG
        ):
            return min(ahead.number, behind.number), max(ahead.number, behind.number)
    return None


def _rotated(loaded: Sequence[Phase]) -> bool:
    """Say whether all three are a third of a turn off to the same side."""
    return len(loaded) == 3 and any(  # noqa: PLR2004 - as above
        all(_is_near(one, turn) for one in loaded)
        for turn in (_THIRD_OF_A_TURN_DEG, -_THIRD_OF_A_TURN_DEG)
    )


def _is_near(phase: Phase, angle_deg: float) -> bool:
    if phase.angle_deg is None:
        return False
    return abs((phase.angle_deg - angle_deg + 180) % 360 - 180) <= _TOLERANCE_DEG
