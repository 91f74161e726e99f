"""What an operator types about gateways."""

import asyncio
import json
import stat
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from typer.testing import CliRunner, Result

from quince.headend import door
from quince.headend.cli import main as cli
from quince.headend.commands.signing_key import new_signer
from quince.headend.door import open_enrolment
from quince.headend.errors import UnknownGatewayError
from quince.headend.settings import load_settings
from quince.model.clock import SystemClock
from quince.model.errors import InvalidValueError

URL = "https://headend.example:8443"


@pytest.fixture
def say(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name, value in {
        "DATABASE": str(database),
        "CELL": "north",
        "DEVICE_CA": str(tmp_path / "ca"),
        "FIELD_URL": URL,
    }.items():
        monkeypatch.setenv(f"QUINCE_HEADEND_{name}", value)

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli.app, ["gateway", *words], catch_exceptions=False)

    return run


@pytest.fixture
def ready(say: Callable[..., Result]) -> Callable[..., Result]:
    """An office with its authority made."""
    assert say("ca", "new").exit_code == 0
    return say


def enrol(line: str, device: Any) -> Any:
    token = line.split()[3]

    async def become() -> Any:
        async with open_enrolment(load_settings(), SystemClock()) as enrolment:
            return await enrolment.enrol(token, device.csr())

    return asyncio.run(become())


def test_a_token_is_shown_as_what_the_technician_types(ready: Callable[..., Result]) -> None:
    words = ready("token", "gw-1").output.split()
    assert words[:3] == ["quince-edge", "enrol", URL]
    assert words[3].startswith("quince_")


def test_gateways_are_listed_with_certificate_and_role(
    ready: Callable[..., Result], new_device: Callable[[], Any]
) -> None:
    enrol(ready("token", "gw-1").output, new_device())
    assert "gw-1" in ready("list").output
    document = json.loads(ready("list", "--json").output)
    assert (document["gateway"], document["state"], document["role"]) == (
        "gw-1",
        "enrolled",
        "pending",
    )


def test_a_revoked_gateway_stands_in_the_list_and_its_role_waits_for_the_broker(
    ready: Callable[..., Result], new_device: Callable[[], Any], tmp_path: Path
) -> None:
    enrol(ready("token", "gw-1").output, new_device())
    result = ready("revoke", "gw-1")
    assert result.exit_code == 1
    assert "1 certificates revoked" in result.output
    assert "kill -HUP" in result.output
    assert "roles are pending: control_cert is not set" in result.output
    assert len(list(x509.load_pem_x509_crl((tmp_path / "ca/ca.crl").read_bytes()))) == 1
    assert json.loads(ready("list", "--json").output)["state"] == "revoked"


def test_revoking_runs_the_operators_command(
    ready: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"import pathlib; pathlib.Path({str(tmp_path / 'reloaded')!r}).touch()"
    monkeypatch.setenv("QUINCE_HEADEND_BROKER_RELOAD", f'{sys.executable} -c "{script}"')
    ready("revoke", "gw-1")
    assert (tmp_path / "reloaded").exists()


@pytest.mark.parametrize("command", ["/no/such/command", "sleep 60"])
def test_a_command_that_fails_undoes_nothing(
    ready: Callable[..., Result],
    new_device: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.setattr(door, "RELOAD_S_MAX", 0.1)
    monkeypatch.setenv("QUINCE_HEADEND_BROKER_RELOAD", command)
    enrol(ready("token", "gw-1").output, new_device())
    assert "1 certificates revoked" in ready("revoke", "gw-1").output


def test_a_broker_that_does_not_answer_is_told_later(
    ready: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quince.headend.enrolment.dynamic_security.ANSWER_S_MAX", 0.2)
    ready("ca", "sign-client", "quince-control", "--folder", str(tmp_path))
    for name, file in {
        "MQTT_CA": "ca/ca.crt",
        "CONTROL_CERT": "quince-control.crt",
        "CONTROL_KEY": "quince-control.key",
    }.items():
        monkeypatch.setenv(f"QUINCE_HEADEND_{name}", str(tmp_path / file))
    monkeypatch.setenv("QUINCE_HEADEND_MQTT_PORT", "1")
    result = ready("roles")
    assert result.exit_code == 1
    assert "roles are pending" in result.output


def test_the_brokers_first_file_is_written_once(
    ready: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "dynamic-security.json"
    assert ready("roles", "--first", str(path)).exit_code == 0
    names = [client["username"] for client in json.loads(path.read_text())["clients"]]
    assert names == ["quince-control", "quince-headend-north"]
    with pytest.raises(InvalidValueError, match="left alone"):
        ready("roles", "--first", str(path))


def test_the_authority_certifies_servers_and_our_own_identities(
    ready: Callable[..., Result], tmp_path: Path
) -> None:
    ready("ca", "sign-server", "broker.example", "10.0.0.1", "--folder", str(tmp_path / "s"))
    ready("ca", "sign-client", "quince-headend-north", "--folder", str(tmp_path / "s"))
    signed = x509.load_pem_x509_certificate((tmp_path / "s/broker.example.crt").read_bytes())
    assert signed.not_valid_after_utc - signed.not_valid_before_utc > timedelta(days=1_095)
    key = tmp_path / "s/quince-headend-north.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_gateways_certificate_is_not_signed_by_hand(ready: Callable[..., Result]) -> None:
    with pytest.raises(InvalidValueError, match="enrols with a token"):
        ready("ca", "sign-client", "gw-1")


@pytest.mark.parametrize("missing", ["DEVICE_CA", "FIELD_URL"])
def test_what_enrolment_lacks_is_named(
    ready: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(f"QUINCE_HEADEND_{missing}")
    with pytest.raises(InvalidValueError, match=missing.lower()):
        ready("token", "gw-1")


def test_an_authority_without_a_folder_is_asked_for_one(
    say: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUINCE_HEADEND_DEVICE_CA")
    with pytest.raises(InvalidValueError, match="QUINCE_HEADEND_DEVICE_CA"):
        say("ca", "new")


def test_gateways_are_told_whose_commands_to_obey(
    ready: Callable[..., Result],
    new_device: Callable[[], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signer = new_signer("headend", tmp_path / "command.key")
    monkeypatch.setenv("QUINCE_HEADEND_COMMAND_KEY", str(tmp_path / "command.key"))
    enrolled = enrol(ready("token", "gw-1").output, new_device())
    assert enrolled.signers == {"headend": signer.public_key_hex}


def test_a_misspelt_gateway_is_not_taken_for_revoked(ready: Callable[..., Result]) -> None:
    with pytest.raises(UnknownGatewayError, match="gw-11"):
        ready("revoke", "gw-11")
