"""Optical, SML and P1 meters: a scenario serves them, a configuration reads them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.clocks import StoppedClock

from quince.edge.agent import MeterPlan
from quince.edge.config import OpticalMeterConfig, load_config
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.optical.connector import optical_line
from quince.edge.workshop import Workshop
from quince.firmware_sims.load import Household
from quince.firmware_sims.scenario import load_scenario, play
from quince.model.errors import InvalidValueError

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
HOUSEHOLD = Household(seed=7, utc_offset_min=60)
KEY = "000102030405060708090a0b0c0d0e0f"
ADDITIONAL = "3000112233445566778899aabbccddeeff"
GATEWAY = """
gateway = "gw-1"
cell = "sv-1"
outbox = "outbox.db"
broker = {{ host = "127.0.0.1", port = 1883 }}
[[meters]]
id = "QN-1"
utc_offset_min = 60
url = "{scheme}:{line}"
{meter}
"""
SCENARIO = """
[[meters]]
id = "QN-1"
seed = 7
utc_offset_min = 60
line = "{line}"
{meter}
"""
DLMS = """
kind = "dlms"
client_sap = 1
server_sap = 1
equipment_id = "QN-1"
security = { kind = "lls", password = "00000000" }
"""


def plan(folder: Path, scheme: str, meter: str) -> MeterPlan:
    config = folder / "gateway.toml"
    config.write_text(GATEWAY.format(scheme=scheme, line=folder / "line", meter=meter))
    with CounterStore(folder / "counters.db") as counters:
        return Workshop(StoppedClock(NOW), counters, random.Random(1), accept=print).plan(
            load_config(config).meters[0]
        )


@asynccontextmanager
async def playing(folder: Path, meter: str) -> AsyncIterator[None]:
    scenario, line = folder / "meters.toml", folder / "line"
    scenario.write_text(SCENARIO.format(line=line, meter=meter))
    task = asyncio.create_task(play(load_scenario(scenario), StoppedClock(NOW)))
    async with asyncio.timeout(5):
        while not await asyncio.to_thread(line.exists):  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)
    yield
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(
    ("simulated", "scheme", "configured"),
    [
        ('kind = "optical"\nmode = "b"', "optical", 'kind = "optical"\nmode = "b"'),
        ('kind = "optical"\nmode = "d"', "optical", 'kind = "optical"\nmode = "d"'),
        ('kind = "optical"\nmode = "e"\npassword = "00000000"', "optical", DLMS),
        ('kind = "sml"\nfaults = { damaged = [0] }', "serial", 'kind = "sml"'),
        ('kind = "dsmr"', "serial", 'kind = "dsmr"'),
        (f'kind = "dsmr"\nkey = "{KEY}"', "serial", f'kind = "dsmr"\nkey = "{KEY}"'),
        (
            f'kind = "dsmr"\nkey = "{KEY}"',
            "serial",
            f'kind = "dsmr"\nkey = "{KEY}"\nadditional = "{ADDITIONAL}"',
        ),
    ],
    ids=["mode b", "mode d", "mode e", "sml", "p1", "sealed p1", "sealed p1 by its own data"],
)
async def test_what_a_scenario_serves_a_configuration_reads(
    tmp_path: Path, simulated: str, scheme: str, configured: str
) -> None:
    connect = plan(tmp_path, scheme, configured).connect
    async with playing(tmp_path, simulated), connect() as reader:
        readings = await reader.registers()
    totals = [one.value for one in readings if str(one.obis) == "1-0:1.8.0"]
    assert totals == [HOUSEHOLD.register_wh(NOW)]


@pytest.mark.parametrize(
    ("meter", "keeps_profile"),
    [
        ('kind = "optical"', True),
        ('kind = "optical"\nload_profile = false', False),
        ('kind = "optical"\nmode = "a"', False),
        ('kind = "optical"\nmode = "d"', False),
        ('kind = "sml"', False),
        ('kind = "dsmr"', False),
    ],
)
def test_a_meter_without_a_profile_is_sampled(
    tmp_path: Path, meter: str, *, keeps_profile: bool
) -> None:
    assert plan(tmp_path, "serial", meter).keeps_profile is keeps_profile


def test_a_meters_dialect_is_configured() -> None:
    meter = OpticalMeterConfig.model_validate(
        {
            "kind": "optical",
            "id": "QN-1",
            "url": "optical:/dev/ttyUSB0",
            "utc_offset_min": 60,
            "device_address": "12345678",
            "password": "00000000",
            "unlock_command": "P2",
            "profile_command": "R6",
            "write_command": "W1",
        }
    )
    line = optical_line(meter)
    assert (line.device_address, line.password) == ("12345678", "00000000")
    assert (line.dialect.unlock, line.dialect.read) == ("P2", "R5")
    assert (line.dialect.profile, line.dialect.write) == ("R6", "W1")
    assert "00000000" not in repr(line)


@pytest.mark.parametrize(
    ("meter", "field"),
    [
        ('kind = "optical"\nmode = "f"', "meters.0.optical.mode"),
        ('kind = "dsmr"\nbaud = 1200', "meters.0.dsmr.baud"),
        ('kind = "dsmr"\nkey = "xyz"', "QN-1 key"),
        ('kind = "dsmr"\nkey = "0001"', "telegram_key"),
    ],
)
def test_a_mistake_stops_the_gateway_before_it_starts(
    tmp_path: Path, meter: str, field: str
) -> None:
    with pytest.raises(InvalidValueError) as refused:
        plan(tmp_path, "serial", meter)
    assert refused.value.field == field
