"""How a Modbus meter is reached: the line its URL names, opened through pymodbus.

`modbus+tcp://host:port`, `modbus+tls://host:port`, `modbus+rtu+tcp://host:port` (a serial server
that passes RTU frames on as they are) and `modbus+rtu:/dev/tty…?baud=9600&parity=N&stop=1`.
"""

import asyncio
import logging
import ssl
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.client.base import ModbusBaseClient
from pymodbus.framer import FramerType
from pymodbus.transport import CommParams, CommType

from quince.edge.config import TlsConfig
from quince.edge.errors import TransportError
from quince.edge.readers.modbus.port import PymodbusPort
from quince.edge.transports.address import host_and_port
from quince.model.errors import InvalidValueError

CONNECT_S_MAX = 5.0  # a gateway in the same building; a TLS handshake on a small one takes two
# A gateway asks a slow bus for us, a meter a slow memory: one second, and the frames' own time.
REPLY_S_MAX = 1.0
_FRAMES_CHARACTERS_MAX = 8 + 256  # the request and the longest answer
# Source: Modbus over serial line 1.02, 2.5.1.1, from memory: 3.5 characters of silence between
# frames, and 1.75 ms where the baud would make it less.
_SILENT_CHARACTERS = 3.5
_SILENCE_S_MIN = 0.00175
_BAUD_MAX = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusLine:
    """Where a meter is, and which device on its line it is."""

    url: str
    device_id: int
    tls: TlsConfig | None = None

    def __post_init__(self) -> None:
        if (self.scheme == "modbus+tls") != (self.tls is not None):
            raise InvalidValueError("tls", self.url, "with modbus+tls, and with nothing else")
        if self.scheme == "modbus+rtu":
            SerialSettings.of(self.url)
        elif self.scheme in ("modbus+tcp", "modbus+rtu+tcp", "modbus+tls"):
            host_and_port(self.url, self.scheme)
        else:
            raise InvalidValueError(
                "url", self.url, "expected modbus+tcp://, modbus+tls://, modbus+rtu+tcp:// or …rtu:"
            )

    @property
    def scheme(self) -> str:
        """Which of the four."""
        return self.url.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialSettings:
    """A serial line: eight data bits; many meters leave the works with 9600 8N1."""

    path: str
    baud: int = 9600
    parity: str = "N"
    stop: int = 1

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or self.path.startswith("//"):
            raise InvalidValueError("url", self.path, "expected modbus+rtu:/dev/…")
        if not 1 <= self.baud <= _BAUD_MAX:
            raise InvalidValueError("url.baud", self.baud, f"1..{_BAUD_MAX}")
        if self.parity not in ("N", "E", "O"):
            raise InvalidValueError("url.parity", self.parity, "N, E or O")
        if self.stop not in (1, 2):
            raise InvalidValueError("url.stop", self.stop, "1 or 2")

    @classmethod
    def of(cls, url: str) -> Self:
        """Read `modbus+rtu:/dev/…?baud=9600&parity=N&stop=1`; InvalidValueError otherwise."""
        path, _, options = url.partition(":")[2].partition("?")
        query = dict(parse_qsl(options, keep_blank_values=True))
        if unknown := query.keys() - {"baud", "parity", "stop"}:
            raise InvalidValueError("url", url, f"no such setting: {', '.join(sorted(unknown))}")
        return cls(
            path=path,
            baud=_number(url, query.get("baud", "9600")),
            parity=query.get("parity", "N"),
            stop=_number(url, query.get("stop", "1")),
        )

    @property
    def character_s(self) -> float:
        """How long one character is on the line: a start bit, eight bits, parity, stop bits."""
        return (1 + 8 + (self.parity != "N") + self.stop) / self.baud

    @property
    def silence_s(self) -> float:
        """The silence that ends a frame."""
        return max(_SILENT_CHARACTERS * self.character_s, _SILENCE_S_MIN)


def _number(url: str, digits: str) -> int:
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= len(str(_BAUD_MAX))):
        raise InvalidValueError("url", url, f"not a number: {digits[:20]}")
    return int(digits)


@asynccontextmanager
async def open_port(line: ModbusLine, gap_s: float) -> AsyncIterator[PymodbusPort]:
    """Open the line; `gap_s` is the silence the meter wants, and the line may want more.

    TransportError with the reason if it cannot be opened.
    """
    # pymodbus logs every silent meter on its own; what fails here is raised, and logged once.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    if line.scheme == "modbus+rtu":
        settings = SerialSettings.of(line.url)
        gap_s = max(gap_s, settings.silence_s)
        client = _serial_client(settings)
    else:
        client = _network_client(line)
    try:
        await _connect(client, line.url)
        yield PymodbusPort(client, line.device_id, gap_s=gap_s, late_s=REPLY_S_MAX)
    finally:
        client.close()


async def _connect(client: ModbusBaseClient, url: str) -> None:
    """Do as the client's own connect does, which keeps to itself why it failed."""
    try:
        async with asyncio.timeout(CONNECT_S_MAX):
            client.ctx.transport, _ = await client.ctx.call_create()
    except (OSError, TimeoutError, termios.error) as error:
        raise TransportError(f"{url}: no connection: {str(error) or 'no answer'}") from error


def _serial_client(settings: SerialSettings) -> ModbusBaseClient:
    return AsyncModbusSerialClient(
        settings.path,
        framer=FramerType.RTU,
        baudrate=settings.baud,
        parity=settings.parity,
        stopbits=settings.stop,
        timeout=REPLY_S_MAX + _FRAMES_CHARACTERS_MAX * settings.character_s,
        retries=0,
        reconnect_delay=0,
    )


def _network_client(line: ModbusLine) -> ModbusBaseClient:
    host, port = host_and_port(line.url, line.scheme)
    if line.tls is not None:
        return _TlsClient(host, port, _client_context(line.tls))
    framer = FramerType.RTU if line.scheme == "modbus+rtu+tcp" else FramerType.SOCKET
    return AsyncModbusTcpClient(
        host, port=port, framer=framer, timeout=REPLY_S_MAX, retries=0, reconnect_delay=0
    )


class _TlsClient(AsyncModbusTcpClient):
    """pymodbus's TCP client over TLS.

    Its own TLS client takes whatever one TLS record brings for one frame, half a frame or two;
    the TCP client's framer goes by the length in the header, which is there under TLS as well.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self.comm_params = CommParams(
            comm_type=CommType.TLS,
            host=host,
            port=port,
            sslctx=context,
            timeout_connect=REPLY_S_MAX,
        )
        super().__init__(host, framer=FramerType.SOCKET, retries=0)


def _client_context(tls: TlsConfig) -> ssl.SSLContext:
    """Return a context that shows our certificate and believes only the authority's."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:
        raise InvalidValueError("tls", str(tls.cert_file), str(error)) from error
    return context
