"""Readers over lines that do mischief: the truth, or a typed error in bounded time; never a lie."""

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from tests.clocks import StoppedClock

from quince.edge.readers.dlms import dialogue as dlms_dialogue
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import InClear, login
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.server import hdlc_session, serve_hdlc, serve_wrapper
from quince.firmware_sims.lines import mischief
from quince.firmware_sims.lines.bad_line import bad_line
from quince.firmware_sims.lines.bus import serve_bus
from quince.firmware_sims.lines.mischief import Mischief, Mischiefs
from quince.firmware_sims.load import Household, Supply
from quince.model.errors import QuinceError
from quince.model.interval import STEP
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Gmac, Password
from quince.protocols.dlms.security.suite import Keys

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
START = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
PASSWORD = Password(secret=b"12345678")
KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(16, 32)))


def gmac(title):
    return Gmac(system_title=title, keys=KEYS, counters=MemoryCounters())


def meter(accepts, seed=1):
    return DlmsMeter(
        device_id=f"M{seed}",
        household=Household(seed=seed),
        supply=Supply(),
        clock=StoppedClock(NOW),
        accepts=(accepts,),
    )


def truth(seed=1):
    return [Household(seed=seed).interval_wh(START + i * STEP) for i in range(24)]


@asynccontextmanager
async def reader_at(url, who, **address):
    line = DlmsLine(url=url, client_sap=1, server_sap=1, **address)
    rng = random.SystemRandom()
    async with open_dlms(line, meter_id="M1", login=who, utc_offset_min=-360, rng=rng) as reader:
        yield reader


async def six_hours(url, who, **address):
    """Return the values, or the error that stood in their way."""
    try:
        async with asyncio.timeout(30), reader_at(url, who, **address) as reader:
            piece = await reader.intervals(START, START + timedelta(hours=6))
    except QuinceError as error:
        return error
    return list(piece.series.values)


def sound(outcome):
    return isinstance(outcome, QuinceError) or outcome == truth()


@pytest.fixture(autouse=True)
def _impatience(monkeypatch):
    monkeypatch.setattr(dlms_dialogue, "ANSWER_S_MAX", 0.2)
    monkeypatch.setattr(dlms_dialogue, "SILENCE_S_MAX", 0.2)
    monkeypatch.setattr(dlms_dialogue, "EXCHANGE_S_MAX", 2.0)
    monkeypatch.setattr(mischief, "LORIS_PAUSE_S", 0.01)


def mischiefs(*kinds, seed, rate=0.3):
    return Mischiefs(frozenset(kinds), random.Random(seed), rate=rate)


async def over_hdlc(fate):
    async with await serve_hdlc(meter(PASSWORD), "127.0.0.1", 0) as server:
        async with bad_line(
            fate, meter=server.sockets[0].getsockname(), host="127.0.0.1", port=0
        ) as port:
            outcome = await six_hours(f"hdlc+tcp://127.0.0.1:{port}", InClear(PASSWORD))
        await asyncio.sleep(0.01)  # for the meter to hear that the line is gone
    return outcome


async def over_ciphered_wrapper(fate, counters):
    device, who = (
        meter(gmac(b"QNM\0\0\0\0\1")),
        login(gmac(b"QNG\0\0\0\0\1"), counters, meter_id="M1"),
    )
    async with await serve_wrapper(device, "127.0.0.1", 0) as server:
        async with bad_line(
            fate, meter=server.sockets[0].getsockname(), host="127.0.0.1", port=0
        ) as port:
            outcome = await six_hours(f"tcp://127.0.0.1:{port}", who)
        await asyncio.sleep(0.01)  # for the meter to hear that the line is gone
    return outcome


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", list(Mischief))
async def test_hdlc_tells_the_truth_or_gives_up(kind, seed):
    assert sound(await over_hdlc(mischiefs(kind, seed=seed)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", list(Mischief))
async def test_a_ciphered_wrapper_tells_the_truth_or_gives_up(kind, seed, tmp_path):
    with CounterStore(tmp_path / "counters.db") as counters:
        assert sound(await over_ciphered_wrapper(mischiefs(kind, seed=seed), counters))


@pytest.mark.parametrize("seed", range(5))
async def test_hdlc_survives_all_of_it_at_once(seed):
    assert sound(await over_hdlc(mischiefs(*Mischief, seed=seed, rate=0.05)))


@pytest.mark.parametrize("kind", [Mischief.NOISE, Mischief.REPETITION, Mischief.BIT_FLIP])
async def test_hdlc_reads_through_a_line_that_is_bad_now_and_then(kind):
    outcomes = [await over_hdlc(mischiefs(kind, seed=seed, rate=0.1)) for seed in range(5)]
    assert truth() in outcomes


def sessions(*devices):
    return [lambda one=one, at=at: hdlc_session(one, at) for one, at in devices]


def at(lower):
    return HdlcAddress(upper=1, lower=lower, size=2)


async def test_each_meter_of_a_bus_is_read_by_its_address():
    devices = sessions((meter(PASSWORD, 1), at(17)), (meter(PASSWORD, 2), at(18)))
    async with serve_bus(devices, "127.0.0.1", 0) as port:
        url, who = f"hdlc+tcp://127.0.0.1:{port}", InClear(PASSWORD)
        first = await six_hours(url, who, physical_address=17, address_octets=2)
        second = await six_hours(url, who, physical_address=18, address_octets=2)
    assert (first, second) == (truth(1), truth(2))


async def test_two_meters_of_one_address_are_an_error_and_no_mixture():
    devices = sessions((meter(PASSWORD, 1), at(17)), (meter(PASSWORD, 2), at(17)))
    async with serve_bus(devices, "127.0.0.1", 0) as port:
        url = f"hdlc+tcp://127.0.0.1:{port}"
        outcome = await six_hours(url, InClear(PASSWORD), physical_address=17, address_octets=2)
    assert isinstance(outcome, QuinceError)


async def test_frames_whose_check_ends_in_7e_are_read_among_a_thousand():
    device = meter(PASSWORD)
    async with await serve_hdlc(device, "127.0.0.1", 0) as server:
        url = f"hdlc+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with reader_at(url, InClear(PASSWORD)) as reader:
            clocks = [await reader.clock() for _ in range(600)]
    assert set(clocks) == {NOW}
