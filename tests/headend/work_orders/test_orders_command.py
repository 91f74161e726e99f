import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from quince.headend import wiring
from quince.headend.cli import main as cli
from quince.headend.errors import UnknownOrderError
from quince.model.clock import SystemClock
from quince.protocols.visits.reports import REPORT_FORM, sign_report, write_report


@pytest.fixture
def say(database: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("QUINCE_HEADEND_DATABASE", str(database))

    def run(*words: str) -> str:
        result = CliRunner().invoke(cli.app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_orders_are_imported_listed_and_shown_without_keys(
    say: Callable[..., str], orders_file: Path
) -> None:
    report = "2 work orders; 0 are done already\n"
    assert say("order", "import", str(orders_file)) == report
    assert say("order", "list").splitlines()[0].split()[:4] == ["WO-1", "commission", "open", "m-7"]
    assert json.loads(say("order", "list", "--json").splitlines()[1])["order_id"] == "WO-2"
    shown = say("order", "show", "WO-1")
    assert json.loads(shown)["reports"] == []
    assert "12345678" not in shown


def test_an_order_nobody_wrote_cannot_be_shown(say: Callable[..., str]) -> None:
    with pytest.raises(UnknownOrderError):
        say("order", "show", "WO-9")


def test_an_order_that_is_done_is_not_opened_by_its_file(
    say: Callable[..., str], orders_file: Path, database: Path
) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    say("order", "import", str(orders_file))
    say("order", "technician", "add", "ana", key.public_key().public_bytes_raw().hex())
    document = {"form": REPORT_FORM, "order": "WO-1", "meter": "m-7", "metering_point": "mp-7"}
    octets = write_report(sign_report({**document, "verdict": "pass"}, key))

    async def file_report() -> None:
        async with wiring.open_work_orders(database, SystemClock()) as work_orders:
            await work_orders.take_report(tenant_id=1, order_id="WO-1", octets=octets)

    asyncio.run(file_report())
    assert say("order", "import", str(orders_file)).startswith("1 work orders; 1 are done")
    assert json.loads(say("order", "show", "WO-1"))["state"] == "done"


def test_a_place_without_an_address_is_shown_by_its_premise(
    say: Callable[..., str], orders_file: Path
) -> None:
    say("order", "import", str(orders_file))
    assert [line.rsplit("  ", 1)[1].strip() for line in say("order", "list").splitlines()] == [
        "Calle 7",
        "12 Elm Street",
    ]


def test_a_file_that_is_no_text_is_refused_in_a_line(
    database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("QUINCE_HEADEND_DATABASE", str(database))
    (tmp_path / "orders.toml").write_bytes(b"password = \xff")
    monkeypatch.setattr(
        "sys.argv", ["quince-headend", "order", "import", f"{tmp_path}/orders.toml"]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    structlog.reset_defaults()
    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "password" not in said.err
