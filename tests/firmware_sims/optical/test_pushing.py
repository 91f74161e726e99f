"""Meters that push: what they say, when, and that nobody has to listen."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.clocks import StoppedClock

from quince.edge.errors import ReadTimeoutError
from quince.edge.transports import open_transport
from quince.firmware_sims.lines.faults import Faults
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.optical.memory import Memory
from quince.firmware_sims.optical.pushing import (
    PushingMeter,
    p1_meter,
    render_mode_d,
    render_p1,
    render_sml,
    sml_meter,
)
from quince.model.errors import InvalidValueError
from quince.protocols.optical.dsmr import objects
from quince.protocols.optical.dsmr.encryption import TelegramKey
from quince.protocols.optical.sml.messages import parse_lists, serial_number
from quince.protocols.optical.sml.transport import FileReader
from quince.protocols.optical.telegram import Telegram

NOW = datetime(2026, 5, 2, 12, 0, tzinfo=UTC)
HOUSEHOLD = Household(seed=7)


def memory(*outages: tuple[datetime, datetime], serial: str = "QN-1004") -> Memory:
    return Memory(household=HOUSEHOLD, supply=Supply(outages), serial=serial, utc_offset_min=60)


def test_a_p1_telegram_tells_time_name_and_both_tariffs() -> None:
    telegram = Telegram.parse(render_p1(memory(), NOW))
    registers = {str(obis): value for obis, value in objects.registers(telegram).items()}
    assert telegram.is_checked
    assert objects.clock(telegram, 60) == NOW
    assert objects.equipment_id(telegram) == "QN-1004"
    assert registers["1-0:1.8.1"] + registers["1-0:1.8.2"] == HOUSEHOLD.register_wh(NOW)


def test_a_mode_d_telegram_shows_what_a_read_out_shows() -> None:
    telegram = Telegram.parse(render_mode_d(memory(), NOW))
    assert telegram.data_sets == tuple(memory().data_image(NOW, NOW))


@pytest.mark.parametrize(
    ("serial", "name"), [("QN-1004", "1QNC0000001004"), ("none", "1QNC0000000000")]
)
def test_an_sml_file_names_its_meter(serial: str, name: str) -> None:
    reader = FileReader()
    reader.receive_data(render_sml(memory(serial=serial), NOW))
    (values,) = parse_lists(reader.next_file() or b"")
    assert serial_number(values.server_id) == name


def test_a_sealed_telegram_has_a_counter_of_its_own_each_time() -> None:
    meter = p1_meter(memory(), StoppedClock(NOW), key=TelegramKey(encryption=bytes(16)))
    counters = [meter.render(memory(), NOW)[14:18] for _ in range(3)]
    assert len(set(counters)) == 3


async def test_without_mains_the_meter_pushes_nothing() -> None:
    dark = memory((NOW - timedelta(minutes=1), NOW + timedelta(minutes=1)))
    async with sml_meter(dark, StoppedClock(NOW), period_s=0.01).serve() as path:
        line = await open_transport(f"serial:{path}")
        with pytest.raises(ReadTimeoutError):
            await line.read(0.2)
        await line.aclose()


async def test_a_meter_that_nobody_listens_to_pushes_on() -> None:
    def much(_memory: Memory, _now_utc: datetime) -> bytes:
        return b"x" * 50_000

    loud = PushingMeter(
        memory=memory(),
        clock=StoppedClock(NOW),
        render=much,
        baud=4_000_000,
        seven_bits=False,
        period_s=0.001,
    )
    async with loud.serve() as path:
        line = await open_transport(f"serial:{path}")
        await line.set_line(4_000_000)
        await asyncio.sleep(0.3)
        assert set(await line.read(1)) == {ord("x")}
        await line.aclose()


def test_a_fault_is_of_its_message_alone() -> None:
    faults = Faults(noise=b"\xff", damaged=frozenset({1}), truncated=frozenset({2}))
    spoilt = [faults.spoil(number, b"\x01\x02\x03\x04") for number in range(3)]
    assert spoilt == [b"\xff\x01\x02\x03\x04", b"\xff\x01\x02\x03\x00", b"\xff\x01\x02"]


def test_a_pause_is_not_below_zero() -> None:
    with pytest.raises(InvalidValueError, match="pause_s"):
        Faults(pause_s=-1.0)
