"""The simulated Modbus meter: any profile's registers, computed at every read."""

from datetime import datetime

from pymodbus.constants import ExcCodes
from pymodbus.simulator import DataType, SimData, SimDevice

from quince.firmware_sims.load import Household, Supply, metered_wh
from quince.firmware_sims.modbus.sunspec_map import MODEL_ADDRESS, map_registers
from quince.model.clock import Clock
from quince.model.interval import floor_boundary
from quince.model.obis import ACTIVE_IMPORT_REGISTER, Obis
from quince.protocols.modbus.points import Point, Table
from quince.protocols.modbus.profiles import ModbusProfile
from quince.protocols.modbus.registers import encode

_TABLE_BY_FUNCTION = {3: Table.HOLDING, 4: Table.INPUT}
_POWERS = (Obis(1, 0, 16, 7, 0), Obis(1, 0, 1, 7, 0))
_VOLTAGE = Obis(1, 0, 32, 7, 0)
_CURRENT = Obis(1, 0, 31, 7, 0)
_FREQUENCY = Obis(1, 0, 14, 7, 0)
_VOLTS, _HERTZ = 120, 60
# What this meter says in the scale registers of quantities that are small numbers of their unit.
_SCALE_FACTORS = {"V": -1, "A": -2, "Hz": -2}


class ModbusMeter:
    """A meter of the given profile on one phase; what it does not know is "not available".

    It knows its active import, power, voltage, current and frequency. While its mains is off, the
    gateway it hangs on answers "no response" (exception 0x0B); on a wire it is silent.
    """

    def __init__(
        self,
        household: Household,
        supply: Supply,
        clock: Clock,
        *,
        profile: ModbusProfile,
        device_id: int,
    ) -> None:
        """Build the meter as device `device_id` of its line."""
        self._household = household
        self._supply = supply
        self._clock = clock
        self._model = profile.sunspec_model
        self._profile = profile if self._model is None else profile.moved(MODEL_ADDRESS)
        self.device_id = device_id

    def device(self) -> SimDevice:
        """Return the meter for a server: one span of registers, whose reads it answers itself."""
        addresses = [
            address for table in Table for address in self._registers(table, self._clock.now_utc())
        ]
        begin, end = min(addresses), max(addresses) + 1
        span = SimData(begin, count=end - begin, values=0, datatype=DataType.REGISTERS)
        return SimDevice(self.device_id, [span], action=self._answer)

    async def _answer(
        self,
        function_code: int,
        start_address: int,
        address: int,
        count: int,
        registers: list[int],
        set_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Bring the asked registers to this moment, so that one read is one moment.

        Whatever writes, reads a table the profile does not use, or asks for a register that is
        none of its points', is refused.
        """
        del set_values
        now_utc = self._clock.now_utc()
        if not self._supply.is_on(now_utc):
            return ExcCodes.GATEWAY_NO_RESPONSE
        table = _TABLE_BY_FUNCTION.get(function_code)
        there = {} if table is None else self._registers(table, now_utc)
        if not there:
            return ExcCodes.ILLEGAL_FUNCTION
        asked = range(address, address + count)
        if not there.keys() >= set(asked):
            return ExcCodes.ILLEGAL_ADDRESS
        for place in asked:
            registers[place - start_address] = there[place]
        return None

    def _registers(self, table: Table, now_utc: datetime) -> dict[int, int]:
        registers: dict[int, int] = {}
        if self._model is not None and table is Table.HOLDING:
            registers |= map_registers(self._model, serial=f"QN-{self.device_id}")
        match = self._profile.match
        if match is not None and match.table is table:
            registers[match.address] = match.values[0]
        for point in self._profile.points:
            if point.table is table:
                value = self._value(point, now_utc)
                registers |= encode(point, value, _SCALE_FACTORS.get(point.unit, 0))
        return registers

    def _value(self, point: Point, now_utc: datetime) -> int | None:
        if point.obis == ACTIVE_IMPORT_REGISTER:
            return metered_wh(self._household, self._supply, now_utc)
        # Momentary values are in thousandths, and a quarter-hour is a fourth of an hour.
        power_mw = self._household.interval_wh(floor_boundary(now_utc)) * 4 * 1000
        known = dict.fromkeys(_POWERS, power_mw) | {
            _VOLTAGE: _VOLTS * 1000,
            _CURRENT: power_mw // _VOLTS,
            _FREQUENCY: _HERTZ * 1000,
        }
        return known.get(point.obis)
