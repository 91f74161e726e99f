"""The Modbus reader against the simulated meter over real TCP, and against silence."""

import asyncio
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quince.edge.errors import ReadTimeoutError, TransportError, UnsupportedError
from quince.edge.readers import modbus
from quince.edge.readers.modbus import ModbusReader, load_profile, open_modbus
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.model.errors import CodecError, InvalidValueError, RemoteProtocolError
from quince.model.interval import RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER, Obis
from quince.protocols.modbus.profiles import Table

NOW = datetime(2026, 5, 1, 18, 7, tzinfo=UTC)
HOUSEHOLD = Household(seed=7)
PROFILE = load_profile("schneider_iem3155")


class StoppedClock:
    """It is always `NOW`."""

    def now_utc(self) -> datetime:
        return NOW

    def seconds_until(self, moment_utc: datetime) -> float:
        return max(0.0, (moment_utc - NOW).total_seconds())


class Registers:
    """A port whose every register holds `word`."""

    def __init__(self, word: int) -> None:
        self.word = word
        self.asked: list[tuple[Table, int, int]] = []

    async def read(self, table: Table, address: int, count: int) -> Sequence[int]:
        self.asked.append((table, address, count))
        return [self.word] * count


def reader(port: Registers) -> ModbusReader:
    return ModbusReader(port, meter_id="m-1", profile=PROFILE, clock=StoppedClock())


def meter(supply: Supply) -> ModbusMeter:
    return ModbusMeter(HOUSEHOLD, supply, StoppedClock(), profile=PROFILE, device_id=7)


async def read_at(port: int, device_id: int = 7) -> list[RegisterReading]:
    url = f"modbus+tcp://127.0.0.1:{port}"
    async with open_modbus(
        url, meter_id="m-1", device_id=device_id, profile=PROFILE, clock=StoppedClock()
    ) as session:
        return await session.registers()


async def test_the_register_is_the_households_to_the_watt_hour() -> None:
    async with meter(Supply()).serve("127.0.0.1", 0) as port:
        readings = await read_at(port)
    assert readings == [
        RegisterReading(
            meter_id="m-1",
            obis=ACTIVE_IMPORT_REGISTER,
            at_utc=NOW,
            value=HOUSEHOLD.register_wh(NOW),
        )
    ]


async def test_a_meter_without_mains_is_a_refusal() -> None:
    dark = Supply([(NOW, datetime(2026, 5, 2, tzinfo=UTC))])
    async with meter(dark).serve("127.0.0.1", 0) as port:
        with pytest.raises(RemoteProtocolError, match="holding 3203"):
            await read_at(port)


async def test_an_unknown_device_is_an_error_of_the_meters() -> None:
    async with meter(Supply()).serve("127.0.0.1", 0) as port:
        with pytest.raises(RemoteProtocolError):
            await read_at(port, device_id=8)


async def test_nobody_there_is_a_transport_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransportError, match="no connection"):
        await read_at(port)


async def test_a_gateway_that_closes_is_a_transport_error() -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        with pytest.raises(TransportError):
            await read_at(server.sockets[0].getsockname()[1])


async def test_a_silent_gateway_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modbus, "READ_S_MAX", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(ReadTimeoutError):
        await read_at(listener.getsockname()[1])


async def test_only_what_is_available_is_read() -> None:
    port = Registers(0x0001)
    readings = await reader(port).registers()
    assert [reading.obis for reading in readings][:2] == [Obis(1, 0, 1, 8, 0), Obis(1, 0, 2, 8, 0)]
    assert port.asked == [
        (Table.HOLDING, 3203, 8),
        (Table.HOLDING, 3219, 8),
        (Table.HOLDING, 3517, 12),
    ]


async def test_an_energy_below_zero_is_no_reading() -> None:
    assert await reader(Registers(0xFFFF)).registers() == []


async def test_there_is_no_profile_and_the_time_is_the_gateways() -> None:
    session = reader(Registers(0))
    assert await session.clock() == NOW
    with pytest.raises(UnsupportedError, match="m-1"):
        await session.intervals(NOW, NOW)


async def test_too_few_registers_are_refused() -> None:
    class Short(Registers):
        async def read(self, table: Table, address: int, count: int) -> Sequence[int]:
            return await super().read(table, address, count - 1)

    with pytest.raises(CodecError):
        await reader(Short(0)).registers()


@pytest.mark.parametrize("name", ["schneider_iem3155", "eastron_sdm630"])
def test_every_shipped_profile_loads_and_knows_the_active_import(name: str) -> None:
    profile = load_profile(name)
    assert ACTIVE_IMPORT_REGISTER in {point.obis for point in profile.points}


def test_no_shipped_profile_is_left_untested() -> None:
    folder = Path(modbus.__file__).parents[1] / "profiles"
    assert {path.stem for path in folder.glob("*.toml")} == {"schneider_iem3155", "eastron_sdm630"}


def test_a_profile_that_is_not_shipped_is_refused_by_name() -> None:
    with pytest.raises(InvalidValueError, match="eastron_sdm630, schneider_iem3155"):
        load_profile("acme")


@pytest.mark.parametrize(
    ("name", "table", "measurements"),
    [
        ("schneider_iem3155", "iem3000", {"Import": 3203, "Export": 3207, "ImportL3": 3525}),
        ("eastron_sdm630", "sdm", {"Import": 72, "Export": 74, "ImportL3": 350}),
    ],
)
def test_the_shipped_addresses_are_the_public_ones(
    public_data: Path, name: str, table: str, measurements: dict[str, int]
) -> None:
    csv = (public_data / "protocols" / "modbus" / "mbmd" / f"{table}.csv").read_text()
    public = dict(line.split(",")[:2] for line in csv.splitlines()[1:])
    assert {key: int(public[key]) for key in measurements} == measurements
    assert set(measurements.values()) <= {point.address for point in load_profile(name).points}
