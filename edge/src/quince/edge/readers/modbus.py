"""Reads Modbus meters over TCP: registers by the profile's plan; they keep no load profile."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.resources import files
from typing import NoReturn, Protocol

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from quince.edge.errors import ReadTimeoutError, TransportError, UnsupportedError
from quince.edge.transports.address import host_and_port
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError, RemoteProtocolError
from quince.model.interval import RegisterReading
from quince.protocols.modbus.planning import plan_reads
from quince.protocols.modbus.profiles import ModbusProfile, Table, parse_profile
from quince.protocols.modbus.registers import decode

SCHEME = "modbus+tcp"
# A gateway asks a slow bus for us: one second, once more, and the whole read in three.
REPLY_S_MAX = 1.0
RETRIES_MAX = 1
READ_S_MAX = 3.0


class ModbusPort(Protocol):
    """One connection to a Modbus gateway."""

    async def read(self, table: Table, address: int, count: int) -> Sequence[int]:
        """Return the registers; TransportError, or RemoteProtocolError for a refusal."""
        ...


class ModbusReader:
    """What a Modbus meter knows, in the agent's words."""

    def __init__(
        self, port: ModbusPort, *, meter_id: str, profile: ModbusProfile, clock: Clock
    ) -> None:
        """Take an open port."""
        self._port = port
        self._meter_id = meter_id
        self._plan = plan_reads(profile)
        self._clock = clock

    async def clock(self) -> datetime:
        """Return the gateway's time: these meters have none to speak of."""
        return self._clock.now_utc()

    async def registers(self) -> list[RegisterReading]:
        """Return the points that have a value, each stamped when its block had arrived."""
        readings = []
        for block in self._plan:
            registers = await self._port.read(block.table, block.address, block.count)
            at_utc = self._clock.now_utc()
            for point, words in block.split(registers).items():
                value = decode(point, words)
                if value is not None and value >= 0:  # a register below zero is none
                    readings.append(
                        RegisterReading(
                            meter_id=self._meter_id, obis=point.obis, at_utc=at_utc, value=value
                        )
                    )
        return readings

    async def intervals(self, start_utc: datetime, end_utc: datetime) -> NoReturn:
        """Raise UnsupportedError: there is no load profile to read."""
        raise UnsupportedError(f"{self._meter_id}: no profile for {start_utc}..{end_utc}")


class PymodbusPort:
    """A ModbusPort on pymodbus's asyncio client."""

    def __init__(self, client: AsyncModbusTcpClient, device_id: int) -> None:
        """Take a connected client."""
        self._client = client
        self._device_id = device_id

    async def read(self, table: Table, address: int, count: int) -> Sequence[int]:
        """Read one block, under this module's own deadline."""
        ask = {
            Table.HOLDING: self._client.read_holding_registers,
            Table.INPUT: self._client.read_input_registers,
        }[table]
        try:
            async with asyncio.timeout(READ_S_MAX):
                reply = await ask(address, count=count, device_id=self._device_id)
        except TimeoutError as error:
            raise ReadTimeoutError(f"nothing in {READ_S_MAX} s") from error
        except (ModbusException, OSError) as error:
            raise TransportError(str(error)) from error
        if reply.isError():
            raise RemoteProtocolError(f"{table} {address}+{count} refused: {reply}")
        return reply.registers


@asynccontextmanager
async def open_modbus(
    url: str, *, meter_id: str, device_id: int, profile: ModbusProfile, clock: Clock
) -> AsyncIterator[ModbusReader]:
    """Open a session with device `device_id` behind `modbus+tcp://host:port`."""
    host, port = host_and_port(url, SCHEME)
    # pymodbus logs every silent meter on its own; what fails here is raised, and logged once.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    client = AsyncModbusTcpClient(
        host, port=port, timeout=REPLY_S_MAX, retries=RETRIES_MAX, reconnect_delay=0
    )
    try:
        if not await client.connect():
            raise TransportError(f"{host}:{port}: no connection")
        yield ModbusReader(
            PymodbusPort(client, device_id), meter_id=meter_id, profile=profile, clock=clock
        )
    finally:
        client.close()


def load_profile(name: str) -> ModbusProfile:
    """Return the shipped profile `name`; InvalidValueError if there is none."""
    folder = files("quince.edge") / "profiles"
    shipped = {file.name.removesuffix(".toml"): file for file in folder.iterdir()}
    if name not in shipped:
        raise InvalidValueError("profile", name, f"one of {', '.join(sorted(shipped))}")
    return parse_profile(shipped[name].read_text(encoding="utf-8"))
