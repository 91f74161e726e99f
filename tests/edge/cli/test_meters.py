"""The technician's commands that ask, against simulated meters on real sockets and terminals."""

import csv
import io
import json
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from quince.edge.cli.exits import exit_code
from quince.edge.cli.language import speak
from quince.edge.cli.trouble import advice
from quince.edge.errors import (
    HeadendUnreachableError,
    OutboxError,
    PasswordRefusedError,
    ReadTimeoutError,
    UnsupportedError,
)
from quince.firmware_sims.dlms.meter import Build, DlmsMeter
from quince.firmware_sims.dlms.server import serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.modbus.config import load_profile
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.firmware_sims.modbus.serving import serve_tcp
from quince.firmware_sims.optical.memory import Memory
from quince.firmware_sims.optical.meter import OpticalMeter
from quince.firmware_sims.optical.pushing import p1_meter, sml_meter
from quince.firmware_sims.phases import Wiring
from quince.model.errors import InvalidValueError
from quince.protocols.dlms.errors import ServiceRefusedError
from quince.protocols.dlms.security.credentials import NoSecurity, Password

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
HOUSEHOLD = Household(seed=1)
PROFILES = Path(str(files("quince.edge.profiles")))
CONFIG = """
gateway = "gw-1"
cell = "sv-1"
outbox = "outbox.db"
broker = {{ host = "127.0.0.1", port = 1883 }}
[[meters]]
kind = "dlms"
id = "M1"
url = "tcp://127.0.0.1:{port}"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "M1"
security = {{ kind = "lls", password = "12345678" }}
"""


@pytest.fixture
def meter(stopped_clock):
    return DlmsMeter(
        device_id="M1",
        household=HOUSEHOLD,
        supply=Supply(),
        clock=stopped_clock,
        accepts=(Password(secret=b"12345678"), NoSecurity()),
        build=Build(current_ratio=(200, 5)),
    )


@pytest.fixture
def configured(background, meter, tmp_path):
    """A configuration with the meter in it; gives the meter's port."""
    server = background.run(serve_wrapper(meter, "127.0.0.1", 0))
    background.serve(server)
    port = server.sockets[0].getsockname()[1]
    (tmp_path / "gateway.toml").write_text(CONFIG.format(port=port))
    return port


@pytest.fixture
def memory():
    return Memory(household=HOUSEHOLD, supply=Supply(), serial="M9", utc_offset_min=60)


def answer(capsys):
    return json.loads(capsys.readouterr().out)


# -- which meter -------------------------------------------------------------------------


@pytest.mark.usefixtures("configured")
def test_an_unknown_meter_is_refused_with_the_known_ones(quince, capsys):
    assert quince("read", "M9") == 2
    assert capsys.readouterr().err == "invalid_value: meter = 'M9': one of M1\n"


def test_a_meter_needs_no_configuration_where_its_line_is_named(
    quince, background, stopped_clock, capsys
):
    meter = DlmsMeter(device_id="M7", household=HOUSEHOLD, supply=Supply(), clock=stopped_clock)
    server = background.run(serve_wrapper(meter, "127.0.0.1", 0))
    background.serve(server)
    assert (
        quince("identify", f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", "--json") == 0
    )
    assert answer(capsys)["serial"] == "M7"


def test_the_password_of_a_meter_at_a_url_comes_from_a_file(quince, configured, tmp_path, capsys):
    secrets = tmp_path / "secrets.toml"
    secrets.write_text('security = { kind = "lls", password = "12345678" }')
    url = f"tcp://127.0.0.1:{configured}"
    assert quince("read", url, "--secrets", str(secrets), "-f", "client_sap=1", "--json") == 0
    assert answer(capsys)["registers"][0]["value"] == HOUSEHOLD.register_wh(NOW)


def test_secrets_are_refused_on_the_command_line(quince, capsys):
    assert quince("read", "optical:/dev/ttyUSB0", "-f", "password=12345678") == 2
    printed = capsys.readouterr()
    assert "--secrets" in printed.err
    assert "12345678" not in printed.err


@pytest.mark.usefixtures("configured")
def test_fields_are_refused_for_a_meter_of_the_configuration(quince, capsys):
    assert quince("read", "M1", "-f", "client_sap=2") == 2
    assert "for a URL" in capsys.readouterr().err


# -- what it is --------------------------------------------------------------------------


@pytest.mark.usefixtures("configured")
def test_who_a_meter_is_its_clock_and_its_registers_are_printed(quince, capsys):
    assert quince("read", "M1") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["serial", "M1"] in lines
    assert ["clock", "2026-05-02", "06:05:00Z"] in lines
    value = str(HOUSEHOLD.register_wh(NOW))
    register = ["1-0:1.8.0", "Active", "import", value, "Wh", "2026-05-02", "06:05:00Z"]
    assert register in lines


@pytest.mark.usefixtures("configured")
def test_only_what_is_named_is_read(quince, capsys):
    names = ("0-0:42.0.0", "1-0:1.8.0", "0-0:1.0.0", "1-0:32.7.0")
    assert quince("read", "M1", *names, "--json") == 0
    assert answer(capsys) == [
        {"obis": "0-0:42.0.0", "value": "QNCM1", "unit": ""},
        {"obis": "1-0:1.8.0", "value": str(HOUSEHOLD.register_wh(NOW)), "unit": "Wh"},
        {"obis": "0-0:1.0.0", "value": "2026-05-02 06:05:00Z", "unit": ""},
        {"obis": "1-0:32.7.0", "value": "121.0", "unit": "V"},
    ]


@pytest.mark.usefixtures("configured")
def test_a_name_that_is_none_is_told_from_one_the_meter_does_not_have(quince, capsys):
    assert quince("read", "M1", "1.8.0") == 2
    assert quince("read", "M1", "1-0:1.8.0", "1-0:99.8.0") == 1
    assert "shows no 1-0:99.8.0" in capsys.readouterr().err


@pytest.mark.usefixtures("configured")
def test_everything_is_said_in_spanish_when_asked(quince, capsys):
    assert quince("--lang", "es", "read", "M1") == 0
    assert "reloj" in capsys.readouterr().out


@pytest.mark.usefixtures("configured")
def test_who_a_meter_is_can_be_asked_alone(quince, capsys):
    assert quince("identify", "M1") == 0
    assert capsys.readouterr().out.split() == [
        "serial",
        "M1",
        "maker",
        "QNC",
        "model",
        "—",
        "firmware",
        "QNC-1.0.0",
        *("current", "transformers", "200/5"),
        *("voltage", "transformers", "—"),
        *("gateway", "multiplies", "by", "1"),
    ]


@pytest.mark.usefixtures("configured")
def test_the_objects_of_a_dlms_meter_are_those_of_its_association(quince, capsys):
    assert quince("objects", "M1", "--json") == 0
    by_name = {one["name"]: one for one in answer(capsys)}
    assert by_name["1-0:1.8.0"]["kind"] == "register"
    assert by_name["1-0:1.8.0"]["readable"] == [1, 2, 3]
    assert by_name["0-0:1.0.0"]["writable"] == [2]


def test_the_objects_of_a_modbus_meter_are_its_profiles_points(
    quince, background, stopped_clock, capsys
):
    profile = load_profile(PROFILES / "eastron_sdm120.toml")
    meter = ModbusMeter(HOUSEHOLD, Supply(), stopped_clock, profile=profile, device_id=1)
    port = background.serve(serve_tcp([meter], "127.0.0.1", 0))
    url = f"modbus+tcp://127.0.0.1:{port}"
    assert quince("objects", url, "-f", "profile=eastron_sdm120", "--json") == 0
    by_name = {one["name"]: one for one in answer(capsys)}
    assert by_name["1-0:1.8.0"]["place"] == "input 72"


@pytest.fixture
def modbus_url(background, stopped_clock):
    profile = load_profile(PROFILES / "schneider_iem3155.toml")
    meter = ModbusMeter(HOUSEHOLD, Supply(), stopped_clock, profile=profile, device_id=1)
    return f"modbus+tcp://127.0.0.1:{background.serve(serve_tcp([meter], '127.0.0.1', 0))}"


def test_a_modbus_meter_has_no_clock_to_show(quince, modbus_url, capsys):
    profile = ("-f", "profile=schneider_iem3155")
    assert quince("read", modbus_url, *profile, "--json") == 0
    assert answer(capsys)["clock"] is None
    assert quince("clock", modbus_url, *profile) == 1
    assert "no clock" in capsys.readouterr().err


def test_what_the_gateway_multiplies_by_is_shown(quince, background, stopped_clock, capsys):
    profile = load_profile(PROFILES / "chint_dtsu666.toml")
    meter = ModbusMeter(HOUSEHOLD, Supply(), stopped_clock, profile=profile, device_id=1)
    url = f"modbus+tcp://127.0.0.1:{background.serve(serve_tcp([meter], '127.0.0.1', 0))}"
    fields = ("-f", "profile=chint_dtsu666", "-f", "transformer_ratio=40")
    assert quince("identify", url, *fields, "--json") == 0
    assert answer(capsys)["transformers"]["gateway_ratio"] == 40
    assert quince("read", url, "1-0:1.8.0", *fields, "--json") == 0
    (energy,) = answer(capsys)
    assert (int(energy["value"]) % 40, energy["unit"]) == (0, "Wh")


def test_the_objects_of_an_optical_meter_are_the_lines_of_its_read_out(
    quince, background, stopped_clock, memory, capsys
):
    path = background.serve(OpticalMeter(memory, stopped_clock, password="").serve())
    assert quince("objects", f"optical:{path}", "--json") == 0
    assert {"0.0.0": "M9"}.items() <= {one["name"]: one["value"] for one in answer(capsys)}.items()


def test_the_objects_of_meters_that_push_are_what_they_push(
    quince, background, stopped_clock, memory, capsys
):
    sml = background.serve(sml_meter(memory, stopped_clock, period_s=0.1).serve())
    p1 = background.serve(p1_meter(memory, stopped_clock, period_s=0.1).serve())
    assert quince("objects", f"serial:{sml}", "-f", "kind=sml") == 0
    assert "514e43" in capsys.readouterr().out
    assert quince("objects", f"serial:{p1}", "-f", "kind=dsmr") == 0
    assert "1-0:1.8.1" in capsys.readouterr().out


# -- the load profile --------------------------------------------------------------------


@pytest.mark.usefixtures("configured")
def test_a_day_of_quarter_hours_is_shown_unless_named(quince, capsys):
    assert quince("profile", "M1", "--json") == 0
    document = answer(capsys)
    assert len(document) == 96
    assert document[-1]["start"] == "2026-05-02T05:45:00+00:00"
    assert document[-1]["quality"] == []


@pytest.mark.usefixtures("configured")
def test_a_profile_can_be_a_table_or_lines_for_a_spreadsheet(quince, capsys):
    stretch = ("--from", "2026-05-02T05:00Z", "--to", "2026-05-02T06:00Z")
    assert quince("profile", "M1", *stretch) == 0
    assert "05:45:00" in capsys.readouterr().out
    assert quince("profile", "M1", *stretch, "--csv") == 0
    lines = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert lines[0] == ["start", "1-0:1.29.0", "quality"]
    assert int(lines[1][1]) == HOUSEHOLD.interval_wh(NOW.replace(hour=5, minute=0))


@pytest.mark.parametrize(
    ("stretch", "said"),
    [
        (("--from", "yesterday"), "a moment"),
        (("--from", "2026-05-02T07:00Z"), "before the last moment"),
        (("--from", "0001-01-01", "--to", "0001-01-02"), "1990 to 2100"),
        (("--from", "2024-05-02"), "at most 400 days"),
    ],
)
@pytest.mark.usefixtures("configured")
def test_a_stretch_that_cannot_be_is_refused(quince, capsys, stretch, said):
    assert quince("profile", "M1", *stretch) == 2
    assert said in capsys.readouterr().err


def test_a_meter_without_a_profile_fails_the_check(
    quince, background, stopped_clock, memory, capsys
):
    path = background.serve(sml_meter(memory, stopped_clock, period_s=0.1).serve())
    assert quince("profile", f"serial:{path}", "-f", "kind=sml") == 1
    assert capsys.readouterr().err.startswith("unsupported:")


# -- events ------------------------------------------------------------------------------


@pytest.mark.usefixtures("configured")
def test_what_a_meter_logged_is_told_in_words(quince, meter, capsys):
    meter.open_cover()
    assert quince("events", "M1", "--json") == 0
    assert answer(capsys) == [
        {
            "at": "2026-05-02T06:05:00+00:00",
            "log": "0-0:99.98.0",
            "code": 40,
            "text": "terminal cover removed",
        }
    ]
    assert quince("--lang", "es", "events", "M1") == 0
    assert "tapa" in capsys.readouterr().out


# -- what is wrong -----------------------------------------------------------------------


def test_a_wrong_password_is_told_from_a_silent_meter(quince, configured, tmp_path, capsys):
    secrets = tmp_path / "secrets.toml"
    secrets.write_text('security = { kind = "lls", password = "wrong" }')
    url = f"tcp://127.0.0.1:{configured}"
    assert quince("identify", url, "--secrets", str(secrets)) == 4
    assert quince("identify", "tcp://127.0.0.1:1") == 3
    assert "wrong" not in capsys.readouterr().err


def test_the_settings_in_force_are_printed(quince, tmp_path, capsys):
    assert quince("settings", "--json") == 0
    assert answer(capsys)["config"] == str(tmp_path / "gateway.toml")


def test_a_setting_that_cannot_be_stops_the_start(quince, monkeypatch, capsys):
    monkeypatch.setenv("QUINCE_EDGE_CLOK", "system")
    assert quince("settings") == 2
    assert "QUINCE_EDGE_CLOCK" in capsys.readouterr().err


# -- watch -------------------------------------------------------------------------------


@pytest.fixture
def wired(background, stopped_clock):
    """Gives the URL of a meter wired so."""

    def serve(**wiring):
        meter = DlmsMeter(
            device_id="M8",
            household=HOUSEHOLD,
            supply=Supply(),
            clock=stopped_clock,
            build=Build(wiring=Wiring(**wiring)),
        )
        server = background.run(serve_wrapper(meter, "127.0.0.1", 0))
        background.serve(server)
        return f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    return serve


def test_watching_shows_each_phase(quince, wired, capsys):
    assert quince("watch", wired(), "--count", "2", "--every", "0") == 0
    printed = capsys.readouterr().out
    assert ["L2", "120.0"] in [line.split()[:2] for line in printed.splitlines()]
    assert "Nothing looks wrong." in printed


def test_a_file_gets_every_look(quince, wired, capsys):
    assert quince("watch", wired(), "--count", "2", "--every", "0") == 0
    printed = capsys.readouterr().out
    assert printed.count("L1  121.0") == 2
    assert printed.endswith("Nothing looks wrong.\n")


def test_watching_for_programs_is_a_line_for_each_look(quince, wired, capsys):
    assert quince("watch", wired(), "--count", "2", "--every", "0", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["phases"][0]["voltage_mv"] for line in lines] == [121_000, 121_000]
    assert lines[0]["hints"] == []


@pytest.mark.parametrize(
    ("wiring", "hint"),
    [
        ({"reversed_ct": frozenset({2})}, {"kind": "reversed_ct", "phases": [2]}),
        ({"swapped_ct": (1, 3)}, {"kind": "swapped_phases", "phases": [1, 3]}),
        ({"dead_phases": frozenset({3})}, {"kind": "missing_phase", "phases": [3]}),
    ],
)
def test_what_is_wired_wrong_is_hinted_at(quince, wired, capsys, wiring, hint):
    assert quince("watch", wired(**wiring), "--count", "1", "--json") == 0
    assert answer(capsys)["hints"] == [hint]


@pytest.mark.parametrize(
    ("wiring", "words"),
    [
        ({"reversed_ct": frozenset({2})}, "L2: inyecta"),
        ({"reversed_ct": frozenset({1, 2, 3})}, "L1, L2, L3: todas inyectan"),
        ({"swapped_ct": (2, 3)}, "L2, L3: corrientes"),
        ({"dead_phases": frozenset({1})}, "L1: sin tensión"),
    ],
)
def test_hints_are_told_in_words(quince, wired, capsys, wiring, words):
    assert quince("--lang", "es", "watch", wired(**wiring), "--count", "1") == 0
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ReadTimeoutError("silence"), 3),
        (PasswordRefusedError("no"), 4),
        (HeadendUnreachableError("no network"), 5),
        (OutboxError("no outbox"), 1),
        (UnsupportedError("no profile"), 1),
        (InvalidValueError("a", 1, "b"), 2),
    ],
)
def test_how_a_command_ends_says_whose_turn_it_is(error, code):
    assert exit_code(error) == code


def test_what_to_do_is_said_behind_the_error(quince, capsys):
    assert quince("--lang", "es", "identify", "tcp://127.0.0.1:1") == 3
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("transport_error: 127.0.0.1:1")
    assert second.startswith("→ Revise si el cable")


def test_a_field_that_is_missing_is_said_so_that_it_can_be_given(quince, capsys):
    assert quince("read", "modbus+tcp://127.0.0.1:1") == 2
    assert "-f profile=…" in capsys.readouterr().err


def test_a_counter_somebody_else_used_is_no_matter_of_keys():
    speak("en")
    refusal = ServiceRefusedError("state error 2, service error 6", expected_counter=7)
    assert advice(refusal) == "Another device counted further with these keys: try again."
    assert exit_code(refusal) == 1
