"""The production shape, checked without an engine to run it: schema, references, setting names."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic_settings import BaseSettings

from quince.billing.settings import BillingSettings
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


def test_only_the_broker_is_open_to_the_world_and_only_by_tls(compose):
    public = {
        name: port
        for name, service in compose["services"].items()
        for port in service.get("ports", [])
        if not port.startswith("127.0.0.1:")
    }
    assert public == {"broker": "8883:8883"}
    conf = (ROOT / "deploy/mosquitto.conf").read_text()
    assert "require_certificate true" in conf
    assert "allow_anonymous false" in conf
