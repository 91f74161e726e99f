"""The gateway's process as a service manager starts it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "quince-edge"
CONFIG = """
gateway = "gw-0001"
cell = "sv-1"
outbox = "outbox.db"
broker = { host = "127.0.0.1", port = 1 }
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60)
        yield listening


def environment(manager):
    own = dict(os.environ)  # noqa: TID251 - a process is handed its environment
    return own | {"NOTIFY_SOCKET": manager.getsockname()}


def test_a_service_manager_hears_of_every_part_of_its_life(config, manager):
    command = [COMMAND, "run", "--config", config]
    with subprocess.Popen(command, env=environment(manager)) as process:
        assert manager.recv(1024) == b"READY=1\nSTATUS=0 meters, offline"
        assert manager.recv(1024).startswith(b"WATCHDOG=1\n")
        process.terminate()
        assert manager.recv(1024) == b"STOPPING=1"
        assert process.wait(timeout=30) == 0


def test_a_configuration_that_cannot_be_is_one_line_and_a_usage_error(config):
    config.write_text("gateway = 1")
    command = [COMMAND, "run", "--config", config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "gateway" in done.stderr
