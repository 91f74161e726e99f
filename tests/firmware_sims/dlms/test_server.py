import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

import pytest

from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.push import send_last_gasp, send_power_up
from quince.firmware_sims.dlms.server import serve_hdlc, serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.protocols.dlms.apdu.reference import Access, Ref
from quince.protocols.dlms.apdu.services import EventNotification, decode_apdu
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.session import Closed, MeterSession, SessionEvent
from quince.protocols.dlms.association.states import (
    Associated,
    Authentication,
    NoSecurity,
    Password,
    Reply,
)
from quince.protocols.dlms.cosem import objects as cosem
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.encoding.date_time import decode_date_time
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.links.link import ApduReceived, Link
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.protection import Gmac
from quince.protocols.dlms.security.suite import Keys, MemoryCounters

E = TypeVar("E", bound=SessionEvent)
Serve = Callable[[DlmsMeter, str, int], Awaitable[asyncio.Server]]
KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(0xD0, 0xE0)))
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


def _meter(clock: Any, supply: Supply | None = None) -> DlmsMeter:
    return DlmsMeter(
        device_id="Q-1",
        household=Household(seed=7),
        supply=supply or Supply(),
        clock=clock,
        accepts=(NoSecurity(), Password(secret=b"12345678"), _gmac(b"MTR\x00\x00\x00\x00\x01")),
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
    "own", [NoSecurity, lambda: Password(secret=b"12345678"), lambda: _gmac(b"CLIENT01")]
)
async def test_two_days_are_read_over_a_socket(
    clock: Any, serve: Serve, link: Callable[[], Link], own: Callable[[], Authentication]
) -> None:
    selection = cosem.Range(from_utc=DAY, to_utc=DAY + timedelta(days=2))
    access = cosem.range_access(selection, utc_offset_min=-360)
    async with _reading(_meter(clock), serve, link(), own()) as reader:
        columns = cosem.read_columns(await reader.get(cosem.PROFILE_COLUMNS))
        buffer = await reader.get(cosem.PROFILE_BUFFER, access)
        rows = cosem.read_rows(buffer, columns, period_s=900)
        assert len(rows) == 2 * 96 + 1
        moment = cosem.read_clock(await reader.get(cosem.CLOCK_TIME))
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


@pytest.mark.parametrize(
    ("send", "ref"), [(send_last_gasp, cosem.LAST_GASP), (send_power_up, cosem.POWER_UP)]
)
async def test_a_push_arrives_as_a_real_meter_sends_it(
    clock: Any, send: Callable[[DlmsMeter, str, int], Awaitable[None]], ref: Ref
) -> None:
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await arrived.put(await reader.read())
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as listener:
        await send(_meter(clock), "127.0.0.1", listener.sockets[0].getsockname()[1])
        octets = await arrived.get()
    assert octets[:8] == bytes.fromhex("000100670066") + (len(octets) - 8).to_bytes(2, "big")
    (event,) = WrapperLink().receive(octets)
    assert isinstance(event, ApduReceived)
    push = decode_apdu(event.apdu)
    assert isinstance(push, EventNotification)
    assert (push.ref, push.data.as_octets()) == (ref, b"Q-1")
    assert decode_date_time(push.date_time or b"").at_utc == clock.now_utc()
