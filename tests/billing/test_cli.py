"""The commands, on a database the head-end filled."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quince.billing.bill.bill import Bill
from quince.billing.cli import main
from quince.headend.intervals.service import Arrival
from quince.headend.intervals.store import SqliteIntervalStore
from quince.headend.platform.sqlite import open_connection, transaction
from quince.headend.wiring import prepare_database
from quince.model.interval import IntervalSeries
from quince.model.obis import ACTIVE_IMPORT_INTERVAL
from quince.model.quality import Quality

DEMO = Path(__file__).parents[2] / "demo"
CUSTOMERS = """
customers = [{ id = "C-1", name = "Panadería La Esperanza" }]

[[accounts]]
id = "A-1"
customer = "C-1"
premise = "Calle Arce 12, San Salvador"
tariff = "SV-HORARIO"
meters = [{ id = "SV-1", first_day = 2026-01-01 }]
"""
TWO_DAYS = ("--from", "2026-04-30", "--to", "2026-05-01")

Command = Callable[..., tuple[int, str, str]]


def receive(database: Path, start_utc: datetime, *values: int) -> None:
    """Fill the head-end's slots from `start_utc` on."""
    series = IntervalSeries(
        meter_id="SV-1",
        obis=ACTIVE_IMPORT_INTERVAL,
        start_utc=start_utc,
        values=values,
        quality=(Quality.GOOD,) * len(values),
    )
    connection = open_connection(database)
    with transaction(connection):
        SqliteIntervalStore(connection).merge(
            tenant_id=1,
            arrivals=[Arrival(series=series, source="test")],
            received_utc=start_utc,
        )
    connection.close()


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "quince.db"
    prepare_database(path)
    monkeypatch.setenv("QUINCE_BILLING_DATABASE", str(path))
    return path


@pytest.fixture
def command(
    database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Return `quince-billing` with the tariff and the customers imported."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["quince-billing", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    customers = tmp_path / "customers.toml"
    customers.write_text(CUSTOMERS, encoding="utf-8")
    assert run("import-tariff", str(DEMO / "tariff.toml")) == (0, "tariff SV-HORARIO 2026\n", "")
    assert run("import-customers", str(customers)) == (0, "1 customers, 1 accounts\n", "")
    assert database.exists()
    return run


def test_two_days_become_a_bill_that_shows_and_verifies(
    command: Command, database: Path, bill: Bill
) -> None:
    values = (*(1000,) * 48, 5000, *(1000,) * 143)
    receive(database, datetime(2026, 4, 30, 6, tzinfo=UTC), *values)
    code, text, _ = command("run", "--account", "A-1", *TWO_DAYS)
    assert code == 0
    assert f"Total{bill.total:>71}\n" in text
    bill_id = text.split()[2]
    assert command("show", bill_id) == (0, text, "")
    code, proof, _ = command("verify", bill_id)
    assert code == 0
    assert len({line.split()[1] for line in proof.splitlines()}) == 1


def test_later_intervals_of_the_same_utc_day_leave_the_bill_alone(
    command: Command, database: Path
) -> None:
    receive(database, datetime(2026, 4, 30, 6, tzinfo=UTC), *(1000,) * 192)
    _, text, _ = command("run", "--account", "A-1", *TWO_DAYS)
    receive(database, datetime(2026, 5, 2, 6, tzinfo=UTC), *(1000,) * 10)
    assert command("run", "--account", "A-1", *TWO_DAYS) == (0, text, "")
    assert command("verify", text.split()[2])[0] == 0


def test_a_missing_quarter_hour_is_named(command: Command, database: Path) -> None:
    receive(database, datetime(2026, 4, 30, 6, tzinfo=UTC), *(1000,) * 191)
    code, out, err = command("run", "--account", "A-1", *TWO_DAYS)
    assert (code, out) == (2, "")
    assert err == (
        "incomplete_intervals: meter SV-1 has no final intervals for"
        " 2026-05-02T05:45Z..2026-05-02T06:00Z\n"
    )


def test_a_bill_whose_tariff_was_tampered_with_does_not_verify(
    command: Command, database: Path
) -> None:
    receive(database, datetime(2026, 4, 30, 6, tzinfo=UTC), *(1000,) * 192)
    _, text, _ = command("run", "--account", "A-1", *TWO_DAYS)
    connection = open_connection(database)
    connection.execute("delete from billing_tariff")
    connection.close()
    cheaper = database.with_name("tariff.toml")
    tariff = (DEMO / "tariff.toml").read_text(encoding="utf-8")
    cheaper.write_text(tariff.replace("0.183983", "0.183000"), encoding="utf-8")
    command("import-tariff", str(cheaper))
    assert command("verify", text.split()[2])[0] == 1


def test_the_settings_in_force_are_printed(command: Command, database: Path) -> None:
    code, out, _ = command("settings")
    assert code == 0
    assert out == f"database = {database}\nclock = system\ntenant_id = 1\n"
