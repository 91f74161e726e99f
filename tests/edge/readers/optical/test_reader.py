"""The optical reader against the simulated meter on a real pseudo-terminal, and against scripts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from tests.clocks import StoppedClock

from quince.edge.errors import ReadTimeoutError, UnsupportedError
from quince.edge.readers.optical import session as optical_session
from quince.edge.readers.optical.reader import OpticalReader, open_optical
from quince.edge.readers.optical.session import Dialect, OpticalLine, Session
from quince.edge.readers.reader import Identity
from quince.edge.transports import open_transport
from quince.firmware_sims.lines.faults import Faults
from quince.firmware_sims.load import Household, Supply, metered_wh
from quince.firmware_sims.optical.memory import Memory
from quince.firmware_sims.optical.meter import OpticalMeter
from quince.model.errors import InvalidValueError, RemoteProtocolError
from quince.model.interval import STEP, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER, Obis
from quince.model.quality import Quality
from quince.protocols.optical.iec62056_21.messages import (
    Acknowledge,
    Command,
    DataBlock,
    Identification,
    Message,
    Protocol,
)

NOW = datetime(2026, 5, 2, 12, 7, 3, tzinfo=UTC)
MIDNIGHT = datetime(2026, 4, 30, 6, tzinfo=UTC)  # in El Salvador
HOUSEHOLD = Household(seed=7)
EL_SALVADOR_MIN = -360


class Script:
    """A meter that gives its answers in turn, one after each thing said to it, then is silent."""

    def __init__(self, *answers: Message | bytes) -> None:
        self.answers = [bytes(answer) for answer in answers]
        self.heard: list[bytes] = []
        self.pending = b""
        self.bauds: list[int] = []

    async def read(self, deadline_s: float) -> bytes:
        if not self.pending:
            raise ReadTimeoutError(f"nothing in {deadline_s} s")
        pending, self.pending = self.pending, b""
        return pending

    async def write(self, data: bytes) -> None:
        self.heard.append(data)
        self.pending += self.answers.pop(0) if self.answers else b""

    async def set_line(self, baud: int, **_bits_and_echo: bool | None) -> None:
        self.bauds.append(baud)

    async def aclose(self) -> None:
        self.pending = b""


def memory(supply: Supply | None = None) -> Memory:
    return Memory(
        household=HOUSEHOLD,
        supply=supply or Supply(),
        serial="12345678",
        utc_offset_min=EL_SALVADOR_MIN,
    )


def meter(supply: Supply | None = None, protocol: Protocol = Protocol.C) -> OpticalMeter:
    return OpticalMeter(memory(supply), StoppedClock(NOW), password="secret", protocol=protocol)


QUICK = Identification(maker="QUi", baud_character="5", name="")
CHALLENGE = Command(name="P0", data="(1)")
OPENING = (QUICK, CHALLENGE, Acknowledge())


def block(text: str) -> DataBlock:
    return DataBlock(text=text)


def scripted(script: Script) -> OpticalReader:
    session = Session(script, "", "secret")
    return OpticalReader(session, meter_id="m-1", utc_offset_min=0, clock=StoppedClock(NOW))


@asynccontextmanager
async def opened(
    path: Path,
    password: str | None = "secret",  # noqa: S107 - a simulated meter's
    dialect: Dialect | None = None,
) -> AsyncIterator[OpticalReader]:
    line = OpticalLine(
        url=f"optical:{path}",
        device_address="12345678",
        password=password,
        dialect=dialect or Dialect(),
    )
    async with open_optical(
        line, meter_id="m-1", utc_offset_min=EL_SALVADOR_MIN, clock=StoppedClock(NOW)
    ) as reader:
        yield reader


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again after less than a second, which is enough for a meter that answers in 0.1 s."""
    monkeypatch.setattr(optical_session, "_PAUSE_S_MAX", 0.6)


@pytest.mark.usefixtures("impatience")
async def test_a_session_that_a_dead_gateway_left_open_is_broken_off() -> None:
    async with meter().serve() as path:
        transport = await open_transport(f"optical:{path}")
        await Session(transport, "", "secret").read("0.9.1")
        await transport.aclose()  # without a word of good-bye
        async with opened(path) as reader:
            assert await reader.clock() == NOW


async def test_two_days_of_profile_are_the_households_truth() -> None:
    outage = (MIDNIGHT + timedelta(hours=20, minutes=5), MIDNIGHT + timedelta(hours=21))
    supply = Supply([outage])
    starts = [MIDNIGHT + i * STEP for i in range(192)]
    async with meter(supply).serve() as path, opened(path) as reader:
        piece = await reader.intervals(MIDNIGHT, MIDNIGHT + timedelta(days=2))
    borders = [metered_wh(HOUSEHOLD, supply, start) for start in (*starts, starts[-1] + STEP)]
    truth = [after - before for before, after in pairwise(borders)]
    assert [value or 0 for value in piece.series.values] == truth
    assert [i for i, value in enumerate(piece.series.values) if value is None] == [81, 82, 83]
    assert piece.series.quality[80] == Quality.POWER_FAIL
    assert (piece.series.obis, piece.series.start_utc) == (ACTIVE_IMPORT_INTERVAL, MIDNIGHT)
    assert [(reading.at_utc, reading.value) for reading in piece.readings] == [
        (MIDNIGHT, borders[0]),
        (MIDNIGHT + timedelta(days=2), borders[-1]),
    ]


async def test_registers_and_clock_are_the_meters_own() -> None:
    async with meter().serve() as path, opened(path) as reader:
        assert await reader.clock() == NOW
        assert await reader.registers() == [
            RegisterReading(
                meter_id="m-1",
                obis=ACTIVE_IMPORT_REGISTER,
                at_utc=NOW,
                value=HOUSEHOLD.register_wh(NOW),
            )
        ]


async def test_a_wrong_password_is_refused() -> None:
    async with meter().serve() as path, opened(path, "guess") as reader:
        with pytest.raises(RemoteProtocolError, match="does not take the password"):
            await reader.clock()


async def test_a_day_the_meter_does_not_have_is_missing() -> None:
    script = Script(*OPENING, block("P.01(ERROR)"))
    piece = await scripted(script).intervals(MIDNIGHT, MIDNIGHT + 2 * STEP)
    assert piece.series.values == (None, None)
    assert piece.series.quality == (Quality.MISSING, Quality.MISSING)
    assert piece.readings == ()


async def test_rows_beyond_the_range_are_left_out() -> None:
    rows = "P.01(0260430060000)(00)(15)(1)(1.29)(kWh)(0.001)(0.002)(0.003)"
    piece = await scripted(Script(*OPENING, block(rows))).intervals(MIDNIGHT, MIDNIGHT + STEP)
    assert piece.series.values == (2,)


async def test_the_answer_to_another_range_is_refused() -> None:
    rows = "P.01(0260429060000)(00)(15)(1)(1.29)(kWh)(0.001)"
    with pytest.raises(RemoteProtocolError, match="another range"):
        await scripted(Script(*OPENING, block(rows))).intervals(MIDNIGHT, MIDNIGHT + STEP)


async def test_more_than_a_day_is_asked_day_by_day() -> None:
    script = Script(*OPENING, block("P.01(ERROR)"), block("P.01(ERROR)"))
    await scripted(script).intervals(MIDNIGHT, MIDNIGHT + 97 * STEP)
    asked = [Command.parse(said).data for said in script.heard if said.startswith(b"\x01R5")]
    assert asked == ["P.01(02604300600;02605010600)", "P.01(02605010601;02605010615)"]
    assert script.bauds == [300, 9600]


class SlowScript(Script):
    """A meter that is silent when first asked for a range, and then answers both times."""

    def __init__(self, *answers: Message | bytes) -> None:
        super().__init__(*answers)
        self.late: list[bytes] = []

    async def read(self, deadline_s: float) -> bytes:
        if not self.pending and self.late:
            return self.late.pop(0)
        return await super().read(deadline_s)

    async def write(self, data: bytes) -> None:
        again = data in self.heard and data.startswith(b"\x01R5")
        await super().write(data)
        if again:
            self.late.append(self.pending)


async def test_the_second_answer_to_a_question_asked_twice_is_not_the_next_ones() -> None:
    rows = "P.01(0260501060100)(80)(15)(1)(1.29)(kWh)(0.001)"
    script = SlowScript(*OPENING, b"", block("P.01(ERROR)"), block(rows))
    piece = await scripted(script).intervals(MIDNIGHT, MIDNIGHT + 97 * STEP)
    assert piece.series.values[95:] == (None, 1)


async def test_a_meter_that_never_falls_silent_again_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optical_session, "EXCHANGE_S_MAX", 0.05)

    class Chatter(SlowScript):
        async def read(self, deadline_s: float) -> bytes:
            if not self.late:
                return await super().read(deadline_s)
            await asyncio.sleep(0.01)
            return self.late[0]

    script = Chatter(*OPENING, b"", block("P.01(ERROR)"))
    with pytest.raises(ReadTimeoutError, match="no silence"):
        await scripted(script).intervals(MIDNIGHT, MIDNIGHT + 97 * STEP)


async def test_a_quarter_hour_that_is_still_being_written_is_missing() -> None:
    # It is 12:07:03; the supply failed at 12:03, and the meter writes the rest at 12:15.
    start_utc = datetime(2026, 5, 2, 11, 45, tzinfo=UTC)
    rows = "P.01(0260502120000)(00)(15)(1)(1.29)(kWh)(0.005)\r\n"
    part = "P.01(0260502120300)(80)(15)(1)(1.29)(kWh)(0.001)"
    script = Script(*OPENING, block(rows + part))
    piece = await scripted(script).intervals(start_utc, start_utc + 2 * STEP)
    assert piece.series.values == (5, None)


async def test_a_supply_that_failed_long_ago_ended_its_quarter_hour() -> None:
    part = "P.01(0260430060300)(80)(15)(1)(1.29)(kWh)(0.001)"
    piece = await scripted(Script(*OPENING, block(part))).intervals(MIDNIGHT, MIDNIGHT + STEP)
    assert piece.series.values == (1,)


async def test_a_row_that_ends_seconds_behind_the_border_is_of_the_range() -> None:
    rows = "P.01(0260430060000)(00)(15)(1)(1.29)(kWh)(0.001)(0.002)\r\n"
    part = "P.01(0260430061530)(80)(15)(1)(1.29)(kWh)(0.003)"
    piece = await scripted(Script(*OPENING, block(rows + part))).intervals(
        MIDNIGHT, MIDNIGHT + STEP
    )
    assert piece.series.values == (2,)


async def test_one_value_is_not_taken_for_another() -> None:
    script = Script(*OPENING, block("1-0:0.9.2*255(260430)"), block("0.9.2(230615)"))
    with pytest.raises(RemoteProtocolError, match=r"0\.9\.1 is answered by"):
        await scripted(script).clock()


async def test_a_reader_cancelled_while_it_takes_leave_gives_the_line_back() -> None:
    async with meter().serve() as path:

        async def read() -> None:
            async with opened(path) as reader:
                await reader.clock()

        reading = asyncio.create_task(read())
        for _ in range(2):  # the second time while it is leaving
            await asyncio.sleep(0.3)
            reading.cancel()
        await asyncio.wait([reading])
        again = await open_transport(f"optical:{path}")  # which is refused while somebody holds it
        await again.aclose()
    assert reading.cancelled()


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(minutes=1)])
async def test_a_range_off_the_boundary_is_refused(offset: timedelta) -> None:
    end_utc = MIDNIGHT + timedelta(minutes=1)
    with pytest.raises(InvalidValueError, match="quarter-hour"):
        await scripted(Script()).intervals(MIDNIGHT + offset, end_utc - offset)


async def test_a_clock_read_over_midnight_is_read_again() -> None:
    values = ("(260430)", "(235959)", "(260501)", "(000000)", "(260501)")
    script = Script(*OPENING, *map(block, values))
    assert await scripted(script).clock() == datetime(2026, 5, 1, tzinfo=UTC)


async def test_a_date_that_never_holds_still_is_refused() -> None:
    dates = (block(f"(26050{day})") for day in range(1, 5))
    answers = [answer for date in dates for answer in (date, block("(120000)"))]
    with pytest.raises(RemoteProtocolError, match="hold still"):
        await scripted(Script(*OPENING, *answers)).clock()


async def test_a_meter_without_a_clock_register_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match=r"0\.9\.2"):
        await scripted(Script(*OPENING, block("(ERROR)"))).clock()


async def test_a_read_out_without_a_time_gets_the_gateways() -> None:
    text = "F.F(00)\r\n2.8.0(1.234*kWh)\r\n!\r\n"
    (reading,) = await scripted(Script(QUICK, block(text))).registers()
    assert (reading.obis, reading.at_utc, reading.value) == (Obis(1, 0, 2, 8, 0), NOW, 1234)


async def test_from_programming_mode_to_a_read_out_the_session_is_left_first() -> None:
    read_out = block("!\r\n")
    script = Script(*OPENING, block("P.01(ERROR)"), b"", QUICK, read_out)
    reader = scripted(script)
    await reader.intervals(MIDNIGHT, MIDNIGHT)
    assert await reader.registers() == []
    assert script.heard[4] == script.heard[-1] == bytes(Command(name="B0"))
    assert script.bauds == [300, 9600, 300, 9600]


async def test_a_dark_meter_is_asked_interrupted_and_asked_again_then_given_up() -> None:
    script = Script()
    with pytest.raises(RemoteProtocolError, match="SIGNING_ON"):
        await scripted(script).clock()
    sign_ons = [b"/?!\r\n"] * 4
    assert script.heard == [*sign_ons, *[b"\x01B0\x03q"] * 4, *sign_ons]
    assert script.bauds == [300, 9600, 19200, 4800, 2400, 300]


async def test_an_answer_that_never_ends_ends_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optical_session, "EXCHANGE_S_MAX", 0.05)

    class Trickle(Script):
        async def read(self, deadline_s: float) -> bytes:
            await asyncio.sleep(min(0.01, deadline_s))
            return b"/"

    with pytest.raises(ReadTimeoutError, match="no end"):
        await scripted(Trickle()).clock()


async def test_a_damaged_identification_is_asked_for_again() -> None:
    script = Script(b"/\x1a\r\n", *OPENING, block("P.01(ERROR)"))
    piece = await scripted(script).intervals(MIDNIGHT, MIDNIGHT + STEP)
    assert piece.series.values == (None,)


# --- bad lines, on a real pseudo-terminal ---------------------------------------------------

# The meter's messages are 0 the identification, 1 the challenge or the read-out, 2 the password's
# acknowledgement, 3 and on the answers.
BAD_LINES = {
    "an echoing head": Faults(echoes=True),
    "noise before each message": Faults(noise=b"\xff\x00\x41"),
    "a wrong check character": Faults(damaged=frozenset({1, 3})),
    "a flipped bit inside": Faults(damaged=frozenset({3}), damaged_at=5),
    "a message cut short": Faults(truncated=frozenset({3})),
    "a pause between characters": Faults(pause_s=0.005),
}


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize("faults", BAD_LINES.values(), ids=BAD_LINES.keys())
async def test_over_a_bad_line_the_profile_is_still_the_truth(faults: Faults) -> None:
    async with meter().serve(faults=faults) as path, opened(path) as reader:
        piece = await reader.intervals(MIDNIGHT, MIDNIGHT + 4 * STEP)
    truth = tuple(HOUSEHOLD.interval_wh(MIDNIGHT + i * STEP) for i in range(4))
    assert piece.series.values == truth


@pytest.mark.usefixtures("impatience")
async def test_a_profile_in_parts_is_put_together_over_a_bad_line() -> None:
    faults = Faults(damaged=frozenset({4}), damaged_at=4, truncated=frozenset({7}))
    in_parts = Dialect(profile="R6")
    async with meter().serve(faults=faults) as path, opened(path, dialect=in_parts) as reader:
        piece = await reader.intervals(MIDNIGHT, MIDNIGHT + 24 * STEP)
    truth = tuple(HOUSEHOLD.interval_wh(MIDNIGHT + i * STEP) for i in range(24))
    assert piece.series.values == truth


@pytest.mark.usefixtures("impatience")
async def test_a_meter_that_promises_another_baud_and_stays_is_given_up() -> None:
    async with meter().serve(faults=Faults(stuck=True)) as path, opened(path) as reader:
        with pytest.raises(RemoteProtocolError, match="READING_OUT"):
            await reader.registers()


# --- the other modes, commands and the clock ------------------------------------------------


@pytest.mark.parametrize("protocol", [Protocol.A, Protocol.B])
async def test_a_meter_of_mode_a_or_b_is_read_out(protocol: Protocol) -> None:
    async with meter(protocol=protocol).serve() as path, opened(path) as reader:
        (reading,) = await reader.registers()
        assert reading.value == HOUSEHOLD.register_wh(NOW)


async def test_a_mode_b_meter_has_no_programming_mode() -> None:
    offer = Identification(maker="QUi", baud_character="E", name="")
    script = Script(bytes(offer) + bytes(block("!\r\n")))
    with pytest.raises(UnsupportedError, match="mode B"):
        await scripted(script).intervals(MIDNIGHT, MIDNIGHT + STEP)


async def test_a_mode_a_meter_shows_its_time_in_the_read_out() -> None:
    offer = Identification(maker="QUi", baud_character="X", name="")
    text = block("0.9.1(120000)\r\n0.9.2(260430)\r\n!\r\n")
    said = bytes(offer) + bytes(text)
    script = Script(said, b"", said)
    assert await scripted(script).clock() == datetime(2026, 4, 30, 12, tzinfo=UTC)


async def test_the_meter_tells_who_it_is() -> None:
    async with meter().serve() as path, opened(path) as reader:
        assert await reader.identify() == Identity(
            serial="12345678", maker="QUI", model="SIM-OPTICAL"
        )


async def test_a_meter_that_tells_nothing_of_itself_has_empty_names() -> None:
    script = Script(QUICK, block("1-0:0.2.0*255(V1)\r\n!\r\n"))
    assert await scripted(script).identify() == Identity(serial="", maker="QUI", firmware="V1")


async def test_without_a_password_none_is_given() -> None:
    script = Script(QUICK, CHALLENGE, block("P.01(ERROR)"))
    line = Session(script, "", None)
    reader = OpticalReader(line, meter_id="m-1", utc_offset_min=0, clock=StoppedClock(NOW))
    await reader.intervals(MIDNIGHT, MIDNIGHT + STEP)
    assert [said[1:3] for said in script.heard if said[0] == 1] == [b"R5"]


async def test_a_meter_is_spoken_to_in_its_dialect() -> None:
    script = Script(*OPENING, block("(1)"))
    dialect = Dialect(unlock="P2", read="R1")
    await Session(script, "", "secret", dialect).read("1.8.0")
    assert [said[1:3] for said in script.heard if said[0] == 1] == [b"P2", b"R1"]


async def test_a_clock_that_went_wrong_is_set() -> None:
    slow = OpticalMeter(
        memory(), StoppedClock(NOW), password="secret", drift=timedelta(days=-1, seconds=7)
    )
    async with slow.serve() as path, opened(path) as reader:
        await reader.set_clock(NOW)
        assert await reader.clock() == NOW


async def test_a_clock_is_set_in_the_form_the_meter_shows() -> None:
    shown = (block("(06:30:00)"), block("(1260430)"))
    told = (Acknowledge(), Acknowledge())
    after = (block("(1260502)"), block("(13:07:03)"), block("(1260502)"))
    script = Script(*OPENING, *shown, *told, *after)
    await scripted(script).set_clock(NOW)
    assert [Command.parse(said).data for said in script.heard if said.startswith(b"\x01W5")] == [
        "0.9.2(1260502)",
        "0.9.1(13:07:03)",
    ]


async def test_a_clock_that_does_not_stay_set_is_told() -> None:
    shown = (block("(063000)"), block("(260430)"))
    after = (block("(260430)"), block("(063002)"), block("(260430)"))
    script = Script(*OPENING, *shown, Acknowledge(), Acknowledge(), *after)
    with pytest.raises(RemoteProtocolError, match="the meter shows"):
        await scripted(script).set_clock(NOW)


async def test_a_meter_that_refuses_a_value_is_told() -> None:
    script = Script(*OPENING, block("(063000)"), block("(260430)"), block("(ERROR)"))
    with pytest.raises(RemoteProtocolError, match="expected Written"):
        await scripted(script).set_clock(NOW)


async def test_an_optical_meter_has_no_switch() -> None:
    with pytest.raises(UnsupportedError, match="switch"):
        await scripted(Script()).switch_supply(on=True)
