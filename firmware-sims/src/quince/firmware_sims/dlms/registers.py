"""The energy registers: what the household draws and feeds in, by direction and by rate."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from quince.firmware_sims.dlms.objects import MeterObject
from quince.firmware_sims.load import Household, Supply, served
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP, floor_boundary
from quince.model.obis import Obis, interval_channel, register_channel
from quince.protocols.dlms.cosem.names import ClassId
from quince.protocols.dlms.cosem.register import UNIT_VARH, UNIT_WH, Scale
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.encoding.tags import Tag

_REGISTER_VALUES = 2**32  # a double-long-unsigned register rolls over, as real ones do
_ACTIVE_C = (1, 2)

Total = Callable[[datetime], int]


class EnergyRegisters:
    """Cumulative registers in Wh and varh: import, export, reactive, and import by two rates.

    The household's roof feeds in about an eighth of what it draws; its current lags and leads a
    little. All of them stand still while the premise is not served.
    """

    def __init__(self, household: Household, supply: Supply) -> None:
        roof = Household(
            seed=household.seed + 1,
            base_wh=household.base_wh // 8,
            utc_offset_min=household.utc_offset_min,
        )
        self._supply = supply
        self._totals: dict[Obis, Total] = {
            Obis(1, 0, 1, 8, 0): household.register_wh,
            Obis(1, 0, 1, 8, 1): household.peak_wh,
            Obis(1, 0, 1, 8, 2): lambda at: household.register_wh(at) - household.peak_wh(at),
            Obis(1, 0, 2, 8, 0): roof.register_wh,
            Obis(1, 0, 3, 8, 0): lambda at: household.register_wh(at) * 3 // 10,
            Obis(1, 0, 4, 8, 0): lambda at: household.register_wh(at) // 20,
        }

    def require(self, name: Obis) -> None:
        """Raise InvalidValueError if there is no such register."""
        if name not in self._totals:
            known = ", ".join(map(str, self._totals))
            raise InvalidValueError("register", str(name), f"measured are {known}")

    def value(self, name: Obis, at_utc: datetime) -> int:
        """Return what a register showed, in Wh or varh."""
        return served(self._totals[name], self._supply, at_utc) % _REGISTER_VALUES

    def growth(self, interval: Obis, from_utc: datetime, to_utc: datetime) -> int:
        """Return what the register behind an interval channel grew by between two moments."""
        name = register_channel(interval)
        return (self.value(name, to_utc) - self.value(name, from_utc)) % _REGISTER_VALUES

    def described(self, clock: Clock) -> list[MeterObject]:
        """Return the register objects, and those of the energy of the last whole quarter-hour."""
        now = (self._describe(name, partial(self._now, name, clock)) for name in self._totals)
        last = (
            self._describe(interval_channel(name), partial(self._last, name, clock))
            for name in self._totals
        )
        return [*now, *last]

    def _now(self, name: Obis, clock: Clock) -> Data:
        return Data(Tag.UINT32, self.value(name, clock.now_utc()))

    def _last(self, name: Obis, clock: Clock) -> Data:
        ended_utc = floor_boundary(clock.now_utc())
        return Data(Tag.UINT32, self.growth(interval_channel(name), ended_utc - STEP, ended_utc))

    def _describe(self, name: Obis, read: Callable[[], Data]) -> MeterObject:
        scale = Scale(scaler=0, unit=UNIT_WH if name.c in _ACTIVE_C else UNIT_VARH)
        return MeterObject(class_id=ClassId.REGISTER, name=name, reads={2: read, 3: scale.encode})
