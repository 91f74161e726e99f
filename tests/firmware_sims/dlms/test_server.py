import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

import pytest

from quince.firmware_sims.dlms import server
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.push import Carrier, send_last_gasp, send_power_up
from quince.firmware_sims.dlms.server import serve_hdlc, serve_udp, serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.notification import EventNotification
from quince.protocols.dlms.apdu.reference import Access, Ref
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.session import Closed, MeterSession, SessionEvent
from quince.protocols.dlms.association.states import Associated, Reply
from quince.protocols.dlms.cosem.clock import CLOCK_TIME, MeterTime
from quince.protocols.dlms.cosem.names import LAST_GASP, POWER_UP
from quince.protocols.dlms.cosem.profile import (
    PROFILE_BUFFER,
    PROFILE_COLUMNS,
    Layout,
    read_columns,
)
from quince.protocols.dlms.cosem.rows import read_rows
from quince.protocols.dlms.cosem.selection import Range, range_access
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.encoding.date_time import decode_date_time
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.links.link import Disconnected, Link
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Authentication, Gmac, NoSecurity, Password
from quince.protocols.dlms.security.pushes import open_push
from quince.protocols.dlms.security.suite import Keys

E = TypeVar("E", bound=SessionEvent)
Serve = Callable[[DlmsMeter, str, int], Awaitable[asyncio.Server]]
KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(0xD0, 0xE0)))
METER = b"MTR\x00\x00\x00\x00\x01"
DAY = datetime(2025, 3, 1, 6, 0, tzinfo=UTC)


def _wrapper() -> Link:
    return WrapperLink(own_port=16, peer_port=1)


def _hdlc() -> Link:
    return HdlcLink(
        Role.CLIENT,
        server=HdlcAddress(upper=1),
        client=HdlcAddress(upper=16),
        information_octets_max=512,
    )


def _gmac(title: bytes) -> Gmac:
    return Gmac(system_title=title, keys=KEYS, counters=MemoryCounters())


def _meter(
    clock: Any, supply: Supply | None = None, accepts: Sequence[Authentication] = ()
) -> DlmsMeter:
    return DlmsMeter(
        device_id="Q-1",
        household=Household(seed=7),
        supply=supply or Supply(),
        clock=clock,
        accepts=accepts or (NoSecurity(), Password(secret=b"12345678"), _gmac(METER)),
        rng=Random(1),
    )


class Reader:
    """Drives a session over a socket, as an edge gateway does."""

    def __init__(self, session: MeterSession, port: int) -> None:
        self.session = session
        self._port = port

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.session.start()
        await self.until(Associated)

    async def close(self) -> None:
        self.session.stop()
        await self.until(Closed)
        self._writer.close()
        await self._writer.wait_closed()

    async def get(self, ref: Ref, access: Access | None = None) -> Data:
        self.session.get(ref, access)
        return (await self.until(Reply)).require()

    async def until(self, kind: type[E]) -> E:
        while True:
            self._writer.write(self.session.data_to_send())
            data = await self._reader.read(4096)
            assert data, "the meter hung up"
            for event in self.session.receive(data):
                if isinstance(event, kind):
                    self._writer.write(self.session.data_to_send())
                    return event


@asynccontextmanager
async def _reading(
    meter: DlmsMeter, serve: Serve, link: Link, own: Authentication
) -> AsyncIterator[Reader]:
    async with await serve(meter, "127.0.0.1", 0) as server:
        association = ClientAssociation(own, rng=Random(3))
        reader = Reader(MeterSession(link, association), server.sockets[0].getsockname()[1])
        await reader.open()
        yield reader
        await reader.close()


@pytest.mark.parametrize(("serve", "link"), [(serve_wrapper, _wrapper), (serve_hdlc, _hdlc)])
@pytest.mark.parametrize(
    "own_and_theirs",
    [
        lambda: (NoSecurity(), NoSecurity()),
        lambda: (Password(secret=b"12345678"), Password(secret=b"12345678")),
        lambda: (_gmac(b"CLIENT01"), _gmac(METER)),
    ],
)
async def test_two_days_are_read_over_a_socket(
    clock: Any,
    serve: Serve,
    link: Callable[[], Link],
    own_and_theirs: Callable[[], tuple[Authentication, Authentication]],
) -> None:
    time = MeterTime(standard_offset_min=-360)
    access = range_access(Range(from_utc=DAY, to_utc=DAY + timedelta(days=2)), time)
    own, theirs = own_and_theirs()
    async with _reading(_meter(clock, accepts=[theirs]), serve, link(), own) as reader:
        columns = read_columns(await reader.get(PROFILE_COLUMNS))
        buffer = await reader.get(PROFILE_BUFFER, access)
        rows = read_rows(buffer, Layout(columns=columns, period_s=900), time)
        assert len(rows.at_s) == 2 * 96 + 1
        moment = time.read((await reader.get(CLOCK_TIME)).as_octets())
        assert moment.at_utc == clock.now_utc()


async def test_a_dark_meter_hangs_up_on_everyone(clock: Any) -> None:
    now = clock.now_utc()
    meter = _meter(clock, Supply([(now, now + timedelta(hours=1))]))
    async with await serve_wrapper(meter, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_when_the_light_goes_an_idle_client_is_cut_off(clock: Any) -> None:
    clock.wait_s = 0.01
    now = clock.now_utc()
    meter = _meter(clock, Supply([(now + timedelta(hours=1), now + timedelta(hours=2))]))
    async with await serve_wrapper(meter, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_cut_nobody_announced_leaves_the_request_unanswered(clock: Any) -> None:
    now, supply = clock.now_utc(), Supply()
    async with await serve_wrapper(_meter(clock, supply), "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(_wrapper().send(ClientAssociation(NoSecurity(), rng=Random(3)).open()))
        assert await reader.read(4096)
        supply.cut(now - timedelta(seconds=1), now + timedelta(hours=1))
        writer.write(_wrapper().send(b"\xc0"))
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_speaks_something_else_is_hung_up_on(clock: Any) -> None:
    async with await serve_wrapper(_meter(clock), "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_link_nobody_speaks_on_is_forgotten(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "INACTIVITY_S", 0.01)
    link = _hdlc()
    async with await serve_hdlc(_meter(clock), "127.0.0.1", 0) as meter:
        reader, writer = await asyncio.open_connection(*meter.sockets[0].getsockname())
        writer.write(link.connect())
        link.receive(await reader.read(4096))
        await asyncio.sleep(0.05)
        writer.write(link.send(b"\xc0"))
        assert link.receive(await reader.read(4096)) == [Disconnected()]
        writer.close()
        await writer.wait_closed()


# -- datagrams -----------------------------------------------------------------------------


AARQ = WrapperLink(own_port=16, peer_port=1).send(
    ClientAssociation(NoSecurity(), rng=Random(3)).open()
)
GET_NOTHING = WrapperLink(own_port=16, peer_port=1).send(
    bytes.fromhex("c001c100080000010000ff0200")
)


class Peer(asyncio.DatagramProtocol):
    """A client's socket; `heard` keeps what arrives."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr
        self.heard.put_nowait(data)


@asynccontextmanager
async def _peer(port: int) -> AsyncIterator[Callable[..., Awaitable[bytes]]]:
    """Give what sends datagrams and returns the first answer."""
    loop = asyncio.get_running_loop()
    socket, peer = await loop.create_datagram_endpoint(Peer, remote_addr=("127.0.0.1", port))

    async def ask(*datagrams: bytes) -> bytes:
        for datagram in datagrams:
            socket.sendto(datagram)
        return await peer.heard.get()

    yield ask
    socket.close()


async def test_a_datagram_is_answered_by_one(clock: Any) -> None:
    async with serve_udp(_meter(clock), "127.0.0.1", 0) as port, _peer(port) as ask:
        assert (await ask(AARQ))[8:9] == b"\x61"
        assert (await ask(GET_NOTHING))[8:9] == b"\xc4"


async def test_a_wrong_datagram_ends_nothing(clock: Any) -> None:
    async with serve_udp(_meter(clock), "127.0.0.1", 0) as port, _peer(port) as ask:
        await ask(AARQ)
        assert (await ask(b"\xff" * 20, GET_NOTHING))[8:9] == b"\xc4"


async def test_each_peer_has_an_association_of_its_own(clock: Any) -> None:
    async with (
        serve_udp(_meter(clock), "127.0.0.1", 0) as port,
        _peer(port) as ask,
        _peer(port) as other,
    ):
        await ask(AARQ)
        assert (await other(GET_NOTHING))[8:9] == b"\xd8"


async def test_the_longest_silent_peer_makes_place(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CLIENTS_MAX", 1)
    async with (
        serve_udp(_meter(clock), "127.0.0.1", 0) as port,
        _peer(port) as ask,
        _peer(port) as other,
    ):
        await ask(AARQ)
        await other(AARQ)
        assert (await ask(GET_NOTHING))[8:9] == b"\xd8"


async def test_a_dark_meter_answers_no_datagram(clock: Any) -> None:
    now = clock.now_utc()
    meter = _meter(clock, Supply([(now, now + timedelta(hours=1))]))
    async with serve_udp(meter, "127.0.0.1", 0) as port, _peer(port) as ask:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(AARQ), 0.1)


# -- pushes --------------------------------------------------------------------------------


Send = Callable[[DlmsMeter, str, int, Carrier], Awaitable[None]]


async def _said_over_tcp(meter: DlmsMeter, send: Send) -> bytes:
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await arrived.put(await reader.read())
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as listener:
        await send(meter, "127.0.0.1", listener.sockets[0].getsockname()[1], Carrier.TCP)
        return await arrived.get()


async def _said_over_udp(meter: DlmsMeter, send: Send) -> bytes:
    loop = asyncio.get_running_loop()
    socket, peer = await loop.create_datagram_endpoint(Peer, local_addr=("127.0.0.1", 0))
    await send(meter, "127.0.0.1", socket.get_extra_info("sockname")[1], Carrier.UDP)
    octets = await peer.heard.get()
    socket.close()
    return octets


@pytest.mark.parametrize("said", [_said_over_tcp, _said_over_udp])
@pytest.mark.parametrize(("send", "ref"), [(send_last_gasp, LAST_GASP), (send_power_up, POWER_UP)])
async def test_a_push_arrives_as_a_real_meter_sends_it(
    clock: Any, said: Callable[[DlmsMeter, Send], Awaitable[bytes]], send: Send, ref: Ref
) -> None:
    octets = await said(_meter(clock, accepts=[NoSecurity()]), send)
    assert octets[:8] == bytes.fromhex("000100670066") + (len(octets) - 8).to_bytes(2, "big")
    push = decode_apdu(octets[8:])
    assert isinstance(push, EventNotification)
    assert (push.ref, push.data.as_octets()) == (ref, b"Q-1")
    assert decode_date_time(push.date_time or b"").at_utc == clock.now_utc()


async def test_a_meter_with_keys_seals_what_it_pushes(clock: Any) -> None:
    octets = await _said_over_tcp(_meter(clock), send_last_gasp)
    push = open_push(octets[8:], {METER: _gmac(b"HEADEND1")}.get, rng=Random(1))
    assert push.system_title == METER
    assert push.apdu[:1] == b"\xc2"
