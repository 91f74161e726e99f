"""The meter's two doors: DLMS in the wrapper over TCP, and HDLC over TCP."""

import asyncio
from collections.abc import Callable

import structlog

from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.model.errors import QuinceError
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.session import ServerSession
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.links.link import Link
from quince.protocols.dlms.links.wrapper import MANAGEMENT_LOGICAL_DEVICE, WrapperLink

log = structlog.get_logger()

_READ_OCTETS_MAX = 4096
# A TCP line has room; on a serial one a meter would stay with the default of 128.
_INFORMATION_OCTETS_MAX = 1024


async def serve_wrapper(meter: DlmsMeter, host: str, port: int) -> asyncio.Server:
    """Serve the wrapper on `host` and `port` (0: any free one)."""
    return await _serve(meter, host, port, _wrapper_link)


async def serve_hdlc(meter: DlmsMeter, host: str, port: int) -> asyncio.Server:
    """Serve HDLC on `host` and `port` (0: any free one)."""
    return await _serve(meter, host, port, _hdlc_link)


def _wrapper_link() -> Link:
    return WrapperLink(own_port=MANAGEMENT_LOGICAL_DEVICE)


def _hdlc_link() -> Link:
    return HdlcLink(
        Role.SERVER,
        server=HdlcAddress(upper=MANAGEMENT_LOGICAL_DEVICE),
        information_octets_max=_INFORMATION_OCTETS_MAX,
    )


async def _serve(
    meter: DlmsMeter, host: str, port: int, new_link: Callable[[], Link]
) -> asyncio.Server:
    def new_association() -> ServerAssociation:
        return ServerAssociation(meter, meter.accepts, rng=meter.rng)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer(meter, ServerSession(new_link(), new_association), reader, writer)
        except QuinceError as error:
            log.info("dlms_connection_dropped", meter_id=meter.device_id, code=error.code)
        except (ConnectionError, TimeoutError):
            log.debug("dlms_connection_lost", meter_id=meter.device_id)
        except asyncio.CancelledError:
            # Python 3.11 reports a cancelled handler as an error of the loop; nothing is left.
            log.debug("dlms_connection_stopped", meter_id=meter.device_id)
        finally:
            writer.close()

    return await asyncio.start_server(handle, host, port)


async def _answer(
    meter: DlmsMeter,
    session: ServerSession,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Answer until the client goes, or the light does (TimeoutError)."""
    while meter.is_on:
        async with asyncio.timeout(_seconds_of_light(meter)):
            data = await reader.read(_READ_OCTETS_MAX)
        if not data or not meter.is_on:
            return
        writer.write(session.receive(data))
        await writer.drain()


def _seconds_of_light(meter: DlmsMeter) -> float | None:
    cut_utc = meter.supply.next_cut(meter.clock.now_utc())
    return None if cut_utc is None else meter.clock.seconds_until(cut_utc)
