"""One device on a Modbus line: blocks of registers asked for, with silences and retries kept.

Law: no answer is taken for another's. RTU frames do not say which question they answer, and over
TCP an answer may leave its transaction 0, which pymodbus lets pass. So after a question nobody
answered in time the line is left alone until late answers are over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from pymodbus.client.base import ModbusBaseClient
from pymodbus.constants import DeviceInformation, ExcCodes
from pymodbus.exceptions import ModbusException, ModbusIOException
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from quince.edge.errors import ReadTimeoutError, TransportError
from quince.model.errors import RemoteProtocolError
from quince.protocols.modbus.points import Table

# A disturbed line loses one answer, not two: noise before an RTU frame costs the whole frame.
ATTEMPTS_MAX = 2
_TEXT_CHARACTERS_MAX = 80  # of an object of the device identification


class AddressRefusedError(RemoteProtocolError):
    """The meter does not have one of the registers asked for (exception 2)."""

    code = "modbus_address_refused"


class ModbusPort(Protocol):
    """One device on an open Modbus line."""

    async def read(self, table: Table, address: int, count: int) -> Sequence[int]:
        """Return the registers; TransportError, or RemoteProtocolError for a refusal."""
        ...

    async def device_identification(self) -> Mapping[int, str]:
        """Return the device's names for itself by object number; RemoteProtocolError if it won't.

        Source: Modbus application protocol 1.1b3, 6.21, from memory: 0 is the maker, 1 the
        product code, 2 the revision, 4 and 5 the product's and the model's names.
        """
        ...


class PymodbusPort:
    """A ModbusPort on pymodbus's asyncio client."""

    def __init__(
        self, client: ModbusBaseClient, device_id: int, *, gap_s: float, late_s: float
    ) -> None:
        """Take a connected client without retries of its own.

        `gap_s` is the silence before each request; `late_s` how long an answer may still come
        that nobody waits for any more.
        """
        self._client = client
        self._device_id = device_id
        self._gap_s = gap_s
        self._late_s = late_s
        self._free_s = asyncio.get_running_loop().time() + gap_s

    async def read(self, table: Table, address: int, count: int) -> Sequence[int]:
        """Read one block."""
        ask = {
            Table.HOLDING: self._client.read_holding_registers,
            Table.INPUT: self._client.read_input_registers,
        }[table]
        reply = await self._exchange(
            partial(ask, address, count=count, device_id=self._device_id),
            f"{table} {address}+{count}",
        )
        if len(reply.registers) != count:
            raise RemoteProtocolError(
                f"{table} {address}+{count} answered by {len(reply.registers)} registers"
            )
        return reply.registers

    async def device_identification(self) -> Mapping[int, str]:
        """Read the basic and regular objects, as many as fit one answer: they are short."""
        reply = await self._exchange(
            partial(
                self._client.read_device_information,
                read_code=DeviceInformation.REGULAR,
                device_id=self._device_id,
            ),
            "device identification",
        )
        if not isinstance(reply, ReadDeviceInformationResponse):
            raise RemoteProtocolError(f"device identification answered by {type(reply).__name__}")
        return {
            number: _shown(octets)
            for number, octets in reply.information.items()
            if isinstance(octets, bytes)
        }

    async def _exchange(self, ask: Callable[[], Awaitable[ModbusPDU]], what: str) -> ModbusPDU:
        loop = asyncio.get_running_loop()
        for _ in range(ATTEMPTS_MAX):
            await asyncio.sleep(self._free_s - loop.time())
            try:
                reply = await ask()
            except ModbusIOException:  # no answer in time, or none that can be read
                await asyncio.sleep(self._late_s)
            except (ModbusException, OSError) as error:
                raise TransportError(f"{what}: {error}") from error
            else:
                return _accepted(reply, what)
            finally:
                self._free_s = loop.time() + self._gap_s
        raise ReadTimeoutError(f"{what}: no answer to {ATTEMPTS_MAX} requests")


def _shown(octets: bytes) -> str:
    return octets[:_TEXT_CHARACTERS_MAX].decode("ascii", errors="ignore")


def _accepted(reply: ModbusPDU, what: str) -> ModbusPDU:
    if not isinstance(reply, ExceptionResponse):
        return reply
    code = reply.exception_code
    if code == ExcCodes.ILLEGAL_ADDRESS:
        raise AddressRefusedError(f"{what} refused: no such register")
    raise RemoteProtocolError(f"{what} refused: exception {code}")
