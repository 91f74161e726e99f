"""The simulated Modbus meter on its lines, asked by pymodbus's own client."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerType

from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.modbus.config import FaultsConfig, load_profile
from quince.firmware_sims.modbus.faults import Faults
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.firmware_sims.modbus.serving import serve_rtu, serve_rtu_tcp, serve_tcp
from quince.model.interval import floor_boundary
from quince.protocols.modbus.documents import parse_profile

NOW = datetime(2026, 5, 1, 18, 7, tzinfo=UTC)
HOUSEHOLD = Household(seed=7)
PROFILES = Path(__file__).parents[3] / "edge/src/quince/edge/profiles"
PROFILE = parse_profile(
    """
name = "A meter"

[source]
addresses = "this test"
licence = "none"

[quality]
registers_checked = "done"
sign_checked = "done"
rollover_known = "done"
simulated = "done"
read_from_real_meter = { status = "exempt", comment = "there is none" }

[defaults]
table = "holding"
order = "ABCD"
unit = "Wh"

[[points]]
obis = "1-0:1.8.0"
address = 100
type = "int64"

[[points]]
obis = "1-0:2.8.0"
address = 200
type = "uint32"

[[points]]
obis = "1-0:16.7.0"
address = 300
type = "uint16"
unit = "W"
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


def meter(supply: Supply | None = None, device_id: int = 7) -> ModbusMeter:
    return ModbusMeter(
        HOUSEHOLD, supply or Supply(), SteppingClock(), profile=PROFILE, device_id=device_id
    )


async def connected(port: int, framer: FramerType = FramerType.SOCKET) -> AsyncModbusTcpClient:
    client = AsyncModbusTcpClient(
        "127.0.0.1", port=port, framer=framer, reconnect_delay=0, timeout=0.2, retries=0
    )
    await client.connect()
    return client


@pytest.fixture
async def client() -> AsyncIterator[AsyncModbusTcpClient]:
    async with serve_tcp([meter()], "127.0.0.1", 0) as port:
        client = await connected(port)
        yield client
        client.close()


def number(client: AsyncModbusTcpClient, reply: Any) -> Any:
    return client.convert_from_registers(reply.registers, client.DATATYPE.INT64)


async def test_every_read_is_of_its_own_moment(client: AsyncModbusTcpClient) -> None:
    first = number(client, await client.read_holding_registers(100, count=4, device_id=7))
    second = number(client, await client.read_holding_registers(100, count=4, device_id=7))
    hour = [HOUSEHOLD.register_wh(NOW + timedelta(seconds=second)) for second in range(5)]
    assert hour[1] <= first <= second <= hour[4]


async def test_its_power_is_the_quarter_hours(client: AsyncModbusTcpClient) -> None:
    reply = await client.read_holding_registers(300, count=1, device_id=7)
    assert reply.registers == [4 * HOUSEHOLD.interval_wh(floor_boundary(NOW))]


async def test_a_quantity_the_household_does_not_have_is_not_available(
    client: AsyncModbusTcpClient,
) -> None:
    reply = await client.read_holding_registers(200, count=2, device_id=7)
    assert reply.registers == [0xFFFF, 0xFFFF]


@pytest.mark.parametrize(("address", "count"), [(150, 1), (100, 5), (0, 1), (299, 2)])
async def test_a_register_that_is_no_points_is_an_illegal_address(
    client: AsyncModbusTcpClient, address: int, count: int
) -> None:
    reply = await client.read_holding_registers(address, count=count, device_id=7)
    assert reply.exception_code == 2


async def test_the_other_table_is_an_illegal_function(client: AsyncModbusTcpClient) -> None:
    reply = await client.read_input_registers(100, count=4, device_id=7)
    assert reply.exception_code == 1


async def test_nothing_can_be_written(client: AsyncModbusTcpClient) -> None:
    reply = await client.write_registers(100, [0, 0, 0, 0], device_id=7)
    assert reply.exception_code == 1


async def test_it_says_who_it_is(client: AsyncModbusTcpClient) -> None:
    reply: Any = await client.read_device_information(device_id=7)
    assert reply.information == {0: b"Quince", 1: b"Simulated meter", 2: b"1.0"}


DARK = Supply([(NOW, NOW + timedelta(hours=1))])


async def test_without_mains_the_gateway_has_no_response() -> None:
    async with serve_tcp([meter(DARK)], "127.0.0.1", 0) as port:
        client = await connected(port)
        reply = await client.read_holding_registers(100, count=4, device_id=7)
        client.close()
    assert reply.exception_code == 0x0B


async def test_on_a_wire_a_dark_meter_is_silent() -> None:
    async with serve_rtu_tcp([meter(DARK), meter(device_id=8)], "127.0.0.1", 0) as port:
        client = await connected(port, FramerType.RTU)
        with pytest.raises(ModbusIOException, match="No response"):
            await client.read_holding_registers(100, count=4, device_id=7)
        reply = await client.read_holding_registers(300, count=1, device_id=8)
        client.close()
    assert len(reply.registers) == 1


async def test_on_a_wire_octets_may_come_one_by_one() -> None:
    async with serve_rtu_tcp([meter()], "127.0.0.1", 0) as port:
        client = await connected(port, FramerType.RTU)
        send = client.ctx.low_level_send

        def dribble(octets: bytes, addr: tuple[str, int] | None = None) -> None:
            for octet in octets:
                send(bytes([octet]), addr)

        client.ctx.low_level_send = dribble
        reply = await client.read_holding_registers(300, count=1, device_id=7)
        client.close()
    assert len(reply.registers) == 1


async def test_a_line_may_answer_for_another_device() -> None:
    async with serve_rtu_tcp([meter()], "127.0.0.1", 0, faults=Faults(answers_as=9)) as port:
        client = await connected(port, FramerType.RTU)
        with pytest.raises(ModbusIOException):
            await client.read_holding_registers(300, count=1, device_id=7)
        client.close()


async def test_a_serial_line_stands_where_it_is_asked_for(tmp_path: Path) -> None:
    async with serve_rtu([meter()], tmp_path / "meter", baud=19_200) as path:
        assert path == tmp_path / "meter"
        client = AsyncModbusSerialClient(str(path), baudrate=19_200, reconnect_delay=0)
        await client.connect()
        reply = await client.read_holding_registers(100, count=4, device_id=7)
        client.close()
    assert number(client, reply) > 0  # type: ignore[arg-type]  # both convert alike
    assert not (tmp_path / "meter").is_symlink()


def test_a_scenarios_faults_are_the_lines() -> None:
    said = FaultsConfig(noise="00ff", noisy_answers=2, answers_as=9)
    assert said.faults() == Faults(noise=b"\0\xff", noisy_answers=2, answers_as=9)


def test_a_profile_stands_beside_the_one_it_extends() -> None:
    profile = load_profile(PROFILES / "eastron_sdm630.toml")
    assert {point.address for point in profile.energies} >= {72, 74, 346}
