"""The technician's command, against a simulated meter on a real socket."""

import asyncio
import json
import threading
from datetime import UTC, datetime

import pytest

from quince.edge.cli import main as cli
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.server import serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.protocols.dlms.security.credentials import Password

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
HOUSEHOLD = Household(seed=1)

CONFIG = """
gateway = "gw-1"
cell = "sv-1"
outbox = "outbox.db"
broker = {{ host = "127.0.0.1", port = 1883 }}
[[meters]]
kind = "dlms"
id = "M1"
url = "tcp://127.0.0.1:{port}"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "M1"
security = {{ kind = "lls", password = "12345678" }}
"""


class StoppedClock:
    def now_utc(self):
        return NOW

    def seconds_until(self, _moment_utc):
        return 3600.0


@pytest.fixture
def meter_port():
    """A meter that answers from a thread of its own, as the command has the main one."""
    meter = DlmsMeter(
        device_id="M1",
        household=HOUSEHOLD,
        supply=Supply(),
        clock=StoppedClock(),
        accepts=(Password(secret=b"12345678"),),
    )
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(serve_wrapper(meter, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.run_until_complete(server.wait_closed())
    loop.close()


@pytest.fixture
def run(monkeypatch):
    def command(*arguments):
        monkeypatch.setattr("sys.argv", ["quince-edge", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    return command


def test_who_a_meter_is_its_clock_and_its_registers_are_printed(run, meter_port, tmp_path, capsys):
    (tmp_path / "gateway.toml").write_text(CONFIG.format(port=meter_port))
    assert run("read", "M1", "--config", str(tmp_path / "gateway.toml")) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["serial", "M1"] in lines
    assert ["clock", "2026-05-02T06:05:00+00:00"] in lines
    register = ["1-0:1.8.0", str(HOUSEHOLD.register_wh(NOW)), "2026-05-02T06:05:00+00:00"]
    assert register in lines


def test_what_a_meter_says_is_one_document_for_programs(run, meter_port, tmp_path, capsys):
    (tmp_path / "gateway.toml").write_text(CONFIG.format(port=meter_port))
    assert run("read", "M1", "--json", "--config", str(tmp_path / "gateway.toml")) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["identity"]["serial"] == "M1"
    assert document["registers"][0]["value"] == HOUSEHOLD.register_wh(NOW)


def test_an_unknown_meter_is_refused_with_the_known_ones(run, tmp_path, capsys):
    (tmp_path / "gateway.toml").write_text(CONFIG.format(port=1))
    assert run("read", "M9", "--config", str(tmp_path / "gateway.toml")) == 2
    assert capsys.readouterr().err == "invalid_value: meter = 'M9': one of M1\n"


def test_the_settings_in_force_are_printed(run, monkeypatch, capsys):
    monkeypatch.setenv("QUINCE_EDGE_CONFIG", "there.toml")
    assert run("settings") == 0
    assert ["config", "there.toml"] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]


def test_a_setting_that_cannot_be_stops_the_start(run, monkeypatch, capsys):
    monkeypatch.setenv("QUINCE_EDGE_CLOK", "system")
    assert run("settings") == 2
    assert "QUINCE_EDGE_CLOCK" in capsys.readouterr().err
