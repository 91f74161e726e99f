"""The SML reader, on a real pseudo-terminal, and fed recordings of real meters."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.clocks import StoppedClock

from quince.edge.errors import ReadTimeoutError, UnsupportedError
from quince.edge.readers.optical import sml
from quince.edge.readers.optical.sml import SmlReader, open_sml
from quince.edge.readers.reader import Identity
from quince.firmware_sims.lines.faults import Faults
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.optical.memory import Memory
from quince.firmware_sims.optical.pushing import PushingMeter, render_sml, sml_meter
from quince.model.errors import CodecError
from quince.model.interval import STEP, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER, Obis
from quince.protocols.optical.sml.messages import Entry, ValueList, render_content
from quince.protocols.optical.sml.transport import render_file

NOW = datetime(2026, 5, 2, 12, 0, tzinfo=UTC)
HOUSEHOLD = Household(seed=7)
EXPORT = Obis(1, 0, 2, 8, 0)
MEMORY = Memory(household=HOUSEHOLD, supply=Supply(), serial="QN-1004", utc_offset_min=60)


class Recording:
    """A line that gives what was recorded, in pieces of 50 octets, and then nothing."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets

    async def read(self, deadline_s: float) -> bytes:
        await asyncio.sleep(0)
        piece, self.octets = self.octets[:50], self.octets[50:]
        if not piece:
            raise ReadTimeoutError(f"nothing in {deadline_s} s")
        return piece

    async def write(self, data: bytes) -> None:
        raise AssertionError(f"an SML meter was told {data!r}")

    async def set_line(
        self, baud: int, *, seven_bits: bool | None = None, echoes: bool | None = None
    ) -> None:
        """Have no baud."""

    async def aclose(self) -> None:
        self.octets = b""


def heard(octets: bytes) -> SmlReader:
    return SmlReader(Recording(octets), meter_id="m-1", clock=StoppedClock(NOW))


def opened(path: Path) -> AbstractAsyncContextManager[SmlReader]:
    return open_sml(f"serial:{path}", meter_id="m-1", clock=StoppedClock(NOW))


def meter() -> PushingMeter:
    return sml_meter(MEMORY, StoppedClock(NOW), period_s=0.05)


@pytest.mark.parametrize(
    "faults",
    [Faults(), Faults(damaged=frozenset({0, 1})), Faults(truncated=frozenset({0}), noise=b"\x1b")],
    ids=["good", "damaged", "truncated"],
)
async def test_the_registers_are_read_from_a_pseudo_terminal(faults: Faults) -> None:
    async with meter().serve(faults=faults) as path, opened(path) as reader:
        readings = await reader.registers()
    assert readings == [
        RegisterReading(meter_id="m-1", obis=obis, at_utc=NOW, value=value)
        for obis, value in ((ACTIVE_IMPORT_REGISTER, HOUSEHOLD.register_wh(NOW)), (EXPORT, 0))
    ]


async def test_a_meter_that_is_listened_to_in_the_middle_is_read() -> None:
    octets = render_sml(MEMORY, NOW)
    (reading, _) = await heard(octets[100:] + octets).registers()
    assert reading.value == HOUSEHOLD.register_wh(NOW)


async def test_a_recorded_meter_tells_who_it_is(public_data: Path) -> None:
    recorded = public_data / "protocols" / "sml" / "HOLLEY_DTZ541-ZDBA.bin"
    assert await heard(recorded.read_bytes()).identify() == Identity(
        serial="1HLY0200239888", maker="HLY", firmware="1.02.007"
    )


async def test_a_name_is_fit_for_a_terminal() -> None:
    maker = Entry(obis=Obis.parse("1-0:96.50.1*1"), value=b"Q\x1b[2JN\x00C")
    values = ValueList(server_id=b"\x01", entries=(maker,))
    identity = await heard(render_file(render_content(values, 1))).identify()
    assert identity == Identity(serial="01", maker="Q[2JNC")


async def test_a_recorded_meter_with_two_tariffs_has_a_total(public_data: Path) -> None:
    recorded = public_data / "protocols" / "sml" / "HOLLEY_DTZ541-ZDBA.bin"
    readings = await heard(recorded.read_bytes()).registers()
    assert {str(one.obis): one.value for one in readings} == {
        "1-0:1.8.0": 177_360,
        "1-0:1.8.1": 0,
        "1-0:1.8.2": 177_360,
        "1-0:2.8.0": 314_926,
    }


async def test_a_silent_meter_is_given_up() -> None:
    with pytest.raises(ReadTimeoutError, match="nothing whole"):
        await heard(b"").registers()


async def test_a_meter_that_only_says_damaged_things_is_given_up_with_the_damage() -> None:
    octets = render_sml(MEMORY, NOW)
    with pytest.raises(CodecError, match="check"):
        await heard(octets[:-1] + b"\xff").registers()


async def test_a_meter_that_trickles_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sml, "LISTEN_S_MAX", 0.2)
    async with meter().serve(faults=Faults(pause_s=0.1)) as path, opened(path) as reader:
        with pytest.raises(ReadTimeoutError):
            await reader.registers()


async def test_a_file_without_a_list_is_passed_over() -> None:
    (reading, _) = await heard(render_file(b"") + render_sml(MEMORY, NOW)).registers()
    assert reading.obis == ACTIVE_IMPORT_REGISTER


async def test_it_has_no_clock_and_no_profile() -> None:
    with pytest.raises(UnsupportedError, match="no clock"):
        await heard(b"").clock()
    with pytest.raises(UnsupportedError, match="no profile"):
        await heard(b"").intervals(NOW, NOW + STEP)
    with pytest.raises(UnsupportedError, match="clock"):
        await heard(b"").set_clock(NOW)
