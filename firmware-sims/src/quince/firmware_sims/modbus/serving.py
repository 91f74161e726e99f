"""Simulated Modbus meters on their lines: TCP, TLS, RTU over TCP, and RTU on a serial line."""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse
from pymodbus.server import ModbusTcpServer, ModbusTlsServer

from quince.firmware_sims.modbus.faults import Faults
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.firmware_sims.modbus.sunspec_map import MAKER, MODEL, VERSION
from quince.firmware_sims.modbus.wire import open_wire

_REFUSED = 0x80  # what is added to the function code of an exception


@asynccontextmanager
async def serve_tcp(
    meters: Sequence[ModbusMeter], host: str, port: int, *, faults: Faults | None = None
) -> AsyncIterator[int]:
    """Answer on `host`; gives back the port, which the system chooses if `port` is 0."""
    wrong = faults or Faults()
    async with _listening(
        ModbusTcpServer(
            [meter.device() for meter in meters],
            address=(host, port),
            trace_pdu=_named(wrong),
            trace_packet=wrong.octets,
        )
    ) as bound:
        yield bound


@asynccontextmanager
async def serve_tls(
    meters: Sequence[ModbusMeter],
    host: str,
    port: int,
    context: ssl.SSLContext,
    *,
    faults: Faults | None = None,
) -> AsyncIterator[int]:
    """Answer behind TLS as `context` says; frames go by their header, as they do without TLS."""
    wrong = faults or Faults()
    async with _listening(
        ModbusTlsServer(
            [meter.device() for meter in meters],
            framer=FramerType.SOCKET,
            address=(host, port),
            sslctx=context,
            trace_pdu=_named(wrong),
            trace_packet=wrong.octets,
        )
    ) as bound:
        yield bound


@asynccontextmanager
async def serve_rtu_tcp(
    meters: Sequence[ModbusMeter], host: str, port: int, *, faults: Faults | None = None
) -> AsyncIterator[int]:
    """Answer as the wire behind a serial server that passes RTU frames on as they are."""
    server = _rtu_server(meters, (host, port), faults or Faults())
    async with _listening(server) as bound:
        yield bound


@asynccontextmanager
async def serve_rtu(
    meters: Sequence[ModbusMeter], link: Path | None, *, baud: int, faults: Faults | None = None
) -> AsyncIterator[Path]:
    """Answer on a pseudo-terminal at `baud`; gives back the path to open, `link` if given."""
    server = _rtu_server(meters, ("", 0), faults or Faults())
    handler = server.handle_new_connection()  # one wire, one connection, and nobody listens
    async with open_wire(link, baud=baud, listener=handler) as path:
        yield path


def _named(faults: Faults) -> Callable[[bool, ModbusPDU], ModbusPDU]:
    """Let the meters tell their names: pymodbus has one set of names for a whole process."""

    def hook(sending: bool, pdu: ModbusPDU) -> ModbusPDU:  # noqa: FBT001 - pymodbus's own hook
        if isinstance(pdu, ReadDeviceInformationResponse):
            names = (MAKER, MODEL, VERSION)
            pdu.information = {number: name.encode() for number, name in enumerate(names)}
        return faults.pdu(sending, pdu)

    return hook


def _on_a_wire(devices: set[int], faults: Faults) -> Callable[[bool, bytes], bytes]:
    """Let nobody answer for a meter that is not there, or dark: there is no gateway to do so."""

    def hook(sending: bool, octets: bytes) -> bytes:  # noqa: FBT001 - pymodbus's own hook
        if not sending:
            return octets
        there = octets[0] in devices or octets[0] == faults.answers_as
        dark = octets[1] > _REFUSED and octets[2] == ExcCodes.GATEWAY_NO_RESPONSE
        return faults.octets(sending, octets) if there and not dark else b""

    return hook


def _rtu_server(
    meters: Sequence[ModbusMeter], address: tuple[str, int], faults: Faults
) -> ModbusTcpServer:
    return ModbusTcpServer(
        [meter.device() for meter in meters],
        framer=FramerType.RTU,
        address=address,
        trace_pdu=_named(faults),
        trace_packet=_on_a_wire({meter.device_id for meter in meters}, faults),
    )


@asynccontextmanager
async def _listening(server: ModbusTcpServer) -> AsyncIterator[int]:
    await server.serve_forever(background=True)
    listener: Any = server.transport  # an asyncio.Server, though typed as a transport
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus's own
