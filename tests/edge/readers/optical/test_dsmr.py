"""The P1 reader, on real pseudo-terminals, and fed recordings of real meters."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.clocks import StoppedClock

from quince.edge.errors import ReadTimeoutError, UnsupportedError
from quince.edge.readers.optical.dsmr import DsmrReader, open_dsmr
from quince.edge.readers.reader import Identity
from quince.firmware_sims.lines.faults import Faults
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.optical.memory import Memory
from quince.firmware_sims.optical.pushing import (
    PushingMeter,
    mode_d_meter,
    p1_meter,
    render_mode_d,
)
from quince.model.errors import CodecError
from quince.model.interval import STEP
from quince.protocols.optical.dsmr.encryption import TelegramKey

NOW = datetime(2026, 5, 2, 12, 0, tzinfo=UTC)
HOUSEHOLD = Household(seed=7, utc_offset_min=60)
MEMORY = Memory(household=HOUSEHOLD, supply=Supply(), serial="QN-1004", utc_offset_min=60)
KEY = TelegramKey(encryption=bytes(range(16)))


class Recording:
    """A line that gives what was recorded, in pieces of 50 characters, and then nothing."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets

    async def read(self, deadline_s: float) -> bytes:
        await asyncio.sleep(0)
        piece, self.octets = self.octets[:50], self.octets[50:]
        if not piece:
            raise ReadTimeoutError(f"nothing in {deadline_s} s")
        return piece

    async def write(self, data: bytes) -> None:
        raise AssertionError(f"a P1 meter was told {data!r}")

    async def set_line(
        self, baud: int, *, seven_bits: bool | None = None, echoes: bool | None = None
    ) -> None:
        """Have no baud."""

    async def aclose(self) -> None:
        self.octets = b""


def reader(octets: bytes, key: TelegramKey | None = None) -> DsmrReader:
    return DsmrReader(
        Recording(octets), meter_id="m-1", key=key, utc_offset_min=60, clock=StoppedClock(NOW)
    )


async def read_once(
    meter: PushingMeter,
    baud: int,
    key: TelegramKey | None = None,
    faults: Faults | None = None,
) -> dict[str, int]:
    async with (
        meter.serve(faults=faults) as path,
        open_dsmr(
            f"serial:{path}",
            meter_id="m-1",
            baud=baud,
            key=key,
            utc_offset_min=60,
            clock=StoppedClock(NOW),
        ) as opened,
    ):
        readings = await opened.registers()
    assert {reading.at_utc for reading in readings} == {NOW}
    return {str(reading.obis): reading.value for reading in readings}


@pytest.mark.parametrize(
    "faults",
    [
        Faults(),
        Faults(damaged=frozenset({0, 1}), damaged_at=40),
        Faults(truncated=frozenset({0}), noise=b"/\x00"),
    ],
    ids=["good", "damaged", "truncated"],
)
async def test_the_tariffs_and_their_sum_are_read_from_a_pseudo_terminal(faults: Faults) -> None:
    meter = p1_meter(MEMORY, StoppedClock(NOW), period_s=0.05)
    registers = await read_once(meter, 115_200, faults=faults)
    assert registers["1-0:1.8.0"] == HOUSEHOLD.register_wh(NOW)
    assert registers["1-0:1.8.1"] == HOUSEHOLD.peak_wh(NOW)


async def test_a_sealed_telegram_is_opened_with_its_key() -> None:
    meter = p1_meter(MEMORY, StoppedClock(NOW), key=KEY, period_s=0.05)
    registers = await read_once(meter, 115_200, key=KEY)
    assert registers["1-0:1.8.0"] == HOUSEHOLD.register_wh(NOW)


async def test_a_mode_d_meter_is_listened_to_at_2400_baud_in_seven_bits() -> None:
    meter = mode_d_meter(MEMORY, StoppedClock(NOW), period_s=0.05)
    assert await read_once(meter, 2400) == {"1-0:1.8.0": HOUSEHOLD.register_wh(NOW)}


async def test_another_key_opens_nothing() -> None:
    meter = p1_meter(MEMORY, StoppedClock(NOW), key=KEY)
    octets = meter.render(MEMORY, NOW)
    with pytest.raises(CodecError, match="tag"):
        await reader(octets, TelegramKey(encryption=bytes(16))).registers()


async def test_a_recorded_meter_tells_who_it_is_and_what_o_clock(public_data: Path) -> None:
    recorded = (public_data / "protocols" / "dsmr" / "telegram_fluvius_v171.txt").read_bytes()
    assert await reader(recorded).identify() == Identity(
        serial="1SAG3101021605", maker="FLU", model="5\\253769484_A"
    )
    assert await reader(recorded).clock() == datetime(2020, 5, 12, 11, 54, 9, tzinfo=UTC)


async def test_a_name_is_fit_for_a_terminal() -> None:
    telegram = b"/QNC5\x02S\x1bIM\r\n\r\n1.8.0(1.000*kWh)\r\n!\r\n"
    assert await reader(telegram).identify() == Identity(serial="", maker="QNC", model="5SIM")


async def test_a_meter_without_a_clock_has_its_registers_stamped_by_the_gateway(
    public_data: Path,
) -> None:
    recorded = (public_data / "protocols" / "dsmr" / "telegram_v3.txt").read_bytes()
    with pytest.raises(UnsupportedError, match="no clock"):
        await reader(recorded).clock()
    assert {one.at_utc for one in await reader(recorded).registers()} == {NOW}


async def test_a_mode_d_meter_shows_date_and_time_apart() -> None:
    shown_utc = NOW - timedelta(hours=1)
    assert await reader(render_mode_d(MEMORY, shown_utc)).clock() == shown_utc


async def test_a_silent_port_is_given_up() -> None:
    with pytest.raises(ReadTimeoutError, match="nothing whole"):
        await reader(b"").registers()


async def test_it_has_no_profile_and_takes_no_orders() -> None:
    with pytest.raises(UnsupportedError, match="no profile"):
        await reader(b"").intervals(NOW, NOW + STEP)
    with pytest.raises(UnsupportedError, match="switch"):
        await reader(b"").switch_supply(on=False)
