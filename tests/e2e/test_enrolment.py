"""A device becomes a gateway, delivers, and is revoked: by commands alone, over TLS throughout."""

import asyncio
import getpass
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from demo.run import ROOT
from demo.stage import Stage, StageError, free_ports

from quince.headend import wiring
from quince.headend.assets.rules import read_registration
from quince.headend.enrolment.authority import create_authority, write_key
from quince.headend.enrolment.dynamic_security import first_configuration
from quince.headend.enrolment.rules import control_grant, headend_grant
from quince.model.clock import SystemClock

pytestmark = pytest.mark.e2e

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
PLUGINS = sorted(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"))
REGISTRATION = """
[tenant]
id = 1
name = "Cooperativa Quince"
cells = ["north"]
[[gateway]]
id = "gw-1"
cell = "north"
"""
ROLE_APPLIED = "select 1 from gateway_role where gateway = 'gw-1' and applied = revision"
DELIVERED = "select 1 from watermark where gateway = 'gw-1'"


class Utility:
    """Broker and head-end as an operator sets them up."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ports = free_ports("broker", "dashboard", "door")
        folder = stage.folder
        settings = {
            "DATABASE": folder / "headend.db",
            "CELL": "north",
            "HTTP_PORT": self.ports["dashboard"],
            "DEVICE_CA": folder / "ca",
            "MQTT_HOST": "localhost",
            "MQTT_PORT": self.ports["broker"],
            "MQTT_CA": folder / "ca/ca.crt",
            "MQTT_CERT": folder / "quince-headend-north.crt",
            "MQTT_KEY": folder / "quince-headend-north.key",
            "CONTROL_CERT": folder / "quince-control.crt",
            "CONTROL_KEY": folder / "quince-control.key",
            "FIELD_PORT": self.ports["door"],
            "FIELD_URL": f"https://localhost:{self.ports['door']}",
            "FIELD_CERT": folder / "localhost.crt",
            "FIELD_KEY": folder / "localhost.key",
        }
        stage.environment |= {f"QUINCE_HEADEND_{key}": str(it) for key, it in settings.items()}
        asyncio.run(wiring.register(folder / "headend.db", read_registration(REGISTRATION)))
        self.certify()
        self.start_broker()
        stage.start("headend", "quince-headend", "run")
        stage.wait_for_port(self.ports["door"])

    def certify(self) -> None:
        folder = self.stage.folder
        authority = create_authority(folder / "ca", "test", now_utc=SystemClock().now_utc())
        self.write_pair("localhost", partial(authority.sign_server, ["localhost", "127.0.0.1"]))
        for name in ("quince-headend-north", "quince-control"):
            self.write_pair(name, partial(authority.sign_client, name))

    def write_pair(self, name: str, sign: Callable[..., Certificate]) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        life = timedelta(days=1)
        signed = sign(key.public_key(), now_utc=SystemClock().now_utc(), life=life)
        write_key(self.stage.folder / f"{name}.key", key)
        (self.stage.folder / f"{name}.crt").write_bytes(signed.public_bytes(Encoding.PEM))

    def headend(self, *words: str) -> str:
        return self.stage.run("quince-headend", *words)

    def start_broker(self) -> None:
        folder = self.stage.folder
        (folder / "data").mkdir()
        first = first_configuration([control_grant(), headend_grant("north")])
        (folder / "data/dynamic-security.json").write_text(first)
        text = (ROOT / "deploy/mosquitto.conf").read_text()
        for here, there in {
            "/run/secrets/ca.crt": f"{folder}/ca/ca.crt",
            "/run/secrets/broker.": f"{folder}/localhost.",
            "/mosquitto/device-ca/": f"{folder}/ca/",
            "/mosquitto/data/": f"{folder}/data/",
            "/usr/lib/mosquitto_dynamic_security.so": str(PLUGINS[0]),
            "listener 8883": f"listener {self.ports['broker']} 127.0.0.1",
        }.items():
            text = text.replace(here, there)
        (folder / "mosquitto.conf").write_text(f"{text}user {getpass.getuser()}\n")
        self.stage.start("broker", str(MOSQUITTO), "-c", str(folder / "mosquitto.conf"))
        self.stage.wait_for_port(self.ports["broker"])
        pid = self.stage._processes["broker"].pid
        self.stage.environment["QUINCE_HEADEND_BROKER_RELOAD"] = f"kill -HUP {pid}"

    def finds(self, query: str) -> bool:
        with closing(sqlite3.connect(self.stage.folder / "headend.db")) as connection:
            return connection.execute(query).fetchone() is not None

    def said(self, name: str, word: str) -> int:
        return (self.stage.folder / f"{name}.log").read_text().count(word)


@pytest.fixture
def utility(tmp_path: Path):
    if MOSQUITTO is None or not PLUGINS:
        pytest.skip("mosquitto is not installed (`make mosquitto`)")
    with Stage(tmp_path / "stage") as stage:
        yield Utility(stage)


def test_a_device_is_enrolled_delivers_and_is_revoked(utility):
    stage = utility.stage
    command = utility.headend("gateway", "token", "gw-1").split()
    stage.run(*command, "--ca", "ca/ca.crt", "--folder", "gateway")
    with pytest.raises(StageError, match="used or out of date"):
        stage.run(*command, "--ca", "ca/ca.crt", "--folder", "thief")

    stage.start("gateway", "quince-edge", "run", "--config", "gateway/gateway.toml")
    stage.wait_until("its role", lambda: utility.finds(ROLE_APPLIED), 30)
    stage.wait_until("a session", lambda: utility.said("gateway", "link_up") == 1, 60)
    stage.wait_until("its first word", lambda: utility.finds(DELIVERED), 30)

    utility.headend("gateway", "revoke", "gw-1")
    stage.wait_until("the end of it", lambda: utility.said("gateway", "link_refused") > 0, 60)
    assert utility.said("gateway", "link_up") == 1
    assert "revoked" in utility.headend("gateway", "list")
