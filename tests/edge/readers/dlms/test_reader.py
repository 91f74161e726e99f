"""The DLMS reader against simulated meters on real sockets."""

import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs
from tests.clocks import StoppedClock

from quince.edge.errors import ReadTimeoutError, TransportError, UnsupportedError
from quince.edge.readers.dlms import dialogue as dlms_dialogue
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import InClear, login
from quince.edge.readers.dlms.reader import Quirk
from quince.edge.readers.reader import Identity
from quince.firmware_sims.dlms.load_profile import Captures
from quince.firmware_sims.dlms.meter import Build, DlmsMeter
from quince.firmware_sims.dlms.profile import Style
from quince.firmware_sims.dlms.server import serve_hdlc, serve_wrapper
from quince.firmware_sims.load import Household, Supply, metered_wh
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER, Obis
from quince.model.quality import Quality
from quince.protocols.dlms.apdu.reference import AccessResult
from quince.protocols.dlms.cosem.association import (
    OBJECT_LIST,
    ObjectDescription,
    encode_object_list,
)
from quince.protocols.dlms.cosem.names import LOGICAL_DEVICE_NAME
from quince.protocols.dlms.cosem.profile import PROFILE_BUFFER, PROFILE_PERIOD
from quince.protocols.dlms.cosem.register import Scale
from quince.protocols.dlms.encoding.axdr import Data, array, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.errors import AuthenticationError, ServiceRefusedError
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Gmac, Password
from quince.protocols.dlms.security.suite import Keys

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
MIDNIGHT = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
HOUSEHOLD = Household(seed=1)
LLS = Password(secret=b"12345678")
BY_PASSWORD = InClear(LLS)


KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(16, 32)))
OUR_TITLE = b"QNG\0\0\0\0\1"


def gmac(title):
    return Gmac(system_title=title, keys=KEYS, counters=MemoryCounters())


def meter(*outages, accepts=LLS, kind=DlmsMeter, **build):
    return kind(
        device_id="M1",
        household=HOUSEHOLD,
        supply=Supply(outages),
        clock=StoppedClock(NOW),
        accepts=(accepts,),
        build=Build(**build),
    )


@asynccontextmanager
async def session(device, *, link="wrapper", authenticate=BY_PASSWORD, **known):
    serve, scheme = {"wrapper": (serve_wrapper, "tcp"), "hdlc": (serve_hdlc, "hdlc+tcp")}[link]
    async with await serve(device, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        line = DlmsLine(url=f"{scheme}://127.0.0.1:{port}", client_sap=1, server_sap=1)
        async with open_dlms(
            line,
            meter_id="M1",
            login=authenticate,
            rng=random.SystemRandom(),
            **{"utc_offset_min": -360, **known},
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
            device,
            link,
            login(
                Gmac(system_title=OUR_TITLE, keys=KEYS, counters=MemoryCounters()),
                counters,
                meter_id="M1",
            ),
        )


async def read_ciphered(device, link, authenticate):
    async with session(device, link=link, authenticate=authenticate) as reader:
        assert await reader.clock() == NOW
        reading = (await reader.registers())[0]
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
        async with session(meter(), authenticate=InClear(Password(secret=b"wrong"))):
            pass


async def test_a_dark_meter_is_a_line_that_fails():
    with pytest.raises(TransportError):
        async with session(meter((NOW - STEP, NOW + STEP))):
            pass


class HourlyMeter(DlmsMeter):
    def get(self, ref, access):
        if ref == PROFILE_PERIOD:
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
        if ref != PROFILE_BUFFER:
            return data
        rows = list(data.decode().as_items())
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
        reader._dialogue._transport.write = _say_nothing
        await reader.clock()


async def test_a_silent_meter_costs_its_deadline_and_no_more(monkeypatch):
    monkeypatch.setattr(dlms_dialogue, "ANSWER_S_MAX", 0.05)
    monkeypatch.setattr(dlms_dialogue, "SILENCE_S_MAX", 0.05)
    with pytest.raises(ReadTimeoutError):
        await ask_without_writing("wrapper")


async def test_an_hdlc_frame_that_gets_lost_is_repeated(monkeypatch):
    monkeypatch.setattr(dlms_dialogue, "ANSWER_S_MAX", 0.05)
    monkeypatch.setattr(dlms_dialogue, "SILENCE_S_MAX", 0.05)
    async with session(meter(), link="hdlc") as reader:
        lossy = LossyOnce(reader._dialogue._transport)
        reader._dialogue._transport = lossy
        assert await reader.clock() == NOW
        assert lossy.lost == 1


async def test_a_dead_hdlc_line_is_given_up(monkeypatch):
    monkeypatch.setattr(dlms_dialogue, "ANSWER_S_MAX", 0.02)
    monkeypatch.setattr(dlms_dialogue, "SILENCE_S_MAX", 0.02)
    with pytest.raises(ReadTimeoutError, match="repetitions"):
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
        first = login(
            Gmac(system_title=OUR_TITLE, keys=KEYS, counters=MemoryCounters()),
            counters,
            meter_id="M1",
        )
        for _ in range(3):
            await read_ciphered(device, "wrapper", first)
    with CounterStore(tmp_path / "replaced.db") as counters:
        replaced = login(
            Gmac(system_title=OUR_TITLE, keys=KEYS, counters=MemoryCounters()),
            counters,
            meter_id="M1",
        )
        with pytest.raises(ServiceRefusedError):
            await read_ciphered(device, "wrapper", replaced)
        await read_ciphered(device, "wrapper", replaced)


class DisowningMeter(DlmsMeter):
    """The third row's status says that its data are not valid; the fifth is an empty register."""

    def get(self, ref, access):
        data: Any = super().get(ref, access)
        if ref != PROFILE_BUFFER:
            return data
        rows = list(data.decode().as_items())
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
        if ref != PROFILE_BUFFER:
            return data
        rows = list(data.decode().as_items())
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


# -- who it is, and all it counts --------------------------------------------------------------


async def test_a_meter_says_who_it_is():
    async with session(meter()) as reader:
        identity = await reader.identify()
    assert identity == Identity(serial="M1", maker="QNC", firmware="QNC-1.0.0")


class BareMeter(DlmsMeter):
    """Has a device name alone, in octets that spell nothing, and no list of its objects."""

    def get(self, ref, access):
        if (ref.class_id == 1 and ref != LOGICAL_DEVICE_NAME) or ref == OBJECT_LIST:
            return AccessResult.OBJECT_UNDEFINED
        if ref == LOGICAL_DEVICE_NAME:
            return octet_string(b"\x01\xff")
        return super().get(ref, access)


async def test_a_meter_with_a_device_name_alone_is_known_by_it():
    async with session(meter(kind=BareMeter)) as reader:
        assert await reader.identify() == Identity(serial="01ff", maker="01f")


async def test_a_meter_without_an_object_list_is_asked_for_active_import():
    async with session(meter(kind=BareMeter)) as reader:
        (reading,) = await reader.registers()
    assert (reading.obis, reading.value) == (ACTIVE_IMPORT_REGISTER, HOUSEHOLD.register_wh(NOW))


async def test_all_energy_registers_that_are_listed_are_read():
    async with session(meter()) as reader:
        readings = await reader.registers()
    names = ["1.8.0", "1.8.1", "1.8.2", "2.8.0", "3.8.0", "4.8.0"]
    assert [str(reading.obis) for reading in readings] == [f"1-0:{name}" for name in names]
    assert readings[0].value == readings[1].value + readings[2].value


class ExportOnlyMeter(DlmsMeter):
    def get(self, ref, access):
        if ref == OBJECT_LIST:
            return encode_object_list(
                [ObjectDescription(class_id=3, version=0, obis=Obis(1, 0, 2, 8, 0))]
            )
        return super().get(ref, access)


async def test_a_meter_that_lists_no_active_import_is_none_of_ours():
    async with session(meter(kind=ExportOnlyMeter)) as reader:
        with pytest.raises(UnsupportedError):
            await reader.registers()


# -- profiles of every make --------------------------------------------------------------------

IMPORT_AND_EXPORT = Captures(registers=(ACTIVE_IMPORT_REGISTER, Obis(1, 0, 2, 8, 0)))
TRUTH = [HOUSEHOLD.interval_wh(MIDNIGHT + i * STEP) for i in range(96)]


async def read_a_day(device, **known):
    async with session(device, **known) as reader:
        return await reader.intervals(MIDNIGHT, MIDNIGHT + timedelta(days=1))


@pytest.mark.parametrize(
    "style",
    [
        {"nulls": True},
        {"compact": True},
        {"newest_first": True},
        {"newest_first": True, "nulls": True},
    ],
)
async def test_however_a_profile_is_told_it_is_the_households_truth(style):
    piece = await read_a_day(meter(captures=Captures(style=Style(**style))))
    assert list(piece.series.values) == TRUTH


async def test_every_channel_of_a_profile_is_read():
    piece = await read_a_day(meter(captures=IMPORT_AND_EXPORT))
    (export,) = piece.others
    assert list(piece.series.values) == TRUTH
    assert (str(export.obis), export.start_utc, len(export.values)) == ("1-0:2.29.0", MIDNIGHT, 96)
    assert [str(reading.obis) for reading in piece.readings] == ["1-0:1.8.0"] * 2 + [
        "1-0:2.8.0"
    ] * 2
    assert piece.readings[3].value - piece.readings[2].value == sum(export.values)


async def test_a_profile_of_interval_energies_is_read_as_they_are():
    captures = Captures(registers=(), intervals=(ACTIVE_IMPORT_INTERVAL,))
    piece = await read_a_day(meter(captures=captures))
    assert list(piece.series.values) == TRUTH
    assert piece.readings == ()


async def test_a_profile_without_active_import_is_not_taken_for_one():
    captures = Captures(registers=(Obis(1, 0, 2, 8, 0),))
    with pytest.raises(UnsupportedError):
        await read_a_day(meter(captures=captures))


@pytest.mark.parametrize("wants", [True, False])
@pytest.mark.parametrize("quirks", [(), (Quirk.RANGE_WITHOUT_DEVIATION,)])
async def test_a_range_is_asked_for_in_the_manner_the_meter_takes(wants, quirks):
    captures = Captures(style=Style(wants_deviation=wants))
    piece = await read_a_day(meter(captures=captures), quirks=quirks)
    assert list(piece.series.values) == TRUTH


async def test_a_meter_that_keeps_days_alone_has_nothing_of_before():
    piece = await read_a_day(meter(captures=Captures(days=1)))
    assert [value is None for value in piece.series.values[:2]] == [True, False]


async def test_a_profile_that_changed_between_two_sessions_is_told_of():
    layouts: dict[str, str] = {}
    with capture_logs() as logs:
        await read_a_day(meter(), layouts=layouts)
        before = layouts["M1"]
        await read_a_day(meter(), layouts=layouts)
        await read_a_day(meter(captures=IMPORT_AND_EXPORT), layouts=layouts)
    (told,) = [line for line in logs if line["event"] == "profile_layout_changed"]
    assert (told["before"], told["after"]) == (before, layouts["M1"])
    assert before != layouts["M1"]


class FactoryMeter(DlmsMeter):
    """Counts in kvarh."""

    def get(self, ref, access):
        if ref.class_id == 3 and ref.index == 3:
            return Scale(scaler=3, unit=29).encode()
        return super().get(ref, access)


async def test_a_register_in_another_unit_is_not_taken_for_energy():
    async with session(meter(kind=FactoryMeter)) as reader:
        with pytest.raises(UnsupportedError, match="in var"):
            await reader.registers()


# -- local time --------------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")


class ClockBehind:
    """Stands a minute behind `at_utc`."""

    def __init__(self, at_utc):
        self.at_utc = at_utc

    def now_utc(self):
        return self.at_utc + timedelta(minutes=1)

    def seconds_until(self, moment_utc):
        return max(0.0, (moment_utc - self.now_utc()).total_seconds())


@pytest.mark.parametrize(
    ("day", "slots"), [((2025, 10, 26), 100), ((2025, 3, 30), 92), ((2025, 6, 1), 96)]
)
@pytest.mark.parametrize("kind", [DlmsMeter, "no deviation"])
async def test_a_day_of_summer_or_winter_time_is_whole(day, slots, kind):
    year, month, date = day
    midnight = datetime(year, month, date, tzinfo=BERLIN)
    start, end = (at.astimezone(UTC) for at in (midnight, midnight + timedelta(days=1)))
    home = Household(seed=1, utc_offset_min=60)
    device = (NoDeviationMeter if kind == "no deviation" else kind)(
        device_id="M1",
        household=home,
        supply=Supply(),
        clock=ClockBehind(end),
        accepts=(LLS,),
        build=Build(zone=BERLIN),
    )
    async with session(device, utc_offset_min=60) as reader:
        piece = await reader.intervals(start, end)
    assert len(piece.series.values) == slots
    assert list(piece.series.values) == [home.interval_wh(start + i * STEP) for i in range(slots)]


class NoDeviationMeter(DlmsMeter):
    """Leaves the deviation out of its profile; the daylight-saving bit has to do."""

    def get(self, ref, access):
        data: Any = super().get(ref, access)
        if ref != PROFILE_BUFFER:
            return data
        rows = (row.as_items() for row in data.decode().as_items())
        return array(structure(_bare(row[0]), *row[1:]) for row in rows)


def _bare(stamp):
    octets = stamp.as_octets()
    return octet_string(octets[:9] + b"\x80\x00" + octets[11:])


class KamstrupMeter(NoDeviationMeter):
    """Stays on standard time, and sets the daylight-saving bit all the same."""

    def get(self, ref, access):
        data = super().get(ref, access)
        if ref != PROFILE_BUFFER:
            return data
        rows = (row.as_items() for row in data.as_items())
        return array(structure(_summer(row[0]), *row[1:]) for row in rows)


def _summer(stamp):
    return octet_string(stamp.as_octets()[:11] + b"\x80")


async def test_a_meter_that_stays_on_standard_time_is_read_with_its_quirk():
    piece = await read_a_day(meter(kind=KamstrupMeter), quirks=(Quirk.NO_DEVIATION_STANDARD_TIME,))
    assert list(piece.series.values) == TRUTH
