"""A Modbus meter of the configuration file, for the agent and for the technician's command."""

import asyncio
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.clocks import StoppedClock

from quince.edge.agent import MeterPlan
from quince.edge.cli.main import main
from quince.edge.config import load_config
from quince.edge.profiles.catalogue import load_profile
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.workshop import Workshop
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.firmware_sims.modbus.serving import serve_tcp
from quince.model.errors import InvalidValueError

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
CONFIG = """
gateway = "gw-1"
cell = "sv-1"
outbox = "outbox.db"
broker = {{ host = "127.0.0.1", port = 1883 }}
[[meters]]
kind = "modbus"
id = "M1"
url = "modbus+tcp://127.0.0.1:{port}"
utc_offset_min = -360
device_id = 1
profile = "carlo_gavazzi_em24_e1"
"""


@pytest.fixture
def meter_port() -> Iterator[int]:
    """A meter that answers from a thread of its own, as the command has the main one."""
    meter = ModbusMeter(
        Household(seed=7),
        Supply(),
        StoppedClock(NOW),
        profile=load_profile("carlo_gavazzi_em24_e1"),
        device_id=1,
    )
    loop = asyncio.new_event_loop()
    line = serve_tcp([meter], "127.0.0.1", 0)
    port = loop.run_until_complete(line.__aenter__())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield port
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(line.__aexit__(None, None, None))
    loop.close()


def test_a_modbus_meters_registers_and_what_flows_now_are_printed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    meter_port: int,
    tmp_path: Path,
) -> None:
    (tmp_path / "gateway.toml").write_text(CONFIG.format(port=meter_port))
    monkeypatch.setattr(
        "sys.argv", ["quince-edge", "read", "M1", "--config", str(tmp_path / "gateway.toml")]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    said = [line.split() for line in lines]
    assert ["1-0:32.7.0", "Voltage", "L1", "120.000", "V"] in said
    assert "1-0:1.8.0" in [words[0] for words in said if words]


@pytest.mark.parametrize(
    ("right", "wrong", "field"),
    [
        ("carlo_gavazzi_em24_e1", "acme", "profile"),
        ("modbus+tcp", "modbus+udp", "url"),
        ("modbus+tcp", "modbus+tls", "tls"),
        ("device_id = 1", "device_id = 1\ntransformer_ratio = 20", "transformer_ratio"),
        ("device_id = 1", "device_id = 256", "meters.0.modbus.device_id"),
    ],
)
def test_a_mistake_stops_the_gateway_before_it_starts(
    tmp_path: Path, right: str, wrong: str, field: str
) -> None:
    (tmp_path / "gateway.toml").write_text(CONFIG.format(port=502).replace(right, wrong))
    with pytest.raises(InvalidValueError) as refused:
        plan(tmp_path)
    assert refused.value.field == field


def plan(folder: Path) -> MeterPlan:
    (meter,) = load_config(folder / "gateway.toml").meters
    with CounterStore(folder / "counters.db") as counters:
        return Workshop(StoppedClock(NOW), counters, random.Random(1), accept=print).plan(meter)


def test_a_meter_behind_transformers_is_sampled(tmp_path: Path) -> None:
    said = CONFIG.format(port=502).replace("carlo_gavazzi_em24_e1", "chint_dtsu666")
    (tmp_path / "gateway.toml").write_text(said + "transformer_ratio = 20\n")
    planned = plan(tmp_path)
    assert (planned.keeps_profile, planned.rolls_over_at) == (False, {})
