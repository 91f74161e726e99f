"""A line over UDP: one read is one datagram, and what the network loses nobody sends again."""

import asyncio
from collections import deque

from quince.edge.errors import ReadTimeoutError, TransportError

RESOLVE_S_MAX = 10.0  # a name server that takes longer is down
# A meter answers one request at a time, in a few datagrams; more at once is a flood.
DATAGRAMS_MAX = 64


async def open_udp(host: str, port: int) -> "UdpTransport":
    """Open a socket for one peer; TransportError if its name is unknown.

    Nothing is sent, so a peer that is not there shows at the first read.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_S_MAX):
            datagrams, inbox = await loop.create_datagram_endpoint(_Inbox, remote_addr=(host, port))
    except (OSError, TimeoutError) as error:
        raise TransportError(f"{host}:{port}: {str(error) or 'no answer'}") from error
    return UdpTransport(datagrams, inbox)


class _Inbox(asyncio.DatagramProtocol):
    """What arrived and was not read yet; the socket is connected, so only the peer is heard."""

    def __init__(self) -> None:
        self._datagrams: deque[bytes] = deque()
        self._failure: Exception | None = None
        self._stirred = asyncio.Event()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Keep a datagram; those beyond DATAGRAMS_MAX are lost, as the network may lose any."""
        del addr
        if data and len(self._datagrams) < DATAGRAMS_MAX:
            self._datagrams.append(data)
            self._stirred.set()

    def error_received(self, exc: Exception) -> None:
        """Keep what the network says: that nobody listens there, mostly."""
        self._failure = exc
        self._stirred.set()

    async def take(self) -> bytes:
        """Wait for a datagram, the oldest first; OSError if the network said why none comes."""
        while not self._datagrams:
            self._stirred.clear()
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            await self._stirred.wait()
        return self._datagrams.popleft()


class UdpTransport:
    """One UDP socket, for one peer."""

    def __init__(self, datagrams: asyncio.DatagramTransport, inbox: _Inbox) -> None:
        """Take an open endpoint."""
        self._datagrams = datagrams
        self._inbox = inbox

    async def read(self, deadline_s: float) -> bytes:
        """Return one datagram; ReadTimeoutError if none comes, TransportError if none can."""
        try:
            async with asyncio.timeout(deadline_s):
                return await self._inbox.take()
        except TimeoutError as error:
            raise ReadTimeoutError(f"nothing in {deadline_s} s") from error
        except OSError as error:
            raise TransportError(str(error)) from error

    async def write(self, data: bytes) -> None:
        """Send `data` as one datagram."""
        if self._datagrams.is_closing():
            raise TransportError("cannot send: closed")
        self._datagrams.sendto(data)

    async def set_line(
        self, baud: int, *, seven_bits: bool | None = None, echoes: bool | None = None
    ) -> None:
        """Do nothing: datagrams have no baud."""

    async def aclose(self) -> None:
        """Close the socket."""
        self._datagrams.close()
