"""The commands that set something, against a simulated meter: none without being asked for."""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.server import serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.optical.memory import Memory
from quince.firmware_sims.optical.meter import OpticalMeter
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.profile import PROFILE_PERIOD
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Ciphering, Gmac, NoSecurity, Password
from quince.protocols.dlms.security.suite import Keys

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(16, 32)))
GMAC = """[security]
kind = "hls-gmac"
system_title = "514e470000000001"
encryption_key = "{encryption}"
authentication_key = "101112131415161718191a1b1c1d1e1f"
master_key = "202122232425262728292a2b2c2d2e2f"
"""
LLS = """[security]
kind = "lls"
password = "{password}"
[security.ciphering]
system_title = "514e470000000001"
encryption_key = "{encryption}"
authentication_key = "101112131415161718191a1b1c1d1e1f"
"""
RIGHT_KEY, WRONG_KEY = "000102030405060708090a0b0c0d0e0f", "ff" * 16


@pytest.fixture
def serve(background):
    """Gives a meter's URL."""

    def served(meter):
        server = background.run(serve_wrapper(meter, "127.0.0.1", 0))
        background.serve(server)
        return f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    return served


@pytest.fixture
def meter(stopped_clock):
    return made(stopped_clock, NoSecurity())


def made(clock, *accepts):
    return DlmsMeter(
        device_id="M1",
        household=Household(seed=1),
        supply=Supply(),
        clock=clock,
        accepts=accepts,
    )


def ciphering(kind=Ciphering):
    return kind(system_title=b"QNC\0\0\0\0\1", keys=KEYS, counters=MemoryCounters())


def answer(capsys):
    return json.loads(capsys.readouterr().out)


# -- clock -------------------------------------------------------------------------------


def test_a_clock_that_is_right_needs_nothing(quince, serve, meter, capsys):
    assert quince("clock", serve(meter), "--json") == 0
    assert answer(capsys) == {
        "meter": "2026-05-02T06:05:00+00:00",
        "computer": "2026-05-02T06:05:00+00:00",
        "drift_s": 0.0,
        "was_set": False,
        "is_right": True,
    }


def test_a_clock_that_is_off_fails_the_check_and_is_set_when_asked(quince, serve, meter, capsys):
    meter.meter_clock.set_to(NOW + timedelta(seconds=90))
    url = serve(meter)
    assert quince("clock", url) == 1
    assert "+90.0 s" in capsys.readouterr().out
    assert quince("clock", url, "--set", "--yes") == 0
    assert meter.meter_clock.shown_utc() == NOW


def test_whoever_says_no_has_set_nothing(quince, serve, meter, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    meter.meter_clock.set_to(NOW + timedelta(seconds=90))
    assert quince("clock", serve(meter), "--set") == 1
    assert meter.meter_clock.shown_utc() == NOW + timedelta(seconds=90)


def test_a_large_step_wants_force(quince, serve, meter, capsys):
    meter.meter_clock.set_to(NOW - timedelta(hours=1))
    url = serve(meter)
    assert quince("clock", url, "--set", "--yes") == 2
    assert "--force" in capsys.readouterr().err
    assert quince("clock", url, "--set", "--yes", "--force") == 0
    assert meter.meter_clock.shown_utc() == NOW


# -- interval ----------------------------------------------------------------------------


def test_the_capture_period_is_shown_and_set(quince, serve, meter, capsys):
    url = serve(meter)
    assert quince("interval", url) == 0
    assert "900 s" in capsys.readouterr().out
    assert quince("interval", url, "--set", "1800", "--yes", "--json") == 0
    assert answer(capsys) == {"period_s": 1800, "was_set": True}
    assert meter.get(PROFILE_PERIOD, None).as_int() == 1800
    assert meter.get(Ref(7, PROFILE_PERIOD.obis, 7), None).as_int() == 0


def test_a_period_the_meter_cannot_is_refused_by_it(quince, serve, meter, capsys):
    assert quince("interval", serve(meter), "--set", "77", "--yes") == 1
    assert capsys.readouterr().err.startswith("dlms_access_refused:")


# -- keys --------------------------------------------------------------------------------


def test_right_keys_are_right_and_the_master_key_is_not_tried(
    quince, serve, stopped_clock, tmp_path, capsys
):
    (tmp_path / "secrets").write_text(GMAC.format(encryption=RIGHT_KEY))
    url = serve(made(stopped_clock, ciphering(Gmac)))
    command = ("keys", "verify", url, "--secrets", str(tmp_path / "secrets"), "--yes", "--json")
    assert quince(*command) == 0
    assert answer(capsys) == [
        {"secret": "encryption", "verdict": "right"},
        {"secret": "authentication", "verdict": "right"},
        {"secret": "master", "verdict": "not_tried"},
    ]


def test_a_wrong_key_is_one_of_two_and_is_never_printed(
    quince, serve, stopped_clock, tmp_path, capsys
):
    (tmp_path / "secrets").write_text(GMAC.format(encryption=WRONG_KEY))
    url = serve(made(stopped_clock, ciphering(Gmac)))
    assert quince("keys", "verify", url, "--secrets", str(tmp_path / "secrets"), "--yes") == 4
    printed = capsys.readouterr()
    assert printed.out.count("one of these is wrong") == 2
    assert WRONG_KEY not in printed.out + printed.err


def test_a_password_is_told_from_the_keys_where_the_meter_takes_it_alone(
    quince, serve, stopped_clock, tmp_path, capsys
):
    (tmp_path / "secrets").write_text(LLS.format(password="12345678", encryption=WRONG_KEY))
    url = serve(made(stopped_clock, Password(secret=b"12345678")))
    command = ("keys", "verify", url, "--secrets", str(tmp_path / "secrets"), "--yes", "--json")
    assert quince(*command) == 4
    verdicts = {one["secret"]: one["verdict"] for one in answer(capsys)}
    assert verdicts == {
        "password": "right",
        "encryption": "one_is_wrong",
        "authentication": "one_is_wrong",
    }


def test_a_password_that_is_wrong_alone_is_wrong(quince, serve, stopped_clock, tmp_path, capsys):
    (tmp_path / "secrets").write_text(LLS.format(password="87654321", encryption=WRONG_KEY))
    url = serve(made(stopped_clock, Password(secret=b"12345678")))
    command = ("keys", "verify", url, "--secrets", str(tmp_path / "secrets"), "--yes", "--json")
    assert quince(*command) == 4
    assert answer(capsys)[0] == {"secret": "password", "verdict": "wrong"}


def test_a_meter_that_takes_no_password_alone_leaves_it_open(
    quince, serve, stopped_clock, tmp_path, capsys
):
    (tmp_path / "secrets").write_text(LLS.format(password="12345678", encryption=WRONG_KEY))
    url = serve(made(stopped_clock, Password(secret=b"12345678", ciphering=ciphering())))
    command = ("keys", "verify", url, "--secrets", str(tmp_path / "secrets"), "--yes", "--json")
    assert quince(*command) == 4
    assert {one["verdict"] for one in answer(capsys)} == {"one_is_wrong"}


@pytest.fixture
def optical(background, stopped_clock):
    """The URL of an optical meter whose password is 1."""
    memory = Memory(household=Household(seed=1), supply=Supply(), serial="M9", utc_offset_min=60)
    path = background.serve(OpticalMeter(memory, stopped_clock, password="1").serve())
    return f"optical:{path}"


@pytest.mark.parametrize(("password", "verdict"), [("1", "right"), ("2", "wrong")])
def test_an_optical_meters_password_is_tried_too(
    quince, optical, tmp_path, capsys, password, verdict
):
    (tmp_path / "secrets").write_text(f'password = "{password}"')
    quince("keys", "verify", optical, "--secrets", str(tmp_path / "secrets"), "--yes", "--json")
    assert answer(capsys) == [{"secret": "password", "verdict": verdict}]


def test_a_refused_password_is_no_authentication(quince, optical, tmp_path, capsys):
    (tmp_path / "secrets").write_text('password = "2"')
    assert quince("clock", optical, "--secrets", str(tmp_path / "secrets")) == 4
    assert "password_refused" in capsys.readouterr().err


def test_a_meter_without_secrets_has_none_to_try(quince, serve, meter, capsys):
    assert quince("keys", "verify", serve(meter), "--yes") == 1
    assert "no secrets" in capsys.readouterr().err


def test_a_question_leaves_stdout_to_the_answer(quince, serve, stopped_clock, monkeypatch, capsys):
    url = serve(made(stopped_clock, NoSecurity()))
    monkeypatch.setattr("sys.stdin", io.StringIO("s\n"))
    assert quince("interval", url, "--set", "900", "--json") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("{")
    assert "[y/N]" in printed.err


@pytest.mark.parametrize("typed", ["", "\n", "n\n", "what\n"])
def test_whoever_does_not_say_yes_has_changed_nothing(
    quince, serve, stopped_clock, monkeypatch, capsys, typed
):
    url = serve(made(stopped_clock, NoSecurity()))
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert quince("interval", url, "--set", "900") == 1
    assert capsys.readouterr().out == ""


def test_another_device_that_counted_further_makes_no_key_wrong(
    quince, serve, stopped_clock, tmp_path, monkeypatch, capsys
):
    (tmp_path / "secrets").write_text(GMAC.format(encryption=RIGHT_KEY))
    url = serve(made(stopped_clock, ciphering(Gmac)))
    command = ("keys", "verify", url, "--secrets", str(tmp_path / "secrets"), "--yes", "--json")
    assert quince(*command) == 0
    monkeypatch.setenv("QUINCE_EDGE_STATE", str(tmp_path / "another"))
    capsys.readouterr()
    assert quince(*command) == 0
    assert {one["verdict"] for one in answer(capsys)} == {"right", "not_tried"}
