"""The command line for commands, as a person at the head-end uses it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from quince.headend import wiring
from quince.headend.cli import commands as command_cli, main as cli, requests as request_cli
from quince.headend.commands.delivery import absorb_results
from quince.headend.commands.rules import KeptCommand, Person, State
from quince.headend.commands.service import Wish
from quince.headend.enrolment.service import GatewayKeys
from quince.model.clock import SystemClock
from quince.model.errors import QuinceError
from quince.protocols.gateway.commands import (
    ActivateFirmware,
    ArmSupply,
    Configure,
    ReadClock,
    ReadNow,
    ReadProfile,
    SetClock,
    TransferFirmware,
)
from quince.protocols.gateway.messages import CommandResult, Content, Stage
from quince.protocols.gateway.topics import GatewayAddress, Lane

WHO = ("--by", "Ana", "--reason", "ticket 7", "--gateway", "north/gw-1")
WISH = Wish(
    tenant_id=1,
    by=Person(name="Ana"),
    reason="ticket 7",
    meter_id="m-1",
    address=GatewayAddress(cell="north", gateway="gw-1"),
)
IMAGE_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"


@pytest.fixture
def run(database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    monkeypatch.setenv("QUINCE_HEADEND_DATABASE", str(database))
    monkeypatch.setenv("QUINCE_HEADEND_COMMAND_KEY", str(tmp_path / "command.pem"))
    monkeypatch.setenv("QUINCE_HEADEND_FIELD_URL", "https://door")

    def invoke(*words: str) -> Any:
        return CliRunner().invoke(cli.app, ("command", *words))

    return invoke


@pytest.fixture
def ask(run: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Ask for something; return what is said of it as JSON."""

    def asked(*words: str) -> dict[str, Any]:
        result = run(*words, *WHO, "--json")
        assert result.exit_code == 0, result.output
        document: dict[str, Any] = json.loads(result.output)
        return document

    return asked


@pytest.fixture
def certified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every gateway has a certificate."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()

    async def public_key(*_: object) -> ec.EllipticCurvePublicKey:
        return key

    monkeypatch.setattr(GatewayKeys, "public_key", public_key)


@asynccontextmanager
async def room_of(database: Path) -> AsyncIterator[wiring.CommandRoom]:
    async with wiring.open_commands(database, SystemClock(), {}) as room:
        yield room


def hear(ingest: Any, gateway: Any, kept: KeptCommand, **said: Any) -> None:
    """Let the gateway have said something, and ingest have it."""
    result = CommandResult(
        command_id=kept.command.command_id, at_utc=SystemClock().now_utc(), **said
    )
    ingest([gateway.send(Content(results=(result,)), lane=Lane.RESULTS)])


def find(database: Path, command: str) -> KeptCommand:
    async def read() -> KeptCommand | None:
        async with room_of(database) as room:
            return await room.store.find(tenant_id=1, command_id=bytes.fromhex(command))

    found = asyncio.run(read())
    assert found is not None
    return found


# --- asking ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "operation"),
    [
        (("read-now", "m-1"), ReadNow()),
        (("clock", "m-1"), ReadClock()),
        (("set-clock", "m-1"), SetClock(step_s_max=60)),
        (("set-clock", "m-1", "--step-max", "9"), SetClock(step_s_max=9)),
        (("arm", "m-1", "off"), ArmSupply(on=False)),
        (("activate", "m-1", "v2"), ActivateFirmware(identifier="v2")),
        (
            (
                *("read-profile", "m-1", "--start", "2026-03-08T00:00-05:00"),
                *("--end", "2026-03-08T06:00Z"),
            ),
            ReadProfile(
                start_utc=datetime(2026, 3, 8, 5, tzinfo=UTC),
                end_utc=datetime(2026, 3, 8, 6, tzinfo=UTC),
            ),
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_person_asks_in_words(database, ask, words, operation):
    document = ask(*words)
    assert find(database, document["id"]).command.operation == operation
    assert (document["meter"], document["gateway"]) == ("m-1", "gw-1")


@pytest.mark.parametrize(
    ("url", "fetched"),
    [
        ((), f"https://door/v1/firmware/{IMAGE_SHA256}"),
        (("--url", "https://elsewhere/f"), "https://elsewhere/f"),
    ],
)
def test_a_firmware_image_is_measured_here_and_fetched_there(database, ask, tmp_path, url, fetched):
    image = tmp_path / "image.bin"
    image.write_bytes(b"abc")
    document = ask("firmware", "m-1", str(image), "--identifier", "v2", *url)
    assert document["state"] == "requested"
    assert find(database, document["id"]).command.operation == TransferFirmware(
        identifier="v2", url=fetched, sha256=bytes.fromhex(IMAGE_SHA256), size=3
    )


@pytest.mark.usefixtures("certified")
def test_a_new_key_is_written_to_a_file_of_the_owners(ask, tmp_path):
    file = tmp_path / "key.txt"
    document = ask("change-key", "m-1", "encryption", str(file))
    assert (document["state"], document["danger"]) == ("requested", "key")
    assert document["parameters"] == {"key": "encryption"}
    assert file.stat().st_mode & 0o777 == 0o600
    meter, key, secret = file.read_text().split()
    assert (meter, key, len(bytes.fromhex(secret))) == ("m-1", "encryption", 16)


def test_a_key_that_will_not_be_sent_is_not_left_behind(run, tmp_path):
    file = tmp_path / "key.txt"
    result = run("change-key", "m-1", "encryption", str(file), *WHO)
    assert "certificate" in str(result.exception)
    assert not file.exists()


@pytest.mark.usefixtures("certified")
def test_a_configuration_is_read_from_a_file(database, ask, tmp_path):
    file = tmp_path / "meters.toml"
    file.write_text("backfill_days = 3\n")
    document = ask("configure", str(file))
    assert document["meter"] is None
    assert isinstance(find(database, document["id"]).command.operation, Configure)


def test_without_a_key_to_sign_with_nothing_is_asked_for(run, monkeypatch):
    monkeypatch.delenv("QUINCE_HEADEND_COMMAND_KEY")
    result = run("read-now", "m-1", *WHO)
    assert "QUINCE_HEADEND_COMMAND_KEY" in str(result.exception)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("read-now", "m-1", "--gateway", "gw-1"), "gateway"),
        (("read-profile", "m-1", "--start", "noon", "--end", "noon"), "ISO 8601"),
        (("read-profile", "m-1", "--start", "2026-03-08", "--end", "2026-03-09"), "offset"),
        (("confirm", "abc"), "32 hexadecimal digits"),
        (("read-now", "m-1", "--tenant", "9"), "no such tenant"),
        (("confirm", "00" * 16), "no command"),
    ],
)
def test_a_mistake_is_told(run, words, told):
    result = run(*words, "--by", "Ana", "--reason", "x")
    assert isinstance(result.exception, QuinceError)
    assert told in str(result.exception)


def test_without_a_url_or_a_door_of_our_own_an_image_cannot_be_fetched(run, tmp_path, monkeypatch):
    monkeypatch.delenv("QUINCE_HEADEND_FIELD_URL")
    (tmp_path / "image.bin").write_bytes(b"abc")
    result = run("firmware", "m-1", str(tmp_path / "image.bin"), "--identifier", "v2", *WHO)
    assert "QUINCE_HEADEND_FIELD_URL" in str(result.exception)


# --- what becomes of it ----------------------------------------------------------------------


def test_a_disconnection_is_listed_approved_by_another_and_called_off(run, ask):
    command = ask("switch", "m-1", "off")["id"]
    (line,) = (one for one in run("list", "--open").output.splitlines() if command in one)
    assert line.split()[1:] == ["confirm_supply", "m-1", "requested", "Ana", "disconnect"]
    assert "another must approve" in str(run("approve", command, "--by", "ana").exception)
    assert json.loads(run("approve", command, "--by", "Berta", "--json").output)["state"] == "ready"
    assert " cancelled " in run("cancel", command, "--by", "Berta").output
    assert run("list", "--open").output == ""


def test_everything_about_a_command_is_shown_and_what_it_brought_is_kept(
    run, ask, database, ingest, gateway, tmp_path
):
    command = ask("diagnose")["id"]
    kept = find(database, command)
    hear(ingest, gateway, kept, stage=Stage.ACCEPTED, media="application/json", body=b"{")
    hear(ingest, gateway, kept, stage=Stage.DONE, media="application/zip", body=b"PK")
    file = tmp_path / "bundle.zip"
    document = json.loads(run("show", command, "--save", str(file)).output)
    assert [entry["act"] for entry in document["audit"]] == ["requested"]
    assert [(one["stage"], one["octets"], one["body"]) for one in document["results"]] == [
        ("accepted", 1, None),
        ("done", 2, None),
    ]
    assert file.read_bytes() == b"PK"


def test_there_may_be_nothing_to_keep_yet(run, ask, tmp_path):
    command = ask("diagnose")["id"]
    result = run("show", command, "--save", str(tmp_path / "bundle.zip"))
    assert "nothing yet" in str(result.exception)


async def test_who_waits_sees_every_stage_as_it_comes(
    database, ingest, gateway, monkeypatch, capsys
):
    monkeypatch.setattr(command_cli, "WATCH_PERIOD_S", 0.01)
    async with room_of(database) as room:
        kept = await room.commands.request(WISH, ReadClock())
        watching = asyncio.create_task(command_cli.watch(room, kept, as_json=False))
        hear(ingest, gateway, kept, stage=Stage.PROGRESS, parts_done=1, parts=2)
        hear(ingest, gateway, kept, stage=Stage.DONE, media="application/json", body=b'{"a": 3}')
        await absorb_results(tenant_id=1, results=room.results, store=room.store)
        assert await watching is State.DONE
    progress, done, last = (line.split() for line in capsys.readouterr().out.splitlines())
    assert progress[1:] == ["progress", "1/2"]
    assert done[1:] == ["done", '{"a":', "3}"]
    assert last[1:] == ["read_clock", "m-1", "done", "Ana"]


@pytest.mark.parametrize(("state", "code"), [(State.DONE, 0), (State.EXPIRED, 1)])
def test_the_exit_code_tells_how_it_ended(run, monkeypatch, state: State, code):
    async def watch(*_: object, as_json: bool) -> State:
        assert not as_json
        return state

    monkeypatch.setattr(request_cli, "watch", watch)
    assert run("clock", "m-1", *WHO, "--wait").exit_code == code


def test_the_line_gateways_believe_us_by_is_printed_and_printed_again(run):
    made, shown = run("key", "new").output, run("key", "show").output
    assert made == shown
    assert made.startswith('headend = "')
    assert len(made.strip()) == len('headend = ""') + 64
