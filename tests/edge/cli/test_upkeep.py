"""The upkeep commands as a technician calls them."""

import json
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from quince.edge.cli import main as cli
from quince.edge.outbox.store import Outbox, Round
from quince.model.event import EventKind, MeterEvent
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import Lane

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
CONFIG = """
gateway = "gw-0001"
cell = "sv-1"
outbox = "outbox.db"
broker = { host = "127.0.0.1", port = 1 }
"""
COMMAND = Path(sys.executable).parent / "quince-edge"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    return path


@pytest.fixture
def outbox(tmp_path):
    event = MeterEvent(meter_id="M1", kind=EventKind.LAST_GASP, at_utc=NOON, received_utc=NOON)
    with Outbox(tmp_path / "outbox.db", random.Random(1)) as opened:
        opened.record(Round(messages=((Lane.EVENTS, Content(events=(event,))),)))
        yield opened


@pytest.fixture
def call(monkeypatch, capsys, config):
    """Call a command, and return its exit code, its answer and what it said beside it."""

    def called(*words, configured=True):
        options = ["--config", str(config)] if configured else []
        monkeypatch.setattr(sys, "argv", ["quince-edge", *words, *options])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        answer = capsys.readouterr()
        return ended.value.code or 0, answer.out, answer.err

    return called


@pytest.mark.usefixtures("outbox")
def test_what_waits_is_shown_beside_its_owner(call):
    code, answer, _ = call("outbox", "--messages", "3", "--json")
    document = json.loads(answer)
    assert code == 0
    assert document["lanes"][0]["messages"] == 1
    assert document["heads"][0]["about"] == "last_gasp, M1"


@pytest.mark.usefixtures("outbox")
def test_what_waits_is_shown_in_spanish_too(call):
    _, answer, _ = call("outbox", "--messages", "3", "--lang", "es")
    assert "carril" in answer
    assert "last_gasp, M1" in answer
    assert "0 % del espacio está ocupado" in answer


def test_an_outbox_that_is_not_there_is_said(call, tmp_path):
    code, _, said = call("outbox")
    assert (code, "no such outbox" in said) == (1, True)
    assert not (tmp_path / "outbox.db").exists()


def test_the_doctor_finds_what_is_wrong_and_ends_with_one(call, config):
    config.chmod(0o644)
    code, answer, _ = call("doctor", "--json")
    document = json.loads(answer)
    verdicts = {finding["check"]: finding["verdict"] for finding in document["findings"]}
    assert (code, document["verdict"]) == (1, "fail")
    assert (verdicts["secrets"], verdicts["broker"], verdicts["agent"]) == ("fail", "fail", "warn")


def test_the_doctor_advises_in_spanish(call, config):
    config.chmod(0o644)
    _, answer, _ = call("doctor", "--lang", "es")
    assert "El concentrador no está en marcha." in answer
    assert "→ chmod 600" in answer


def test_a_configuration_that_cannot_be_read_is_a_finding(call, config):
    config.write_text("gateway = 1")
    code, answer, _ = call("doctor", "--json")
    (finding,) = json.loads(answer)["findings"]
    assert (code, finding["check"]) == (1, "configuration")


def test_a_bundle_is_written_where_it_is_wanted(call, tmp_path):
    code, answer, _ = call("bundle", str(tmp_path / "b.zip"), "--json")
    assert code == 0
    assert json.loads(answer)["octets"] == (tmp_path / "b.zip").stat().st_size


def test_a_folder_with_something_else_in_it_is_no_place_to_practise(call, tmp_path):
    (tmp_path / "letters.txt").touch()
    code, _, said = call("simulate", str(tmp_path), configured=False)
    assert (code, "something else lies there" in said) == (2, True)


def test_without_simulators_their_package_is_named(call, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, said = call("simulate", str(tmp_path / "p"), configured=False)
    assert code == 1
    assert "pip install quince-firmware-sims" in said


@pytest.fixture
def practice(tmp_path):
    """Meters for practice in a process of their own, as a terminal starts them."""
    folder = tmp_path / "practice"
    with subprocess.Popen(
        [COMMAND, "simulate", folder, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        serving = (line for line in process.stderr if "meter_serving" in line)
        assert len(list(islice(serving, 3))) == 3
        yield folder, process
        process.terminate()
        process.communicate(timeout=20)


def test_every_meter_for_practice_can_be_read(practice):
    folder, process = practice
    for meter in ("PRACTICE-DLMS", "PRACTICE-LLS", "PRACTICE-MODBUS"):
        words = [COMMAND, "read", meter, "--config", folder / "gateway.toml", "--json"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)
    assert (folder / "gateway.toml").stat().st_mode & 0o077 == 0
    process.terminate()
    answer, _ = process.communicate(timeout=20)
    assert json.loads(answer)["meters"][0]["meter"] == "PRACTICE-DLMS"


def test_ctrl_c_ends_the_meters(practice):
    _, process = practice
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0


def test_a_bundle_that_cannot_be_written_is_said_in_a_line(call, tmp_path):
    code, answer, said = call("bundle", str(tmp_path / "not-there" / "b.zip"))
    assert (code, answer, said.count("\n")) == (1, "", 1)
    assert said.startswith("system: [Errno 2]")
