"""Simulated meters to practise on: a scenario, the configuration of its gateway, and a process.

Law: the keys are everybody's, and no practice folder is made where something else lies.
"""

import json
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from quince.edge.errors import UnsupportedError
from quince.edge.files import replace_file
from quince.model.errors import InvalidValueError

SIMULATORS = "quince-firmware-sims"
HOUSE = ("PRACTICE-DLMS", "PRACTICE-LLS", "PRACTICE-MODBUS")
_MARKER = ".quince-practice"
_STOP_S_MAX = 5.0

_SCENARIO = """# Three meters for practice. Whoever reads this has their keys.
[[meters]]
kind = "dlms"
id = "PRACTICE-DLMS"
seed = 1
link = "wrapper"
port = {ports[0]}
push_port = {ports[3]}
[meters.security]
kind = "hls-gmac"
system_title = "514e4d0000000001"
encryption_key = "000102030405060708090a0b0c0d0e0f"
authentication_key = "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"

[[meters]]
kind = "dlms"
id = "PRACTICE-LLS"
seed = 2
link = "hdlc"
port = {ports[1]}
push_port = {ports[3]}
security = {{ kind = "lls", password = "12345678" }}

[[meters]]
kind = "modbus"
id = "PRACTICE-MODBUS"
seed = 3
port = {ports[2]}
device_id = 3
profile = {profile}
"""

_CONFIG = """# The gateway of the meters for practice.
gateway = "practice"
cell = "practice"
outbox = "outbox.db"

[broker]
host = "127.0.0.1"
port = 1883

[push]
host = "127.0.0.1"
port = {ports[3]}

[[meters]]
kind = "dlms"
id = "PRACTICE-DLMS"
url = "tcp://127.0.0.1:{ports[0]}"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "PRACTICE-DLMS"
[meters.security]
kind = "hls-gmac"
system_title = "514e470000000001"
meter_system_title = "514e4d0000000001"
encryption_key = "000102030405060708090a0b0c0d0e0f"
authentication_key = "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"

[[meters]]
kind = "dlms"
id = "PRACTICE-LLS"
url = "hdlc+tcp://127.0.0.1:{ports[1]}"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "PRACTICE-LLS"
security = {{ kind = "lls", password = "12345678" }}

[[meters]]
kind = "modbus"
id = "PRACTICE-MODBUS"
url = "modbus+tcp://127.0.0.1:{ports[2]}"
utc_offset_min = -360
device_id = 3
profile = "schneider_iem3155"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """A folder with what it takes; `command` plays the meters."""

    command: str
    scenario: Path
    config: Path


def prepare(folder: Path) -> Practice:
    """Write the files; UnsupportedError without simulators, InvalidValueError for a used folder."""
    command = _simulators()
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARKER).exists():
        raise InvalidValueError("folder", str(folder), "something else lies there")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).touch()
    ports = _free_ports(4)
    profile = folder / "schneider_iem3155.toml"
    with as_file(files("quince.edge.profiles") / profile.name) as shipped:
        shutil.copyfile(shipped, profile)
    scenario, config = folder / "meters.toml", folder / "gateway.toml"
    named = json.dumps(str(profile.resolve()))
    scenario.write_text(_SCENARIO.format(ports=ports, profile=named), encoding="utf-8")
    replace_file(config, _CONFIG.format(ports=ports).encode(), mode=0o600)
    return Practice(command=command, scenario=scenario, config=config)


def practise(practice: Practice) -> int:
    """Play the meters until they end or this process is told to stop; return how they ended."""
    command = (practice.command, "run", "--scenario", str(practice.scenario))
    # Its log goes beside the answer, never into it.
    with subprocess.Popen(command, stdout=sys.stderr) as meters:  # noqa: S603 - found in prepare
        signal.signal(signal.SIGTERM, lambda *_: meters.terminate())
        with suppress(KeyboardInterrupt):
            return meters.wait()
        meters.terminate()
        with suppress(subprocess.TimeoutExpired):
            return meters.wait(_STOP_S_MAX)
        meters.kill()
        return meters.wait()


def _simulators() -> str:
    """Return the simulators' command, beside this Python or in PATH."""
    beside = Path(sys.executable).parent / SIMULATORS
    found = str(beside) if beside.exists() else shutil.which(SIMULATORS)
    if found is None:
        raise UnsupportedError(
            f"{SIMULATORS} is not installed: `pip install {SIMULATORS}` brings the meters"
        )
    return found


def _free_ports(count: int) -> list[int]:
    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in with_ports]
    for one in with_ports:
        one.close()
    return ports
