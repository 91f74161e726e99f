"""`ports` and `scan`, against simulated meters: on terminals, behind ports, several on one bus."""

import json
import shlex
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from quince.edge.commissioning.ports import Port, Use
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.serial_door import serve_serial
from quince.firmware_sims.dlms.server import hdlc_session, serve_hdlc, serve_wrapper
from quince.firmware_sims.lines.bus import serve_bus
from quince.firmware_sims.lines.pty_line import open_pty_line
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.modbus.config import load_profile
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.firmware_sims.modbus.serving import serve_rtu, serve_rtu_tcp, serve_tcp
from quince.firmware_sims.optical.memory import Memory
from quince.firmware_sims.optical.meter import OpticalMeter
from quince.firmware_sims.optical.pushing import mode_d_meter, p1_meter, sml_meter
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.security.credentials import NoSecurity, Password

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
HOUSEHOLD = Household(seed=1)
PUBLIC = (NoSecurity(),)
PROFILES = Path(str(files("quince.edge.profiles")))


@pytest.fixture
def dlms(stopped_clock):
    def made(name, accepts=PUBLIC):
        return DlmsMeter(
            device_id=name,
            household=HOUSEHOLD,
            supply=Supply(),
            clock=stopped_clock,
            accepts=accepts,
        )

    return made


@pytest.fixture
def modbus(stopped_clock):
    def made(device_id, profile="eastron_sdm120"):
        shipped = load_profile(PROFILES / f"{profile}.toml")
        return ModbusMeter(HOUSEHOLD, Supply(), stopped_clock, profile=shipped, device_id=device_id)

    return made


@pytest.fixture
def memory():
    return Memory(household=HOUSEHOLD, supply=Supply(), serial="M9", utc_offset_min=60)


@asynccontextmanager
async def listening(server):
    async with await server as serving:
        yield serving.sockets[0].getsockname()[1]


def answer(capsys):
    return json.loads(capsys.readouterr().out)


def short(found):
    return [(one["kind"], one["url"].partition(":")[0], one["identity"]["serial"]) for one in found]


# -- serial lines ------------------------------------------------------------------------


def test_an_sml_meter_is_heard(quince, background, stopped_clock, memory, capsys):
    path = background.serve(sml_meter(memory, stopped_clock, period_s=0.2).serve())
    assert quince("scan", str(path), "--json") == 0
    (found,) = answer(capsys)
    assert (found["kind"], found["url"]) == ("sml", f"serial:{path}")
    assert found["identity"]["serial"] == "1QNC0000000009"


def test_a_p1_port_is_heard_at_its_own_baud(quince, background, stopped_clock, memory, capsys):
    path = background.serve(p1_meter(memory, stopped_clock, period_s=0.2).serve())
    assert quince("scan", str(path), "--baud", "115200", "--json") == 0
    (found,) = answer(capsys)
    assert (found["kind"], found["fields"]) == ("dsmr", {"baud": 115_200})
    assert found["identity"]["serial"] == "M9"


def test_a_meter_of_mode_d_is_heard_through_its_optical_head(
    quince, background, stopped_clock, memory, capsys
):
    path = background.serve(mode_d_meter(memory, stopped_clock, period_s=0.2).serve())
    assert quince("scan", str(path), "--baud", "2400", "--json") == 0
    (found,) = answer(capsys)
    assert (found["url"], found["fields"]) == (f"optical:{path}", {"mode": "d"})


def test_an_optical_meter_signs_on(quince, background, stopped_clock, memory, capsys):
    path = background.serve(OpticalMeter(memory, stopped_clock, password="").serve())
    assert quince("scan", str(path), "--baud", "300", "--json") == 0
    (found,) = answer(capsys)
    assert (found["kind"], found["url"]) == ("optical", f"optical:{path}")
    assert found["identity"]["model"] == "SIM-OPTICAL"


def test_the_baud_of_an_hdlc_meter_is_found(quince, background, dlms, capsys):
    path = background.serve(serve_serial(dlms("M1"), None, 19_200))
    assert quince("scan", str(path), "--hdlc", "16-17", "--json") == 0
    found = answer(capsys)
    assert short(found) == [("dlms", "serial", "M1")]
    assert found[0]["url"].endswith("?baud=19200")


def test_modbus_meters_of_one_wire_are_found_at_their_baud(quince, background, modbus, capsys):
    meters = [modbus(2), modbus(9)]
    path = background.serve(serve_rtu(meters, None, baud=2400))
    assert quince("scan", str(path), "--modbus", "1-10", "--json") == 0
    found = answer(capsys)
    assert [one["fields"] for one in found] == [{"device_id": 2}, {"device_id": 9}]
    assert found[0]["url"] == f"modbus+rtu:{path}?baud=2400&parity=N"
    assert found[0]["identity"]["maker"] == "Quince"


def test_a_line_on_which_nobody_is_has_no_answer(quince, capsys):
    with open_pty_line(None) as line:
        assert quince("scan", str(line.path), "--modbus", "1-2", "--baud", "9600", "--json") == 3
    assert answer(capsys) == []


def test_a_port_that_is_not_there_is_no_answer(quince, capsys):
    assert quince("scan", "/dev/not-there") == 3
    assert "/dev/not-there" in capsys.readouterr().err


def test_ctrl_c_ends_with_what_was_found_so_far(background, modbus):
    path = background.serve(serve_rtu([modbus(2)], None, baud=9600))
    command = [sys.executable, "-c", "from quince.edge.cli.main import main; main()", "scan"]
    arguments = [str(path), "--modbus", "1-247", "--baud", "9600"]
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as scan:
        assert scan.stderr is not None
        said = iter(scan.stderr.readline, "")
        assert any("device_id=2" in line for line in said)
        scan.send_signal(signal.SIGINT)
        printed, _ = scan.communicate(timeout=20)
    assert "device_id=2" in printed
    assert scan.returncode == 0


# -- networks ----------------------------------------------------------------------------


def scan_network(quince, ports, *more):
    ports = ",".join(map(str, ports))
    return quince("scan", "--tcp", "127.0.0.1/32", "--ports", ports, *more, "--json")


def test_meters_of_all_kinds_are_found_behind_ports(quince, background, dlms, modbus, capsys):
    wrapper = background.serve(listening(serve_wrapper(dlms("M1"), "127.0.0.1", 0)))
    hdlc = background.serve(listening(serve_hdlc(dlms("M2"), "127.0.0.1", 0)))
    tcp = background.serve(serve_tcp([modbus(1, "sunspec_203")], "127.0.0.1", 0))
    few = ("--modbus", "1-2", "--hdlc", "16-16")
    assert scan_network(quince, [wrapper, hdlc, tcp], *few) == 0
    found = answer(capsys)
    assert sorted(short(found)) == [
        ("dlms", "hdlc+tcp", "M2"),
        ("dlms", "tcp", "M1"),
        ("modbus", "modbus+tcp", "QN-1"),
    ]
    (sunspec,) = [one for one in found if one["kind"] == "modbus"]
    assert sunspec["profiles"] == ["sunspec_203"]


def test_a_serial_server_is_asked_in_rtu_too(quince, background, modbus, capsys):
    port = background.serve(serve_rtu_tcp([modbus(3)], "127.0.0.1", 0))
    assert scan_network(quince, [port], "--modbus", "2-4") == 0
    (found,) = answer(capsys)
    assert found["url"] == f"modbus+rtu+tcp://127.0.0.1:{port}"
    assert found["fields"]["device_id"] == 3


def test_several_meters_of_one_bus_are_found(quince, background, dlms, capsys):
    sessions = [
        lambda: hdlc_session(dlms("M16"), HdlcAddress(upper=1, lower=16)),
        lambda: hdlc_session(dlms("M18"), HdlcAddress(upper=1, lower=18)),
    ]
    port = background.serve(serve_bus(sessions, "127.0.0.1", 0))
    assert scan_network(quince, [port], "--hdlc", "16-18") == 0
    addresses = {one["identity"]["serial"]: one["fields"] for one in answer(capsys)}
    assert addresses["M16"]["physical_address"] == 16
    assert addresses["M18"]["physical_address"] == 18


def test_a_meter_that_lets_no_public_client_in_is_found_all_the_same(
    quince, background, dlms, capsys
):
    meter = dlms("M1", [Password(secret=b"12345678")])
    port = background.serve(listening(serve_wrapper(meter, "127.0.0.1", 0)))
    assert scan_network(quince, [port]) == 0
    (found,) = answer(capsys)
    assert found["identity"]["serial"] == ""
    assert found["remark"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tcp", "10.0.0.0/8"), "at most 1024 hosts"),
        (("--tcp", "nowhere"), "--tcp"),
        (("--tcp", "127.0.0.1", "--ports", "0"), "--ports"),
        (("--tcp", "127.0.0.1", "--ports", ",".join(map(str, range(1, 18)))), "at most 16"),
        (("--tcp", "127.0.0.1", "--ports", "4000-4016"), "at most 16"),
        (("/dev/null", "--baud", "3"), "--baud"),
        (("/dev/null", "--modbus", "1-300"), "within 1-247"),
        (("/dev/null", "--hdlc", "x"), "--hdlc"),
    ],
)
def test_what_cannot_be_searched_is_refused(quince, capsys, arguments, said):
    assert quince("scan", *arguments) == 2
    assert said in capsys.readouterr().err


def test_only_what_was_named_is_looked_for(quince, background, dlms, modbus, capsys):
    hdlc = background.serve(listening(serve_hdlc(dlms("M2"), "127.0.0.1", 0)))
    tcp = background.serve(serve_tcp([modbus(1)], "127.0.0.1", 0))
    assert scan_network(quince, [hdlc, tcp], "--modbus", "1") == 0
    assert [one["kind"] for one in answer(capsys)] == ["modbus"]
    assert scan_network(quince, [hdlc, tcp], "--hdlc", "16") == 0
    assert [one["kind"] for one in answer(capsys)] == ["dlms"]


def test_every_port_of_a_range_is_asked(quince, background, dlms, capsys):
    port = background.serve(listening(serve_wrapper(dlms("M1"), "127.0.0.1", 0)))
    assert scan_network(quince, [f"{port - 1}-{port}"]) == 0
    assert answer(capsys)[0]["url"] == f"tcp://127.0.0.1:{port}"


def test_what_was_found_can_be_copied_behind_another_command(
    quince, background, modbus, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", "40")
    path = background.serve(serve_rtu([modbus(2)], None, baud=9600))
    assert quince("scan", str(path), "--modbus", "2", "--baud", "9600") == 0
    line = capsys.readouterr().out.splitlines()[0]
    url = f"modbus+rtu:{path}?baud=9600&parity=N"
    assert shlex.split(line)[:3] == [url, "-f", "device_id=2"]


def test_a_port_that_breaks_keeps_no_other_from_being_searched(
    quince, background, modbus, monkeypatch, capsys
):
    path = background.serve(serve_rtu([modbus(2)], None, baud=9600))
    there = [Port(device="/dev/not-there", use=Use.FREE), Port(device=str(path), use=Use.FREE)]
    monkeypatch.setattr("quince.edge.cli.line.list_serial_ports", lambda: there)
    assert quince("scan", "--modbus", "2", "--baud", "9600", "--json") == 0
    printed = capsys.readouterr()
    assert "/dev/not-there" in printed.err
    assert json.loads(printed.out)[0]["fields"]["device_id"] == 2


# -- ports -------------------------------------------------------------------------------


def test_the_ports_of_this_computer_are_listed(quince, capsys):
    assert quince("ports", "--json") == 0
    assert all(one["device"].startswith("/dev/") for one in answer(capsys))
    assert quince("ports") == 0
