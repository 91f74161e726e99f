"""What a meter sees of each phase at a moment, out of its momentary values.

Law: integers in thousandths of V, A, W and var; a quantity that neither is shown nor follows from
what is shown is None.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import atan2, degrees

from quince.edge.readers.reader import Momentary

PHASES = (1, 2, 3)
_C_PER_PHASE = 20
_MOMENTARY_D, _NOW_F = 7, 255
# Value group C of the sum; a phase's is 20 more for each. Source: IEC 62056-61, from memory.
_IMPORT, _EXPORT, _LESS = 1, 2, 16
_REACTIVE_IN, _REACTIVE_OUT = 3, 4
_CURRENT, _VOLTAGE, _FACTOR, _FREQUENCY = 11, 12, 13, 14
# C = 81, angles: E names the two ends, 0..2 the voltages and 4..6 the currents of L1..L3.
_ANGLE_C = 81
_ANGLE_E = {1: 4, 2: 15, 3: 26}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase; power is positive where it is drawn, `angle_deg` how far current lags voltage."""

    number: int
    voltage_mv: int | None = None
    current_ma: int | None = None
    power_mw: int | None = None
    reactive_mvar: int | None = None
    factor: float | None = None
    angle_deg: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All phases of which anything is shown, the sum of their power, and the frequency."""

    phases: tuple[Phase, ...]
    power_mw: int | None = None
    frequency_mhz: int | None = None


def picture(momentaries: Iterable[Momentary]) -> Picture:
    """Return what the momentary values say of the phases."""
    shown = {
        (one.obis.c, one.obis.e): one.thousandths for one in momentaries if _is_of_a_supply(one)
    }
    phases = [_phase(number, shown) for number in PHASES]
    return Picture(
        phases=tuple(phase for phase in phases if phase != Phase(number=phase.number)),
        power_mw=_power(shown, 0),
        frequency_mhz=shown.get((_FREQUENCY, 0)),
    )


def _is_of_a_supply(one: Momentary) -> bool:
    return (one.obis.d, one.obis.f) == (_MOMENTARY_D, _NOW_F)


def _phase(number: int, shown: Mapping[tuple[int, int], int]) -> Phase:
    base = number * _C_PER_PHASE
    voltage_mv, current_ma = shown.get((base + _VOLTAGE, 0)), shown.get((base + _CURRENT, 0))
    power_mw = _power(shown, base)
    reactive_mvar = _difference(shown, base + _REACTIVE_IN, base + _REACTIVE_OUT)
    return Phase(
        number=number,
        voltage_mv=voltage_mv,
        current_ma=current_ma,
        power_mw=power_mw,
        reactive_mvar=reactive_mvar,
        factor=_factor(shown.get((base + _FACTOR, 0)), power_mw, voltage_mv, current_ma),
        angle_deg=_angle(shown.get((_ANGLE_C, _ANGLE_E[number])), power_mw, reactive_mvar),
    )


def _power(shown: Mapping[tuple[int, int], int], base: int) -> int | None:
    less = shown.get((base + _LESS, 0))
    return _difference(shown, base + _IMPORT, base + _EXPORT) if less is None else less


def _difference(shown: Mapping[tuple[int, int], int], drawn: int, fed_in: int) -> int | None:
    """Return what is drawn less what is fed in; one register may tell both, with its sign."""
    if (drawn, 0) not in shown and (fed_in, 0) not in shown:
        return None
    return shown.get((drawn, 0), 0) - shown.get((fed_in, 0), 0)


def _factor(
    shown: int | None, power_mw: int | None, voltage_mv: int | None, current_ma: int | None
) -> float | None:
    if shown is not None:
        return shown / 1000
    if power_mw is None or not voltage_mv or not current_ma:
        return None
    return round(power_mw * 1000 / (voltage_mv * current_ma), 3)


def _angle(shown: int | None, power_mw: int | None, reactive_mvar: int | None) -> float | None:
    """Return how many degrees, -180..180, the current lags the voltage."""
    if shown is not None:
        return round((shown / 1000 + 180) % 360 - 180, 1)
    if power_mw is None or reactive_mvar is None or not (power_mw or reactive_mvar):
        return None
    return round(degrees(atan2(reactive_mvar, power_mw)), 1)
