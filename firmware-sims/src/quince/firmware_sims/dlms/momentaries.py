"""The momentary registers: voltage, current, power and power factor, phase by phase and in sum."""

from collections.abc import Callable, Iterator
from functools import partial

from quince.firmware_sims.dlms.objects import MeterObject
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.phases import HERTZ, Phase, Wiring, phases
from quince.model.clock import Clock
from quince.model.obis import Obis
from quince.protocols.dlms.cosem.names import ClassId
from quince.protocols.dlms.cosem.register import Scale
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.encoding.tags import Tag

_W, _VAR, _A, _V, _HZ, _COUNT = 27, 29, 33, 35, 44, 255
_C_PER_PHASE = 20
_MOMENTARY_D = 7
_Read = Callable[[Phase], float]
# By group C of the sum: what a phase shows, the unit, the scaler. Source: IEC 62056-61, value
# group C, from memory: 1 and 2 active power in and out, 3 and 4 reactive, 16 in less out.
_PER_PHASE: dict[int, tuple[_Read, int, int]] = {
    1: (lambda phase: max(phase.watts, 0), _W, 0),
    2: (lambda phase: max(-phase.watts, 0), _W, 0),
    3: (lambda phase: max(phase.vars, 0), _VAR, 0),
    4: (lambda phase: max(-phase.vars, 0), _VAR, 0),
    11: (lambda phase: phase.amperes, _A, -2),
    12: (lambda phase: phase.volts, _V, -1),
    13: (lambda phase: phase.factor, _COUNT, -3),
}
_ACTIVE_SUM, _FREQUENCY = Obis(1, 0, 16, 7, 0), Obis(1, 0, 14, 7, 0)


class MomentaryRegisters:
    """What the meter sees of its three phases now, through its wiring."""

    def __init__(self, household: Household, supply: Supply, clock: Clock, wiring: Wiring) -> None:
        self._household = household
        self._supply = supply
        self._clock = clock
        self._wiring = wiring

    def described(self) -> Iterator[MeterObject]:
        """Give the register objects."""
        for number in (1, 2, 3):
            for quantity, (read, unit, scaler) in _PER_PHASE.items():
                name = Obis(1, 0, quantity + number * _C_PER_PHASE, _MOMENTARY_D, 0)
                yield _register(name, partial(self._shown, number, read), unit, scaler)
        yield _register(_ACTIVE_SUM, self._power_w, _W, 0)
        yield _register(_FREQUENCY, lambda: float(HERTZ), _HZ, -2)

    def _phases(self) -> Iterator[Phase]:
        return phases(self._household, self._supply, self._clock.now_utc(), self._wiring)

    def _shown(self, number: int, read: _Read) -> float:
        return next(read(phase) for phase in self._phases() if phase.number == number)

    def _power_w(self) -> float:
        return sum(phase.watts for phase in self._phases())


def _register(name: Obis, read: Callable[[], float], unit: int, scaler: int) -> MeterObject:
    scale = Scale(scaler=scaler, unit=unit)
    return MeterObject(
        class_id=ClassId.REGISTER,
        name=name,
        reads={2: lambda: Data(Tag.INT32, round(read() * 10**-scaler)), 3: scale.encode},
    )
