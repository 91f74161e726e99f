import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from quince.headend import wiring
from quince.headend.cli import main as cli
from quince.headend.identity.rules import Principal, Role
from quince.headend.ingest.service import Ingest
from quince.headend.outage.service import absorb
from quince.headend.usage import service
from quince.model.event import EventKind, MeterEvent
from quince.model.interval import IntervalSeries
from quince.protocols.gateway.messages import Content


@pytest.fixture
def say(database: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    monkeypatch.setenv("QUINCE_HEADEND_DATABASE", str(database))

    def run(*words: str) -> list[str]:
        result = CliRunner().invoke(cli.app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    return run


@pytest.fixture
def sent(ingest: Ingest, gateway: Any, series: Callable[..., IntervalSeries]) -> None:
    ingest([gateway.send(Content(series=(series("2026-03-08T05:00", *[5] * 92),)))])


def test_a_registration_is_imported(
    say: Callable[..., list[str]], tmp_path: Path, registration: str
) -> None:
    file = tmp_path / "assets.toml"
    file.write_text(registration)
    assert say("import", str(file)) == ["Cooperativa Quince: 1 gateways, 1 meters"]


@pytest.mark.usefixtures("sent")
def test_completeness_is_shown_for_people(say: Callable[..., list[str]]) -> None:
    (line,) = say("completeness", "--day", "2026-03-08")
    assert line.split() == ["2026-03-08", "m-1", "1-0:1.29.0", "92/92", "460", "unknown"]


@pytest.mark.usefixtures("sent")
def test_completeness_is_shown_for_programs_and_whole(
    say: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "METERS_MAX", 1)
    monkeypatch.setattr("quince.headend.dashboard.endpoints.METERS_MAX", 1)
    (line,) = say("completeness", "--day", "2026-03-08", "--json")
    assert json.loads(line)["received"] == 92


def test_today_is_shown_when_no_day_is_named(say: Callable[..., list[str]]) -> None:
    (line,) = say("completeness", "--tenant", "1")
    assert " 0/" in line


def test_outages_are_shown(
    say: Callable[..., list[str]],
    database: Path,
    ingest: Ingest,
    gateway: Any,
    event: Callable[..., MeterEvent],
) -> None:
    ingest([gateway.send(Content(events=(event(EventKind.LAST_GASP, "2026-03-08T01:00"),)))])

    async def follow() -> None:
        async with wiring.open_read_side(database) as parts:
            await absorb(tenant_id=1, events=parts.reader, points=parts.assets, store=parts.outages)

    asyncio.run(follow())
    assert say("outages")[0].startswith("mp-1                 2026-03-08T01:00:00+00:00  dark")
    assert json.loads(say("outages", "--json")[0])["end"] is None


@pytest.mark.parametrize(
    ("words", "principal"),
    [
        (("--customer", "c-1"), Principal(tenant_id=1, role=Role.CUSTOMER, customer_id="c-1")),
        ((), Principal(tenant_id=1, role=Role.STAFF)),
        (("--person", "Ana"), Principal(tenant_id=1, role=Role.STAFF, person="Ana")),
    ],
)
def test_a_token_is_issued(
    say: Callable[..., list[str]], database: Path, words: tuple[str, ...], principal: Principal
) -> None:
    (token,) = say("token", "issue", "--tenant", "1", *words)

    async def who() -> Principal | None:
        async with wiring.open_identity(database) as identity:
            return await identity.authenticate(token)

    assert asyncio.run(who()) == principal


def test_settings_are_shown_without_secrets(
    say: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUINCE_HEADEND_MQTT_PASSWORD", "hunter2")
    lines = say("settings")
    assert "QUINCE_HEADEND_MQTT_PASSWORD=**********" in lines
    assert "QUINCE_HEADEND_MQTT_CA=" in lines


def test_an_operators_mistake_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUINCE_HEADEND_CEL", "north")
    monkeypatch.setattr("sys.argv", ["quince-headend", "settings"])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    assert capsys.readouterr().err == (
        "invalid_value: environment = 'QUINCE_HEADEND_CEL': did you mean QUINCE_HEADEND_CELL?\n"
    )
