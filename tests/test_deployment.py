"""The production shape, checked without an engine to run it: schema, references, setting names."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic_settings import BaseSettings

from quince.billing.settings import BillingSettings
from quince.edge.health.heartbeat import BEAT_S
from quince.headend.settings import Settings as HeadendSettings
from quince.portal_api.settings import PortalSettings
from quince.protocols.gateway.messages import MESSAGE_BYTES_MAX

ROOT = Path(__file__).parents[1]
MEMBERS: dict[str, tuple[str, type[BaseSettings]]] = {
    "headend": ("QUINCE_HEADEND_", HeadendSettings),
    "billing": ("QUINCE_BILLING_", BillingSettings),
    "portal-api": ("QUINCE_PORTAL_API_", PortalSettings),
}

TEXTS = {"type": "array", "items": {"type": "string"}}
# The part of the Compose Specification this file uses; whatever else stands there is refused.
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "oneOf": [{"required": ["image"]}, {"required": ["build"]}],
    "properties": {
        "image": {"type": "string", "pattern": r"^[a-z0-9/_-]+:[A-Za-z0-9._-]+$"},
        "build": {
            "type": "object",
            "additionalProperties": False,
            "required": ["context", "dockerfile", "args"],
            "properties": {
                "context": {"type": "string"},
                "dockerfile": {"type": "string"},
                "args": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "command": TEXTS,
        "restart": {"enum": ["no", "unless-stopped"]},
        "read_only": {"type": "boolean"},
        "cap_drop": TEXTS,
        "security_opt": TEXTS,
        "tmpfs": TEXTS,
        "profiles": TEXTS,
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "volumes": TEXTS,
        "secrets": TEXTS,
        "networks": TEXTS,
        "ports": {
            "type": "array",
            "items": {"type": "string", "pattern": r"^(127\.0\.0\.1:)?\d+:\d+$"},
        },
        "depends_on": TEXTS,
        "healthcheck": {"type": "object", "required": ["test", "interval"]},
    },
}
COMPOSE = {
    "type": "object",
    "required": ["name", "services", "networks", "volumes", "secrets"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"type": "string"},
        "services": {"type": "object", "additionalProperties": SERVICE},
        "networks": {"type": "object"},
        "volumes": {"type": "object"},
        "secrets": {
            "type": "object",
            "additionalProperties": {"type": "object", "required": ["file"]},
        },
    },
}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def named(service, what):
    """The names a service refers to, of what the file must declare."""
    return {entry.split(":")[0] for entry in service.get(what, []) if not entry.startswith(".")}


def test_the_compose_file_fits_its_schema(compose):
    jsonschema.Draft202012Validator(COMPOSE).validate(compose)


@pytest.mark.parametrize("what", ["networks", "volumes", "secrets"])
def test_everything_referred_to_is_declared_and_used(compose, what):
    used = set().union(*(named(service, what) for service in compose["services"].values()))
    assert used == set(compose[what])


def test_every_dependency_is_a_service(compose):
    needed = set().union(*(named(s, "depends_on") for s in compose["services"].values()))
    assert needed <= set(compose["services"])


def test_every_file_that_is_mounted_or_built_from_exists(compose):
    mounted = [
        entry.split(":")[0]
        for service in compose["services"].values()
        for entry in service.get("volumes", [])
        if entry.startswith(".")
    ]
    built = [s["build"]["dockerfile"] for s in compose["services"].values() if "build" in s]
    assert [name for name in [*mounted, *built] if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("member", MEMBERS)
def test_a_members_environment_names_its_real_settings(compose, member):
    prefix, settings = MEMBERS[member]
    known = {f"{prefix}{field.upper()}" for field in settings.model_fields}
    service = compose["services"][member]
    assert set(service["environment"]) <= known
    assert service["build"]["args"] == {"MEMBER": member}


def test_an_image_holds_its_members_and_not_links_to_their_sources():
    install = (ROOT / "deploy/Dockerfile").read_text()
    assert "uv pip install --python /opt/quince/bin/python --no-editable" in install


def test_the_broker_passes_on_nothing_the_head_end_would_refuse_for_its_size():
    conf = (ROOT / "deploy/mosquitto.conf").read_text()
    (limit,) = re.findall(r"^max_packet_size (\d+)$", conf, re.MULTILINE)
    assert MESSAGE_BYTES_MAX < int(limit) < 2 * MESSAGE_BYTES_MAX


def test_only_the_broker_and_the_door_are_open_to_the_world_and_only_by_tls(compose):
    public = {
        (name, port)
        for name, service in compose["services"].items()
        for port in service.get("ports", [])
        if not port.startswith("127.0.0.1:")
    }
    assert public == {("broker", "8883:8883"), ("headend", "8443:8443")}
    assert "QUINCE_HEADEND_FIELD_CERT" in compose["services"]["headend"]["environment"]
    conf = (ROOT / "deploy/mosquitto.conf").read_text()
    assert "require_certificate true" in conf
    assert "allow_anonymous false" in conf


UNIT = ROOT / "deploy/quince-edge.service"
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
with_systemd = pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="systemd is not installed")


@pytest.fixture(scope="module")
def unit():
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # systemd's names have capitals
    parser.read(UNIT)
    return parser["Service"]


@pytest.fixture
def unit_of_something_installed(tmp_path):
    """The unit with a command that exists: systemd asks for that."""
    path = tmp_path / UNIT.name
    path.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text()))
    return path


@with_systemd
def test_systemd_understands_every_line_of_the_gateways_unit(unit_of_something_installed):
    command = [str(SYSTEMD_ANALYZE), "verify", str(unit_of_something_installed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@with_systemd
def test_systemd_calls_the_gateways_exposure_ok(unit_of_something_installed):
    command = [str(SYSTEMD_ANALYZE), "security", "--offline=true", "--threshold=20"]
    done = subprocess.run(
        [*command, str(unit_of_something_installed)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-200:]


def test_the_watchdog_waits_for_three_beats(unit):
    assert int(unit["WatchdogSec"]) == 3 * BEAT_S
    assert (unit["Type"], unit["Restart"]) == ("notify", "always")


def test_a_gateway_that_leaks_is_restarted_before_it_takes_the_machine(unit):
    assert unit["MemoryMax"] == "96M"


def test_a_gateway_may_use_its_ports_its_state_and_the_network_alone(unit):
    text = UNIT.read_text()
    devices = re.findall(r"^DeviceAllow=(\S+) rw$", text, re.MULTILINE)
    assert devices == ["char-ttyUSB", "char-ttyACM", "char-ttyS", "char-ttyAMA"]
    assert unit["ProtectSystem"] == "strict"
    assert unit["StateDirectory"] == "quince-edge"
    assert unit["RestrictAddressFamilies"] == "AF_INET AF_INET6 AF_UNIX AF_NETLINK"
    assert unit["CapabilityBoundingSet"] == ""
