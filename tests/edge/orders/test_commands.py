"""A technician's trip by its commands, against a meter, a gateway and a head-end that are there."""

import io
import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quince.edge.config import load_config
from quince.edge.orders.book import OrderBook
from quince.headend import wiring

Run = Callable[..., int]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], Any]:
    """Return the one document on stdout."""
    return lambda: json.loads(capsys.readouterr().out)


@pytest.fixture
def pulled(at_place: Run, capsys: pytest.CaptureFixture[str]) -> Run:
    """Be at the place with the orders downloaded."""
    assert at_place("orders", "pull") == 0
    assert capsys.readouterr().out == "3 work orders.\n"
    return at_place


@pytest.fixture
def changed(place: Any) -> Callable[..., None]:
    """Let the order on the device be another than the head-end wrote."""

    def change(**fields: Any) -> None:
        with OrderBook(place.folder / "state" / "orders") as book:
            book.replace_orders([replace(book.order("WO-1"), **fields)])

    return change


def verdicts(document: Any) -> dict[str, str]:
    return {one["check"]: one["verdict"] for one in document["checks"]}


def configured(place: Any) -> list[str]:
    return [meter.id for meter in load_config(place.config).meters]


def state_of(place: Any, order_id: str) -> str:
    async def ask() -> str:
        async with wiring.open_order_book(place.database) as book:
            kept = await book.order(tenant_id=1, order_id=order_id)
            assert kept is not None
            return kept.state.value

    return str(place.do(ask()))


def test_a_meter_is_commissioned_in_one_trip(
    pulled: Run, place: Any, said: Callable[[], Any]
) -> None:
    assert pulled("commission", "--order", "WO-1", "--seal", "A-1", "--yes", "--json") == 0
    document = said()
    assert verdicts(document)["arrival"] == "pass"
    assert document["arrival"]["conservation"] == "conserved"
    assert document["evidence"]["seals"] == ["A-1"]
    assert document["sent"]
    assert configured(place) == ["M0", "M1"]
    assert place.config.read_text().startswith("# The substation at Ateos.\n")
    assert place.config.stat().st_mode & 0o077 == 0
    assert state_of(place, "WO-1") == "done"
    assert Path(document["paper"]).read_bytes().startswith(b"%PDF")
    assert pulled("orders", "verify", document["file"], "--json") == 0
    assert said()["key"] == place.key.public_key().public_bytes_raw().hex()


def test_a_visit_without_a_network_is_sent_from_the_next_one(
    pulled: Run, place: Any, said: Callable[[], Any]
) -> None:
    words = ("commission", "--order", "WO-1", "--offline", "--yes", "--json")
    assert pulled(*words, "--no-paper") == 5
    document = said()
    assert (document["sent"], document["paper"]) == (False, None)
    assert verdicts(document)["arrival"] == "skip"
    assert configured(place) == ["M0", "M1"]
    assert state_of(place, "WO-1") == "open"
    assert pulled("orders", "push", "--json") == 0
    assert said() == {"sent": 1, "refused": []}
    assert state_of(place, "WO-1") == "done"


def test_a_head_end_that_is_away_costs_no_visit(
    pulled: Run, place: Any, said: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    place.close_door()
    assert pulled("commission", "--order", "WO-1", "--no-paper", "--yes", "--json") == 5
    assert verdicts(said())["arrival"] == "warn"
    assert pulled("orders", "list") == 0
    assert "not sent yet" in capsys.readouterr().out
    assert pulled("orders", "push") == 5


def test_a_swap_reads_the_old_meter_and_puts_the_new_one_in_its_place(
    pulled: Run, place: Any, said: Callable[[], Any]
) -> None:
    assert pulled("swap", "--order", "WO-2", "--no-paper", "--yes", "--json") == 0
    document = said()
    assert document["old_reading"]["meter"] == "M0"
    assert document["old_reading"]["registers"][0]["obis"] == "1-0:1.8.0"
    assert verdicts(document)["old"] == "pass"
    assert configured(place) == ["M1"]
    assert "# the old one" not in place.config.read_text()


def test_a_dead_meters_last_reading_is_typed_and_the_technician_led_on(
    pulled: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    words = ("swap", "--order", "WO-2", "--final", "4711", "--offline", "--no-paper", "--json")
    assert pulled(*words) == 5
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["old_reading"]["registers"][0]["value"] == 4711
    assert verdicts(document)["old"] == "warn"
    assert "Enter to go on" in printed.err


def test_a_swap_that_broke_off_goes_on_with_the_reading_that_was_kept(
    pulled: Run, said: Callable[[], Any]
) -> None:
    words = ("swap", "--order", "WO-2", "--offline", "--no-paper", "--yes", "--json")
    assert pulled(*words, "--final", "4711") == 5
    said()
    assert pulled(*words) == 5
    assert said()["old_reading"]["registers"][0]["value"] == 4711


def test_a_visit_leaves_the_configuration_alone(
    pulled: Run, place: Any, said: Callable[[], Any]
) -> None:
    words = ("--offline", "--no-paper", "--yes", "--json")
    assert pulled("commission", "--order", "WO-3", *words) == 5
    assert verdicts(said())["configured"] == "skip"
    assert configured(place) == ["M0"]


def test_a_meter_that_was_not_ordered_is_not_read_from_now_on(
    pulled: Run, place: Any, changed: Callable[..., None], said: Callable[[], Any]
) -> None:
    changed(serial="another")
    assert pulled("commission", "--order", "WO-1", "--no-paper", "--yes", "--json") == 1
    document = said()
    assert verdicts(document)["serial"] == "fail"
    assert "configured" not in verdicts(document)
    assert configured(place) == ["M0"]
    assert state_of(place, "WO-1") == "failed"


@pytest.mark.parametrize(
    ("change", "code", "check"),
    [
        ({"url": "tcp://127.0.0.1:1"}, 3, "answers"),
        ({"security": {"kind": "lls", "password": "87654321"}}, 4, "keys"),
        ({"equipment_id": "M0"}, 1, "configured"),
    ],
)
def test_what_does_not_work_is_reported_too(
    away: Callable[..., int], said: Callable[[], Any], change: Any, code: int, check: str
) -> None:
    assert away(change) == code
    assert verdicts(said())[check] == "fail"


@pytest.fixture
def away(pulled: Run, place: Any, changed: Callable[..., None]) -> Callable[..., int]:
    """Commission a meter whose table is another, without a network."""

    def commission(change: dict[str, Any]) -> int:
        changed(meter={**place.orders[0].meter, **change})
        words = ("--offline", "--no-paper", "--yes", "--json")
        return pulled("commission", "--order", "WO-1", *words)

    return commission


def test_orders_of_another_kind_or_another_gateway_are_refused(
    pulled: Run, changed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert pulled("commission", "--order", "WO-2", "--yes") == 2
    assert pulled("swap", "--order", "WO-1", "--yes") == 2
    assert pulled("commission", "--order", "WO-9", "--yes") == 2
    changed(gateway="gw-2")
    assert pulled("commission", "--order", "WO-1", "--yes") == 2
    assert "the order is for gw-2" in capsys.readouterr().err


def test_a_clock_that_is_off_is_set_if_the_technician_says_so(
    pulled: Run,
    place: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("sí\n"))
    place.put_clock_forward(600)
    words = ("commission", "--order", "WO-3", "--offline", "--no-paper", "--json")
    assert pulled(*words, "--lang", "es") == 5
    printed = capsys.readouterr()
    (clock,) = (one for one in json.loads(printed.out)["checks"] if one["check"] == "clock")
    assert re.search(r"El reloj tiene un desvío de \+.* \[s/N\]", printed.err)
    assert clock["says"] == "Its clock was {was} off, was set, and is {drift} off."
    assert float(clock["values"]["was"].split()[0]) > 500


def test_what_is_shown_to_people_is_in_their_language(
    pulled: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("commission", "--order", "WO-1", "--offline", "--no-paper", "--yes", "--lang", "es")
    assert pulled(*words) == 5
    shown = capsys.readouterr().out
    assert "Número de serie" in shown
    assert "Es M1, como se pidió." in shown
    assert "guardado, se envía después" in shown


# -- the last gasp -----------------------------------------------------------------------


@pytest.fixture
def commissioned(pulled: Run, said: Callable[[], Any]) -> Run:
    words = ("--offline", "--no-paper", "--yes", "--json")
    assert pulled("commission", "--order", "WO-1", *words) == 5
    said()
    return pulled


def at(seconds: float, act: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def test_a_last_gasp_is_measured_up_to_the_head_end(
    commissioned: Run, place: Any, said: Callable[[], Any]
) -> None:
    broken, restored = at(0.2, place.break_supply), at(0.5, place.restore_supply)
    assert commissioned("lastgasp", "M1", "--yes", "--json") == 0
    broken.join()
    restored.join()
    document = said()
    assert document["heard_at"] == "head-end"
    assert document["last_gasp"] < document["power_up"]
    assert document["latency_ms"] > 0


def test_without_a_head_end_the_gateway_shows_what_it_heard(
    commissioned: Run, place: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    place.close_door()
    broken, restored = at(0.2, place.break_supply), at(0.5, place.restore_supply)
    assert commissioned("lastgasp", "M1", "--yes") == 5
    broken.join()
    restored.join()
    assert "gateway" in capsys.readouterr().out


def test_a_meter_that_says_nothing_fails(commissioned: Run, said: Callable[[], Any]) -> None:
    assert commissioned("lastgasp", "M1", "--yes", "--json") == 1
    assert (said()["last_gasp"]) is None


def test_a_last_gasp_of_a_meter_nobody_configured_is_refused(at_place: Run) -> None:
    assert at_place("lastgasp", "M7", "--yes") == 2


# -- around a trip -----------------------------------------------------------------------


def test_a_report_the_head_end_refuses_is_kept_with_its_reason(
    pulled: Run, changed: Callable[..., None], said: Callable[[], Any]
) -> None:
    changed(metering_point="mp-9")
    words = ("commission", "--order", "WO-1", "--offline", "--no-paper", "--yes", "--json")
    assert pulled(*words) == 5
    said()
    assert pulled("orders", "push", "--json") == 1
    assert "metering_point" in said()["refused"][0]["refusal"]
    assert pulled("orders", "list", "--json") == 0
    assert said()["unsent"][0]["refusal"].startswith("422 ")
    assert pulled("commission", "--order", "WO-1", "--wait", "0", "--no-paper", "--yes") == 1


def test_the_key_is_made_once_and_its_public_half_shown(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("orders", "key", "--folder", str(tmp_path / "own")) == 0
    first = capsys.readouterr().out
    assert run("orders", "key", "--folder", str(tmp_path / "own")) == 0
    assert capsys.readouterr().out == first
    assert len(first.strip()) == 64


def test_a_token_is_asked_for_and_kept_for_its_owner_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("quince_abc\n"))
    assert run("orders", "token", "--folder", str(tmp_path)) == 0
    file = tmp_path / "technician.token"
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("quince_abc", 0o600)


def test_a_token_the_head_end_does_not_know_ends_as_such(
    at_place: Run, place: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (place.folder / "state" / "orders" / "technician.token").write_text("quince_wrong")
    assert at_place("orders", "pull") == 4
    assert "token_refused: 401" in capsys.readouterr().err


def test_a_report_is_typeset_again_in_another_language_and_a_forged_one_is_not(
    pulled: Run, said: Callable[[], Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("commission", "--order", "WO-1", "--offline", "--no-paper", "--yes", "--json")
    assert pulled(*words) == 5
    file = Path(said()["file"])
    assert pulled("orders", "paper", str(file), "--lang", "es") == 0
    assert capsys.readouterr().out.strip() == str(file.with_suffix(".pdf"))
    forged = tmp_path / "forged.json"
    forged.write_bytes(file.read_bytes().replace(b'"M1"', b'"M2"'))
    assert pulled("orders", "paper", str(forged)) == 1
    assert pulled("orders", "verify", str(forged)) == 1
    assert pulled("orders", "verify", str(tmp_path / "none.json")) == 2
