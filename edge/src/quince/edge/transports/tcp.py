"""A line over TCP, every step of it under a deadline."""

import asyncio

from quince.edge.errors import ReadTimeoutError, TransportError

CONNECT_S_MAX = 10.0  # a modem that wakes up takes seconds; more is a dead one
WRITE_S_MAX = 10.0
_READ_BYTES_MAX = 65_536


async def open_tcp(host: str, port: int) -> "TcpTransport":
    """Connect; TransportError if refused or not answered in CONNECT_S_MAX."""
    try:
        async with asyncio.timeout(CONNECT_S_MAX):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        raise TransportError(f"{host}:{port}: {str(error) or 'no answer'}") from error
    return TcpTransport(reader, writer)


class TcpTransport:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take an open connection."""
        self._reader = reader
        self._writer = writer

    async def read(self, deadline_s: float) -> bytes:
        """Return what came; ReadTimeoutError if nothing does, TransportError at its end."""
        try:
            async with asyncio.timeout(deadline_s):
                data = await self._reader.read(_READ_BYTES_MAX)
        except TimeoutError as error:
            raise ReadTimeoutError(f"nothing in {deadline_s} s") from error
        except OSError as error:
            raise TransportError(str(error)) from error
        if not data:
            raise TransportError("closed by the meter")
        return data

    async def write(self, data: bytes) -> None:
        """Send `data`."""
        try:
            async with asyncio.timeout(WRITE_S_MAX):
                self._writer.write(data)
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            raise TransportError(f"cannot send: {str(error) or 'not taken'}") from error

    async def set_line(
        self, baud: int, *, seven_bits: bool | None = None, echoes: bool | None = None
    ) -> None:
        """Do nothing: a connection has no baud, and a serial server minds its own line."""

    async def aclose(self) -> None:
        """Close the connection without waiting for the far end's consent."""
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()  # else what it does not take keeps the socket open
        self._writer.close()
