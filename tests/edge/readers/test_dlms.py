"""The DLMS reader against simulated meters on real sockets."""

import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quince.edge.errors import ReadTimeoutError, TransportError, UnsupportedError
from quince.edge.readers import dlms
from quince.edge.readers.counters import CounterStore
from quince.edge.readers.dlms_line import DlmsLine, WithGmac, WithPassword, open_dlms
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.server import serve_hdlc, serve_wrapper
from quince.firmware_sims.load import Household, Supply, metered_wh
from quince.model.errors import InvalidValueError, RemoteProtocolError
from quince.model.interval import STEP
from quince.model.quality import Quality
from quince.protocols.dlms.association.states import Password
from quince.protocols.dlms.cosem import objects as cosem
from quince.protocols.dlms.encoding.axdr import Data, Tag
from quince.protocols.dlms.errors import AuthenticationError, ServiceRefusedError
from quince.protocols.dlms.security.protection import Gmac
from quince.protocols.dlms.security.suite import Keys, MemoryCounters

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
MIDNIGHT = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
HOUSEHOLD = Household(seed=1)
LLS = Password(secret=b"12345678")
BY_PASSWORD = WithPassword(LLS)


class StoppedClock:
    def now_utc(self):
        return NOW

    def seconds_until(self, moment_utc):
        return max(0.0, (moment_utc - NOW).total_seconds())


KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(16, 32)))
OUR_TITLE = b"QNG\0\0\0\0\1"


def gmac(title):
    return Gmac(system_title=title, keys=KEYS, counters=MemoryCounters())


def meter(*outages, accepts=LLS, kind=DlmsMeter):
    return kind(
        device_id="M1",
        household=HOUSEHOLD,
        supply=Supply(outages),
        clock=StoppedClock(),
        accepts=(accepts,),
    )


@asynccontextmanager
async def session(device, *, link="wrapper", authenticate=BY_PASSWORD):
    serve, scheme = {"wrapper": (serve_wrapper, "tcp"), "hdlc": (serve_hdlc, "hdlc+tcp")}[link]
    async with await serve(device, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        line = DlmsLine(url=f"{scheme}://127.0.0.1:{port}", client_sap=1, server_sap=1)
        async with open_dlms(
            line,
            meter_id="M1",
            authenticate=authenticate,
            utc_offset_min=-360,
            rng=random.SystemRandom(),
        ) as reader:
            yield reader


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
async def test_two_days_of_profile_are_the_households_truth(link):
    async with session(meter(), link=link) as reader:
        piece = await reader.intervals(MIDNIGHT - timedelta(days=1), MIDNIGHT + timedelta(days=1))
    starts = [MIDNIGHT - timedelta(days=1) + i * STEP for i in range(192)]
    assert list(piece.series.values) == [HOUSEHOLD.interval_wh(start) for start in starts]
    assert set(piece.series.quality) == {Quality.GOOD}


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
async def test_a_ciphered_meter_is_read_alike(link, tmp_path):
    device = meter(accepts=gmac(b"QNM\0\0\0\0\1"))
    with CounterStore(tmp_path / "counters.db") as counters:
        await read_ciphered(
            device, link, WithGmac(counters=counters, system_title=OUR_TITLE, keys=KEYS)
        )


async def read_ciphered(device, link, authenticate):
    async with session(device, link=link, authenticate=authenticate) as reader:
        assert await reader.clock() == NOW
        (reading,) = await reader.registers()
    assert (reading.value, reading.at_utc) == (HOUSEHOLD.register_wh(NOW), NOW)


async def test_the_registers_at_both_borders_come_with_the_intervals():
    async with session(meter()) as reader:
        piece = await reader.intervals(MIDNIGHT, MIDNIGHT + timedelta(days=1))
    first, last = piece.readings
    assert (first.at_utc, last.at_utc) == (MIDNIGHT, MIDNIGHT + timedelta(days=1))
    assert last.value - first.value == sum(piece.series.values)


async def test_a_row_lost_in_the_dark_makes_both_its_intervals_missing():
    dark = (MIDNIGHT + timedelta(minutes=25), MIDNIGHT + timedelta(minutes=35))
    async with session(meter(dark)) as reader:
        piece = await reader.intervals(MIDNIGHT, MIDNIGHT + timedelta(hours=1))
    assert [value is None for value in piece.series.values] == [False, True, True, False]
    assert piece.series.quality[3] == Quality.GOOD


async def test_the_first_interval_after_the_dark_says_that_power_failed():
    dark = (MIDNIGHT + timedelta(minutes=16), MIDNIGHT + timedelta(minutes=20))
    async with session(meter(dark)) as reader:
        piece = await reader.intervals(MIDNIGHT, MIDNIGHT + timedelta(hours=1))
    before = metered_wh(HOUSEHOLD, Supply([dark]), MIDNIGHT + STEP)
    after = metered_wh(HOUSEHOLD, Supply([dark]), MIDNIGHT + 2 * STEP)
    assert piece.series.values[1] == after - before


async def test_a_wrong_password_is_refused_by_name():
    with pytest.raises(AuthenticationError):
        async with session(meter(), authenticate=WithPassword(Password(secret=b"wrong"))):
            pass


async def test_a_dark_meter_is_a_line_that_fails():
    with pytest.raises(TransportError):
        async with session(meter((NOW - STEP, NOW + STEP))):
            pass


class HourlyMeter(DlmsMeter):
    def get(self, ref, access):
        if ref == cosem.PROFILE_PERIOD:
            return Data(Tag.UINT32, 3600)
        return super().get(ref, access)


async def test_a_profile_of_another_period_is_not_taken_for_quarter_hours():
    async with session(meter(kind=HourlyMeter)) as reader:
        with pytest.raises(UnsupportedError):
            await reader.intervals(MIDNIGHT, MIDNIGHT + STEP)


class LeapingMeter(DlmsMeter):
    """Its profile tells one moment twice, and its register once goes backwards."""

    def get(self, ref, access):
        data: Any = super().get(ref, access)
        if ref != cosem.PROFILE_BUFFER:
            return data
        rows = list(data.as_items())
        clock, status, _ = rows[1].as_items()
        twice = Data(Tag.STRUCTURE, (clock, status, Data(Tag.UINT32, 5)))
        clock, status, _ = rows[4].as_items()
        backwards = Data(Tag.STRUCTURE, (clock, status, Data(Tag.UINT32, 5)))
        return Data(Tag.ARRAY, (*rows[:2], twice, *rows[2:4], backwards, *rows[5:]))


async def test_what_contradicts_itself_is_missing_not_guessed():
    async with session(meter(kind=LeapingMeter)) as reader:
        piece = await reader.intervals(MIDNIGHT, MIDNIGHT + 6 * STEP)
    missing = [value is None for value in piece.series.values]
    assert missing[:4] == [True, True, False, True]


async def ask_without_writing(link):
    async with session(meter(), link=link) as reader:
        reader._transport.write = _say_nothing
        await reader.clock()


async def test_a_silent_meter_costs_its_deadline_and_no_more(monkeypatch):
    monkeypatch.setattr(dlms, "ANSWER_S_MAX", 0.05)
    with pytest.raises(ReadTimeoutError):
        await ask_without_writing("wrapper")


async def test_an_hdlc_frame_that_gets_lost_is_repeated(monkeypatch):
    monkeypatch.setattr(dlms, "ANSWER_S_MAX", 0.05)
    async with session(meter(), link="hdlc") as reader:
        lossy = LossyOnce(reader._transport)
        reader._transport = lossy
        assert await reader.clock() == NOW
        assert lossy.lost == 1


async def test_a_dead_hdlc_line_is_given_up(monkeypatch):
    monkeypatch.setattr(dlms, "ANSWER_S_MAX", 0.02)
    with pytest.raises(RemoteProtocolError, match="repetitions"):
        await ask_without_writing("hdlc")


async def _say_nothing(_data):
    pass


class LossyOnce:
    def __init__(self, transport):
        self._transport = transport
        self.lost = 0

    async def write(self, data):
        if self.lost == 0:
            self.lost = 1
            return
        await self._transport.write(data)

    async def read(self, deadline_s):
        return await self._transport.read(deadline_s)


async def test_a_gateway_that_lost_its_counters_is_heard_again_at_the_next_visit(tmp_path):
    device = meter(accepts=gmac(b"QNM\0\0\0\0\1"))
    with CounterStore(tmp_path / "first.db") as counters:
        first = WithGmac(counters=counters, system_title=OUR_TITLE, keys=KEYS)
        for _ in range(3):
            await read_ciphered(device, "wrapper", first)
    with CounterStore(tmp_path / "replaced.db") as counters:
        replaced = WithGmac(counters=counters, system_title=OUR_TITLE, keys=KEYS)
        with pytest.raises(ServiceRefusedError):
            await read_ciphered(device, "wrapper", replaced)
        await read_ciphered(device, "wrapper", replaced)


class DisowningMeter(DlmsMeter):
    """The third row's status says that its data are not valid; the fifth is an empty register."""

    def get(self, ref, access):
        data: Any = super().get(ref, access)
        if ref != cosem.PROFILE_BUFFER:
            return data
        rows = list(data.as_items())
        clock, _, register = rows[2].as_items()
        rows[2] = Data(Tag.STRUCTURE, (clock, Data(Tag.UINT8, 0x04), register))
        clock, status, _ = rows[5].as_items()
        rows[5] = Data(Tag.STRUCTURE, (clock, status, Data(Tag.UINT32, 2**32 - 1)))
        return Data(Tag.ARRAY, tuple(rows))


async def test_what_the_meter_disowns_or_cannot_have_measured_is_missing():
    async with session(meter(kind=DisowningMeter)) as reader:
        piece = await reader.intervals(MIDNIGHT, MIDNIGHT + 8 * STEP)
    missing = [value is None for value in piece.series.values]
    assert missing == [False, True, True, False, True, True, False, False]


class DoubtfulMeter(DlmsMeter):
    """The clock was invalid when the second row was written."""

    def get(self, ref, access):
        data: Any = super().get(ref, access)
        if ref != cosem.PROFILE_BUFFER:
            return data
        rows = list(data.as_items())
        clock, _, register = rows[1].as_items()
        rows[1] = Data(Tag.STRUCTURE, (clock, Data(Tag.UINT8, 0x02), register))
        return Data(Tag.ARRAY, tuple(rows))


async def test_an_unsure_border_makes_both_its_intervals_unsure():
    async with session(meter(kind=DoubtfulMeter)) as reader:
        piece = await reader.intervals(MIDNIGHT, MIDNIGHT + 3 * STEP)
    unsure = Quality.CLOCK_INVALID
    assert piece.series.quality == (unsure, unsure, Quality.GOOD)


def test_an_hdlc_meter_behind_a_physical_address_is_addressed_so():
    line = DlmsLine(
        url="hdlc+tcp://x:1", client_sap=16, server_sap=1, physical_address=17, address_octets=4
    )
    assert bytes.fromhex("00020023") in line.link().connect()


async def test_an_address_that_cannot_be_is_refused_before_the_line_is_opened():
    line = DlmsLine(url="hdlc+tcp://127.0.0.1:1", client_sap=16, server_sap=200)
    with pytest.raises(InvalidValueError, match="hdlc"):
        line.link()
