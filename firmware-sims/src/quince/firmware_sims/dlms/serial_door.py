"""The meter's serial door: HDLC on a pseudo-terminal that keeps its baud and its pace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import structlog

from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.server import INACTIVITY_S, hdlc_session
from quince.firmware_sims.lines.pty_line import PtyLine, serve_pty
from quince.model.errors import QuinceError
from quince.protocols.dlms.association.session import ServerSession

log = structlog.get_logger()


@asynccontextmanager
async def serve_serial(meter: DlmsMeter, link: Path | None, baud: int) -> AsyncIterator[Path]:
    """Serve HDLC at `baud`, eight bits, on a pseudo-terminal; gives back its path."""

    async def talk(line: PtyLine) -> NoReturn:
        line.seven_bits = False
        line.switch(baud)
        while True:
            await _converse(meter, hdlc_session(meter), line)

    async with serve_pty(talk, link) as path:
        yield path


async def _converse(meter: DlmsMeter, session: ServerSession, line: PtyLine) -> None:
    """Answer until the line was idle too long, or what comes is no HDLC any more."""
    try:
        while True:
            async with asyncio.timeout(INACTIVITY_S):
                octets = await line.read()
            if meter.is_on:
                await line.write(session.receive(octets))
    except TimeoutError:
        session.expire()
    except QuinceError as error:
        log.info("dlms_connection_dropped", meter_id=meter.device_id, code=error.code)
