"""What flows through a three-phase meter at a moment, and what a wrong wiring makes it see.

Law: the household's power is that of its quarter-hour; wiring changes what the meter sees of each
phase, never what is drawn.
"""

import cmath
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import radians

from quince.firmware_sims.load import Household, Supply
from quince.model.errors import InvalidValueError
from quince.model.interval import floor_boundary

HERTZ = 60
_PHASES = (1, 2, 3)
_SHARES = {1: 0.5, 2: 0.3, 3: 0.2}
_VOLTS = {1: 121.0, 2: 120.0, 3: 119.0}
_TURN = {1: 0.0, 2: -120.0, 3: 120.0}  # the field turns to the right: L1, L2, L3
_REACTIVE = 0.3  # of the active power, as the energy registers count it


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """How the meter is connected: right, unless said otherwise.

    The transformers of `reversed_ct` are clamped on the wrong way round, those of `swapped_ct` on
    each other's conductor; `dead_phases` have no voltage.
    """

    reversed_ct: frozenset[int] = frozenset()
    swapped_ct: tuple[int, int] | None = None
    dead_phases: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        named = {*self.reversed_ct, *(self.swapped_ct or ()), *self.dead_phases}
        if not named <= set(_PHASES):
            raise InvalidValueError("wiring", sorted(named), "phases 1, 2 and 3")

    def conductor_of(self, phase: int) -> int:
        """Return whose current a phase's transformer carries."""
        if self.swapped_ct is None or phase not in self.swapped_ct:
            return phase
        first, second = self.swapped_ct
        return second if phase == first else first


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What the meter sees of one phase; power and reactive power are signed."""

    number: int
    volts: float
    amperes: float
    watts: float
    vars: float

    @property
    def factor(self) -> float:
        """The power factor, 1 where nothing flows."""
        apparent = self.volts * self.amperes
        return self.watts / apparent if apparent else 1.0


def phases(
    household: Household, supply: Supply, at_utc: datetime, wiring: Wiring
) -> Iterator[Phase]:
    """Give L1, L2 and L3 as the meter sees them at a moment."""
    total_w = household.interval_wh(floor_boundary(at_utc)) * 4
    if supply.is_switched_off(at_utc) or not supply.is_on(at_utc):
        total_w = 0
    for phase in _PHASES:
        voltage = _voltage(phase, wiring)
        current = _current(wiring.conductor_of(phase), total_w, wiring)
        if phase in wiring.reversed_ct:
            current = -current
        power = voltage * current.conjugate()
        yield Phase(
            number=phase,
            volts=abs(voltage),
            amperes=abs(current),
            watts=power.real,
            vars=power.imag,
        )


def _voltage(phase: int, wiring: Wiring) -> complex:
    volts = 0.0 if phase in wiring.dead_phases else _VOLTS[phase]
    return cmath.rect(volts, radians(_TURN[phase]))


def _current(conductor: int, total_w: int, wiring: Wiring) -> complex:
    voltage = _voltage(conductor, wiring)
    if not voltage:
        return 0j
    watts = total_w * _SHARES[conductor]
    return (complex(watts, watts * _REACTIVE) / voltage).conjugate()
