"""A multidrop bus: several HDLC meters on one pair of wires, behind one TCP port.

Every meter hears every octet, and answers what bears its address. Two meters of one address
answer at once, and their octets collide.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from itertools import zip_longest

from quince.model.errors import QuinceError
from quince.protocols.dlms.association.session import ServerSession

_READ_OCTETS_MAX = 4096


@asynccontextmanager
async def serve_bus(
    sessions: Sequence[Callable[[], ServerSession]], host: str, port: int
) -> AsyncIterator[int]:
    """Serve one session of each meter per connection; gives back the port (0: any free one)."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Python 3.11 reports a cancelled handler as an error of the loop; nothing is left.
        with closing(writer), suppress(OSError, asyncio.CancelledError):
            await _answer([begin() for begin in sessions], reader, writer)

    async with await asyncio.start_server(handle, host, port) as server:
        yield server.sockets[0].getsockname()[1]


async def _answer(
    meters: Sequence[ServerSession], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    while octets := await reader.read(_READ_OCTETS_MAX):
        writer.write(collide([_heard(meter, octets) for meter in meters]))
        await writer.drain()


def _heard(meter: ServerSession, octets: bytes) -> bytes:
    try:
        return meter.receive(octets)
    except QuinceError:
        return b""  # a meter that makes no sense of the bus is silent


def collide(answers: Sequence[bytes]) -> bytes:
    """Return what the wires carry when all answer at once: dominant zeros win (RS-485 wired)."""
    return bytes(_wired(octets) for octets in zip_longest(*answers, fillvalue=0xFF))


def _wired(octets: Sequence[int]) -> int:
    level = 0xFF
    for octet in octets:
        level &= octet
    return level
