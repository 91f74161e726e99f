"""A bad line in front of a meter that serves TCP: what it answers passes through mischief.

What the reader sends passes untouched, so that the meter itself keeps its senses.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from quince.firmware_sims.lines.mischief import Mischiefs

log = structlog.get_logger()

_READ_OCTETS_MAX = 65_536


@asynccontextmanager
async def bad_line(
    mischiefs: Mischiefs, *, meter: tuple[str, int], host: str, port: int
) -> AsyncIterator[int]:
    """Listen on `host` and `port` (0: any free one; gives it back), and pass on to the meter."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _between(mischiefs, meter, reader, writer)
        except OSError:
            log.debug("bad_line_ended", meter=meter)
        except asyncio.CancelledError:
            # Python 3.11 reports a cancelled handler as an error of the loop; nothing is left.
            log.debug("bad_line_stopped", meter=meter)
        finally:
            writer.close()

    async with await asyncio.start_server(handle, host, port) as server:
        yield server.sockets[0].getsockname()[1]


async def _between(
    mischiefs: Mischiefs,
    meter: tuple[str, int],
    client_reader: asyncio.StreamReader,
    client_writer: asyncio.StreamWriter,
) -> None:
    meter_reader, meter_writer = await asyncio.open_connection(*meter)
    asked = _Asked()
    sides = (
        asyncio.ensure_future(_pass_on(client_reader, meter_writer, asked)),
        asyncio.ensure_future(_disturb(mischiefs, meter_reader, client_writer, asked)),
    )
    try:
        # Whoever goes first ends it for both.
        await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for side in sides:
            side.cancel()
        meter_writer.close()
        await asyncio.gather(*sides, return_exceptions=True)


class _Asked:
    """The last request, for lines that echo it."""

    octets = b""


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: _Asked
) -> None:
    while octets := await reader.read(_READ_OCTETS_MAX):
        asked.octets = octets
        writer.write(octets)
        await writer.drain()


async def _disturb(
    mischiefs: Mischiefs, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: _Asked
) -> None:
    while octets := await reader.read(_READ_OCTETS_MAX):
        for piece in mischiefs.befall(octets, asked.octets):
            await asyncio.sleep(piece.pause_s)
            writer.write(piece.octets)
            await writer.drain()
            if piece.last:
                return
