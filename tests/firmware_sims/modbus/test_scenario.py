"""Simulated Modbus meters as a scenario file says them."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusSerialClient

from quince.firmware_sims.scenario import load_scenario, play
from quince.model.clock import SystemClock
from quince.model.errors import InvalidValueError

PROFILES = Path(__file__).parents[3] / "edge/src/quince/edge/profiles"
METER = """
[[meters]]
kind = "modbus"
id = "QN-1"
seed = 1
device_id = 7
profile = "{profile}"
link = {{ kind = "rtu", line = "{line}", baud = 19200 }}
faults = {{ noise = "00", noisy_answers = 1 }}
"""


@asynccontextmanager
async def playing(path):
    task = asyncio.create_task(play(load_scenario(path), SystemClock()))
    yield task
    task.cancel()
    await asyncio.wait([task])


async def appears(path):
    while not await asyncio.to_thread(path.exists):  # noqa: ASYNC110 - a file has no event
        await asyncio.sleep(0.01)


async def test_a_meter_on_a_bad_wire_stands_where_the_scenario_says(tmp_path):
    line, scenario = tmp_path / "line", tmp_path / "meters.toml"
    scenario.write_text(METER.format(profile=PROFILES / "eastron_sdm630.toml", line=line))
    client = AsyncModbusSerialClient(
        str(line), baudrate=19_200, timeout=0.2, retries=1, reconnect_delay=0
    )
    async with playing(scenario):
        async with asyncio.timeout(5):
            await appears(line)
        await client.connect()
        reply = await client.read_input_registers(72, count=8, device_id=7)
        client.close()
    assert len(reply.registers) == 8


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('kind = "rtu"', 'kind = "smoke"'),
        ('noise = "00"', 'noise = "0"'),
        ('noise = "00"', "loud = true"),
        ("baud = 19200", "speed = 19200"),
    ],
)
def test_a_mistake_is_refused(tmp_path, right, wrong):
    path = tmp_path / "meters.toml"
    path.write_text(METER.format(profile="p", line="l").replace(right, wrong))
    with pytest.raises(InvalidValueError, match="meters"):
        load_scenario(path)
