"""The simulated Modbus meter over real TCP, asked by pymodbus's own client."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from pymodbus.client import AsyncModbusTcpClient

from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.protocols.modbus.profiles import parse_profile

NOW = datetime(2026, 5, 1, 18, 7, tzinfo=UTC)
HOUSEHOLD = Household(seed=7)
PROFILE = parse_profile(
    """
name = "A meter"

[[points]]
obis = "1-0:1.8.0"
address = 100
table = "holding"
type = "int64"
order = "ABCD"
unit = "Wh"

[[points]]
obis = "1-0:2.8.0"
address = 200
table = "holding"
type = "uint32"
order = "ABCD"
unit = "Wh"
"""
)


class SteppingClock:
    """A second passes at every look."""

    def __init__(self) -> None:
        self.now = NOW

    def now_utc(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def seconds_until(self, moment_utc: datetime) -> float:
        return max(0.0, (moment_utc - self.now).total_seconds())


def meter(supply: Supply) -> ModbusMeter:
    return ModbusMeter(HOUSEHOLD, supply, SteppingClock(), profile=PROFILE, device_id=7)


@pytest.fixture
async def client() -> AsyncIterator[AsyncModbusTcpClient]:
    async with meter(Supply()).serve("127.0.0.1", 0) as port:
        client = AsyncModbusTcpClient("127.0.0.1", port=port, reconnect_delay=0)
        await client.connect()
        yield client
        client.close()


async def test_every_read_is_of_its_own_moment(client: AsyncModbusTcpClient) -> None:
    first = await client.read_holding_registers(100, count=4, device_id=7)
    second = await client.read_holding_registers(100, count=4, device_id=7)
    numbers = [
        client.convert_from_registers(reply.registers, client.DATATYPE.INT64)
        for reply in (first, second)
    ]
    assert numbers == [
        HOUSEHOLD.register_wh(NOW + timedelta(seconds=1)),
        HOUSEHOLD.register_wh(NOW + timedelta(seconds=2)),
    ]


async def test_a_quantity_the_household_does_not_have_is_not_available(
    client: AsyncModbusTcpClient,
) -> None:
    reply = await client.read_holding_registers(200, count=2, device_id=7)
    assert reply.registers == [0xFFFF, 0xFFFF]


async def test_a_register_between_the_points_is_an_illegal_address(
    client: AsyncModbusTcpClient,
) -> None:
    reply = await client.read_holding_registers(150, count=1, device_id=7)
    assert reply.exception_code == 2


async def test_the_other_table_is_an_illegal_function(client: AsyncModbusTcpClient) -> None:
    reply = await client.read_input_registers(100, count=4, device_id=7)
    assert reply.exception_code == 1


async def test_nothing_can_be_written(client: AsyncModbusTcpClient) -> None:
    reply = await client.write_registers(100, [0, 0, 0, 0], device_id=7)
    assert reply.exception_code == 1


async def test_without_mains_the_gateway_has_no_response() -> None:
    async with meter(Supply([(NOW, NOW + timedelta(hours=1))])).serve("127.0.0.1", 0) as port:
        client = AsyncModbusTcpClient("127.0.0.1", port=port, reconnect_delay=0)
        await client.connect()
        reply = await client.read_holding_registers(100, count=4, device_id=7)
        client.close()
    assert reply.exception_code == 0x0B
