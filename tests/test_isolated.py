"""Each member installs alone, with what it declares and nothing else, and all of it imports."""

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from demo.stage import Stage, free_ports

pytestmark = pytest.mark.gates

ROOT = Path(__file__).parents[1]
UV = shutil.which("uv") or ROOT / ".tools/bin/uv"
MEMBERS = ["protocols", "edge", "headend", "billing", "portal-api", "firmware-sims"]
TOO_HEAVY_FOR_A_GATEWAY = ["numpy", "numba", "fastapi", "sqlalchemy", "quince.headend"]

IMPORT_ALL = """
import importlib, pkgutil, quince
names = [module.name for module in pkgutil.walk_packages(quince.__path__, "quince.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def install(member, folder):
    python = folder / "bin/python"
    subprocess.run([str(UV), "venv", "--quiet", str(folder)], check=True)
    lock = ROOT / "requirements.lock"
    command = f"{UV} pip install --quiet --no-verify-hashes --constraints {lock} --python {python}"
    subprocess.run([*command.split(), str(ROOT / member)], check=True, cwd=ROOT)
    return python


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_installed_alone_imports_whole(member, tmp_path):
    python = install(member, tmp_path / "venv")
    done = subprocess.run(
        [python, "-c", IMPORT_ALL], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert int(done.stdout) > 3


def test_a_gateway_installs_without_the_heavy_libraries(tmp_path):
    python = install("edge", tmp_path / "venv")
    probe = "import sys; from importlib.util import find_spec; print(find_spec(sys.argv[1]))"
    found = [
        subprocess.run([python, "-c", probe, name], check=True, capture_output=True, text=True)
        for name in TOO_HEAVY_FOR_A_GATEWAY
    ]
    assert [done.stdout.strip() for done in found] == ["None"] * len(TOO_HEAVY_FOR_A_GATEWAY)


# --- memory -----------------------------------------------------------------------------

RESIDENT_KB_MAX = 64 * 1024
METERS = 32
ROUNDS = 3
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
KEYS = """
encryption_key = "000102030405060708090a0b0c0d0e0f"
authentication_key = "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
"""
SIMULATED = {
    "ciphered": 'kind = "dlms"\nlink = "wrapper"\npush_port = 9\n[meters.security]\n'
    'kind = "hls-gmac"\nsystem_title = "514e4d00000000{number:02x}"' + KEYS,
    "hdlc": 'kind = "dlms"\nlink = "hdlc"\npush_port = 9\n'
    'security = {{ kind = "lls", password = "12345678" }}\n',
    "modbus": 'kind = "modbus"\ndevice_id = 3\nprofile = "{profile}"\n',
}
DLMS = 'kind = "dlms"\nclient_sap = 1\nserver_sap = 1\nequipment_id = "M{number}"\n'
CONFIGURED = {
    "ciphered": DLMS + 'url = "tcp://127.0.0.1:{port}"\n[meters.security]\nkind = "hls-gmac"\n'
    'system_title = "514e470000000001"\nmeter_system_title = "514e4d00000000{number:02x}"' + KEYS,
    "hdlc": DLMS + 'url = "hdlc+tcp://127.0.0.1:{port}"\n'
    'security = {{ kind = "lls", password = "12345678" }}\n',
    "modbus": 'kind = "modbus"\nurl = "modbus+tcp://127.0.0.1:{port}"\ndevice_id = 3\n'
    'profile = "schneider_iem3155"\n',
}


class Substation:
    """Many simulated meters, a broker that is spoken to by TLS, and files for a gateway."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        now = datetime.now(UTC)  # noqa: TID251 - real processes need a real anchor
        clock = f"2026-05-02T06:00:00Z@{now.isoformat()}x120"
        stage.environment |= {"QUINCE_FIRMWARE_SIMS_CLOCK": clock, "QUINCE_EDGE_CLOCK": clock}
        for name in ("PYTHONDONTWRITEBYTECODE", "COVERAGE_PROCESS_CONFIG"):
            stage.environment.pop(name, None)
        self.ports = list(free_ports(*map(str, range(METERS + 1))).values())
        self._write_certificates()
        self._write_meters()
        self.write(
            "mosquitto.conf",
            f"listener {self.ports[-1]} 127.0.0.1\nallow_anonymous true\nuser root\n"
            f"cafile {stage.folder}/cert.pem\ncertfile {stage.folder}/cert.pem\n"
            f"keyfile {stage.folder}/key.pem\nrequire_certificate true\n",
        )

    def write(self, name: str, text: str) -> Path:
        path = self.stage.folder / name
        path.write_text(text)
        return path

    def _write_certificates(self) -> None:
        """One key and one certificate that everybody here is and trusts."""
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9"
        names = (
            "-keyout key.pem -out cert.pem -subj /CN=gw-0001 -addext subjectAltName=IP:127.0.0.1"
        )
        subprocess.run(
            [*command.split(), *names.split()],
            check=True,
            capture_output=True,
            cwd=self.stage.folder,
        )

    def _write_meters(self) -> None:
        profile = ROOT / "edge/src/quince/edge/profiles/schneider_iem3155.toml"
        kinds = ["ciphered"] * 16 + ["hdlc"] * 8 + ["modbus"] * 8
        meters, configured = (
            "",
            (
                'gateway = "gw-0001"\ncell = "sv-1"\noutbox = "outbox.db"\n'
                f'[broker]\nhost = "127.0.0.1"\nport = {self.ports[-1]}\n[broker.tls]\n'
                'ca_file = "cert.pem"\ncert_file = "cert.pem"\nkey_file = "key.pem"\n'
            ),
        )
        for number, kind in enumerate(kinds):
            values = {"number": number, "port": self.ports[number], "profile": profile}
            head = '[[meters]]\nid = "M{number}"\n'
            simulated = head + "seed = {number}\nport = {port}\n" + SIMULATED[kind]
            meters += simulated.format(**values)
            configured += (head + "utc_offset_min = -360\n" + CONFIGURED[kind]).format(**values)
        self.meters = self.write("meters.toml", meters)
        self.gateway = self.write("gateway.toml", configured)

    def accepted(self) -> int:
        log = (self.stage.folder / "gateway.log").read_text()
        return log.count("intervals_accepted") + log.count("sample_accepted")


def high_water_kb(pid: int) -> int:
    (line,) = re.findall(
        r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
    )
    return int(line)


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed (`make mosquitto`)")
def test_a_gateway_of_thirty_two_meters_holds_64_mib_at_most(tmp_path):
    python = install("edge", tmp_path / "venv")
    subprocess.run([python, "-m", "compileall", "-q", tmp_path / "venv/lib"], check=True)
    with Stage(tmp_path / "stage") as stage:
        substation = Substation(stage)
        stage.start("broker", str(MOSQUITTO), "-c", str(stage.folder / "mosquitto.conf"))
        stage.start("meters", "quince-firmware-sims", "run", "--scenario", str(substation.meters))
        command = [str(python.parent / "quince-edge"), "run", "--config", str(substation.gateway)]
        stage.start("gateway", *command)
        enough = METERS * ROUNDS
        stage.wait_until("the rounds", lambda: substation.accepted() >= enough, 120)
        resident_kb = high_water_kb(stage._processes["gateway"].pid)
        assert "link_up" in (stage.folder / "gateway.log").read_text()
    sys.stdout.write(f"VmHWM {resident_kb} kB, {METERS} meters, {ROUNDS} rounds, TLS\n")
    assert resident_kb <= RESIDENT_KB_MAX
