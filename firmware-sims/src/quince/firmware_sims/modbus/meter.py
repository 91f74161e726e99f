"""The simulated Modbus meter: pymodbus's own server, its registers computed at every read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from quince.firmware_sims.load import Household, Supply, metered_wh
from quince.model.clock import Clock
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.modbus.planning import plan_reads
from quince.protocols.modbus.profiles import ModbusProfile, Point, Table
from quince.protocols.modbus.registers import encode

_TABLE_BY_FUNCTION = {3: Table.HOLDING, 4: Table.INPUT}


class ModbusMeter:
    """A meter of the given profile that knows its active import; its other points are empty.

    While its mains is off, the gateway it hangs on answers "no response" (exception 0x0B).
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
        """Build the meter as device `device_id` on the gateway."""
        self._household = household
        self._supply = supply
        self._clock = clock
        self._profile = profile
        self._device_id = device_id

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[int]:
        """Answer on `host`; gives back the port, which the system chooses if `port` is 0."""
        blocks = [
            SimData(read.address, count=read.count, values=0, datatype=DataType.REGISTERS)
            for read in plan_reads(self._profile)
        ]
        device = SimDevice(self._device_id, blocks, action=self._refresh)
        server = ModbusTcpServer(device, address=(host, port))
        await server.serve_forever(background=True)
        listener: Any = server.transport  # an asyncio.Server, though typed as a transport
        try:
            yield listener.sockets[0].getsockname()[1]
        finally:
            await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus's own

    async def _refresh(
        self,
        function_code: int,
        start_address: int,
        address: int,
        count: int,
        registers: list[int],
        set_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Bring every register of the asked table to this moment, so that one read is one moment.

        Whatever writes, or reads a table the profile does not use, is refused.
        """
        del address, count, set_values  # pymodbus has checked the range itself
        table = _TABLE_BY_FUNCTION.get(function_code)
        points = [point for point in self._profile.points if point.table is table]
        now_utc = self._clock.now_utc()
        if not self._supply.is_on(now_utc):
            return ExcCodes.GATEWAY_NO_RESPONSE
        for point in points:
            begin = point.address - start_address
            words = encode(point, self._value(point, now_utc))
            registers[begin : begin + len(words)] = words
        return None if points else ExcCodes.ILLEGAL_FUNCTION

    def _value(self, point: Point, now_utc: datetime) -> int | None:
        if point.obis != ACTIVE_IMPORT_REGISTER:
            return None
        return metered_wh(self._household, self._supply, now_utc)
