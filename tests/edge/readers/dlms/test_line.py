"""Lines to DLMS meters by URL: what is spoken on each, and real meters at their far ends."""

import random
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from tests.clocks import StoppedClock

from quince.edge.errors import ReadTimeoutError, TransportError
from quince.edge.readers.dlms import dialogue as dlms_dialogue
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import InClear
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.server import hdlc_session, serve_hdlc, serve_udp, serve_wrapper
from quince.firmware_sims.lines.bus import serve_bus
from quince.firmware_sims.load import Household, Supply
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP
from quince.protocols.dlms.apdu import acse
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.links.wrapper import DatagramWrapperLink, WrapperLink
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Gmac, Password
from quince.protocols.dlms.security.suite import Keys

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
MIDNIGHT = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(16, 32)))
LLS = Password(secret=b"12345678")
OUR_TITLE, THEIR_TITLE = b"QNG\0\0\0\0\1", b"QNM\0\0\0\0\1"


def meter(seed=1, accepts=LLS):
    return DlmsMeter(
        device_id=f"M{seed}",
        household=Household(seed=seed),
        supply=Supply(),
        clock=StoppedClock(NOW),
        accepts=(accepts,),
    )


@asynccontextmanager
async def serving(scheme, device):
    async with AsyncExitStack() as doors:
        if scheme == "udp":
            port = await doors.enter_async_context(serve_udp(device, "127.0.0.1", 0))
        else:
            serve = {"tcp": serve_wrapper, "hdlc+tcp": serve_hdlc}[scheme]
            server = await doors.enter_async_context(await serve(device, "127.0.0.1", 0))
            port = server.sockets[0].getsockname()[1]
        yield f"{scheme}://127.0.0.1:{port}"


@asynccontextmanager
async def session(line, login=None):
    async with open_dlms(
        line,
        meter_id="M1",
        login=login or InClear(LLS),
        utc_offset_min=-360,
        rng=random.SystemRandom(),
    ) as reader:
        yield reader


@pytest.mark.parametrize("scheme", ["tcp", "hdlc+tcp", "udp"])
async def test_a_day_is_read_over_every_carrier(scheme):
    async with (
        serving(scheme, meter()) as url,
        session(DlmsLine(url=url, client_sap=1, server_sap=1)) as reader,
    ):
        piece = await reader.intervals(MIDNIGHT, MIDNIGHT + timedelta(days=1))
    household = Household(seed=1)
    starts = [MIDNIGHT + i * STEP for i in range(96)]
    assert list(piece.series.values) == [household.interval_wh(start) for start in starts]


@pytest.mark.parametrize("window", [2, 7])
async def test_a_day_is_read_in_windows_of_frames(window):
    async with serving("hdlc+tcp", meter()) as url:
        line = DlmsLine(url=url, client_sap=1, server_sap=1, window=window)
        async with session(line) as reader:
            piece = await reader.intervals(MIDNIGHT, MIDNIGHT + timedelta(days=1))
    assert None not in piece.series.values


async def test_several_meters_on_one_bus_are_told_apart_by_their_addresses():
    first, second = HdlcAddress(upper=1, lower=17), HdlcAddress(upper=1, lower=18)
    sessions = [lambda: hdlc_session(meter(1), first), lambda: hdlc_session(meter(2), second)]
    async with serve_bus(sessions, "127.0.0.1", 0) as port:
        readings = [await register(port, address) for address in (17, 18)]
    assert readings == [Household(seed=seed).register_wh(NOW) for seed in (1, 2)]


async def register(port, physical_address):
    line = DlmsLine(
        url=f"hdlc+tcp://127.0.0.1:{port}",
        client_sap=1,
        server_sap=1,
        physical_address=physical_address,
    )
    async with session(line) as reader:
        (reading, *_others) = await reader.registers()
        return reading.value


class WithCounters(InClear):
    """Keys and counters in memory."""

    def __init__(self):
        own = Gmac(system_title=OUR_TITLE, keys=KEYS, counters=MemoryCounters())
        super().__init__(own)


async def test_a_lost_datagram_is_a_visit_given_up_and_no_counter_used_twice(monkeypatch):
    monkeypatch.setattr(dlms_dialogue, "ANSWER_S_MAX", 0.05)
    monkeypatch.setattr(dlms_dialogue, "SILENCE_S_MAX", 0.05)
    theirs = Gmac(system_title=THEIR_TITLE, keys=KEYS, counters=MemoryCounters())
    ours = WithCounters()
    async with serving("udp", meter(accepts=theirs)) as url:
        line = DlmsLine(url=url, client_sap=1, server_sap=1)
        with pytest.raises(ReadTimeoutError):
            await ask_a_deaf_line(line, ours)
        async with session(line, ours) as reader:
            assert await reader.clock() == NOW


async def ask_a_deaf_line(line, login):
    async with session(line, login) as reader:
        reader._dialogue._transport.write = lose
        await reader.clock()


async def lose(_octets):
    pass


async def test_a_port_where_nobody_listens_is_a_line_that_fails():
    async with serving("udp", meter()) as url:
        pass
    with pytest.raises(TransportError):
        async with session(DlmsLine(url=url, client_sap=1, server_sap=1)):
            pass


@pytest.mark.parametrize(
    ("url", "kind"),
    [("tcp://x:1", WrapperLink), ("udp://x:1", DatagramWrapperLink)],
)
def test_the_wrapper_is_spoken_over_tcp_and_udp(url, kind):
    assert type(DlmsLine(url=url, client_sap=16, server_sap=1).link()) is kind


@pytest.mark.parametrize("url", ["serial:/dev/ttyUSB0?baud=9600", "optical:/dev/ttyUSB0"])
def test_hdlc_is_spoken_on_a_serial_line_and_nothing_is_proposed(url):
    line = DlmsLine(url=url, client_sap=16, server_sap=1, physical_address=17)
    assert line.link().connect() == bytes.fromhex("7ea00802232193bd647e")


def test_an_optical_line_is_signed_on_to_first():
    assert DlmsLine(url="optical:/dev/ttyUSB0", client_sap=16, server_sap=1).is_optical
    assert not DlmsLine(url="serial:/dev/ttyUSB0", client_sap=16, server_sap=1).is_optical


@pytest.mark.parametrize(
    "address", [{"server_sap": 200}, {"server_sap": 1, "physical_address": 127}]
)
def test_an_address_that_cannot_be_is_refused_before_the_line_is_opened(address):
    line = DlmsLine(url="hdlc+tcp://127.0.0.1:1", client_sap=16, **address)
    with pytest.raises(InvalidValueError, match="hdlc"):
        line.link()


async def test_a_good_bye_that_makes_no_sense_undoes_nothing(monkeypatch):
    said = {acse.RLRQ: acse.encode_release(acse.RLRQ), acse.RLRE: b"\x00"}
    monkeypatch.setattr(acse, "encode_release", said.__getitem__)
    async with (
        serving("tcp", meter()) as url,
        session(DlmsLine(url=url, client_sap=1, server_sap=1)) as reader,
    ):
        serial = (await reader.identify()).serial
    assert serial == "M1"
