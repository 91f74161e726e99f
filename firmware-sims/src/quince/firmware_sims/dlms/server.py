"""The meter's doors: DLMS in the wrapper over TCP and over UDP, and HDLC over TCP."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.model.errors import QuinceError
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.session import ServerSession
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.links.hdlc_parameters import WINDOW_MAX
from quince.protocols.dlms.links.link import Link
from quince.protocols.dlms.links.wrapper import (
    MANAGEMENT_LOGICAL_DEVICE,
    DatagramWrapperLink,
    WrapperLink,
)

log = structlog.get_logger()

# What an HDLC link may stay idle: the default of the meter's own setup object.
INACTIVITY_S = 120.0
# Peers over UDP at a time; whoever speaks from one more takes the place of the longest silent.
CLIENTS_MAX = 16
_READ_OCTETS_MAX = 4096
# A TCP line has room; on a serial one a meter would stay with the default of 128.
_INFORMATION_OCTETS_MAX = 1024
_ADDRESS = HdlcAddress(upper=MANAGEMENT_LOGICAL_DEVICE)

_Peer = tuple[str, int]


def wrapper_session(meter: DlmsMeter) -> ServerSession:
    """Return the meter's end of one wrapper connection."""
    return _session(meter, WrapperLink(own_port=MANAGEMENT_LOGICAL_DEVICE))


def hdlc_session(meter: DlmsMeter, address: HdlcAddress = _ADDRESS) -> ServerSession:
    """Return the meter's end of one HDLC line, where it hears what bears its address."""
    link = HdlcLink(
        Role.SERVER,
        server=address,
        information_octets_max=_INFORMATION_OCTETS_MAX,
        window=WINDOW_MAX,
    )
    return _session(meter, link)


def _session(meter: DlmsMeter, link: Link) -> ServerSession:
    def new_association() -> ServerAssociation:
        return ServerAssociation(meter, meter.accepts, rng=meter.rng, public=meter.public_view())

    return ServerSession(link, new_association)


async def serve_wrapper(meter: DlmsMeter, host: str, port: int) -> asyncio.Server:
    """Serve the wrapper on `host` and `port` (0: any free one)."""
    return await _serve(meter, host, port, wrapper_session)


async def serve_hdlc(meter: DlmsMeter, host: str, port: int) -> asyncio.Server:
    """Serve HDLC on `host` and `port` (0: any free one)."""
    return await _serve(meter, host, port, hdlc_session)


@asynccontextmanager
async def serve_udp(meter: DlmsMeter, host: str, port: int) -> AsyncIterator[int]:
    """Serve the wrapper over UDP; gives back the port (0: any free one)."""
    loop = asyncio.get_running_loop()
    door, _protocol = await loop.create_datagram_endpoint(
        lambda: _UdpDoor(meter), local_addr=(host, port)
    )
    try:
        yield door.get_extra_info("sockname")[1]
    finally:
        door.close()


async def _serve(
    meter: DlmsMeter, host: str, port: int, new_session: Callable[[DlmsMeter], ServerSession]
) -> asyncio.Server:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer(meter, new_session(meter), reader, writer)
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
        light_s = _seconds_of_light(meter)
        try:
            async with asyncio.timeout(min(light_s, INACTIVITY_S)):
                data = await reader.read(_READ_OCTETS_MAX)
        except TimeoutError:
            if light_s <= INACTIVITY_S:
                raise
            session.expire()
            continue
        if not data or not meter.is_on:
            return
        writer.write(session.receive(data))
        await writer.drain()


def _seconds_of_light(meter: DlmsMeter) -> float:
    cut_utc = meter.supply.next_cut(meter.clock.now_utc())
    return float("inf") if cut_utc is None else meter.clock.seconds_until(cut_utc)


class _UdpDoor(asyncio.DatagramProtocol):
    """Answers datagrams, each peer in a session of its own; in the dark it is silent."""

    def __init__(self, meter: DlmsMeter) -> None:
        self._meter = meter
        self._sessions: OrderedDict[_Peer, ServerSession] = OrderedDict()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        self._socket: asyncio.DatagramTransport = transport  # type: ignore[assignment]  # asyncio gives a datagram endpoint no other kind

    def datagram_received(self, data: bytes, addr: _Peer) -> None:
        """Answer one datagram, each APDU of the answer with one of its own."""
        if not self._meter.is_on:
            self._sessions.clear()
            return
        for answer in self._session_of(addr).answers(data):
            self._socket.sendto(answer, addr)

    def _session_of(self, peer: _Peer) -> ServerSession:
        if peer not in self._sessions:
            link = DatagramWrapperLink(own_port=MANAGEMENT_LOGICAL_DEVICE)
            self._sessions[peer] = _session(self._meter, link)
        self._sessions.move_to_end(peer)
        if len(self._sessions) > CLIENTS_MAX:
            self._sessions.popitem(last=False)
        return self._sessions[peer]
