"""Scenarios: files become meters, and meters live through their outages."""

import asyncio
import os
import socket
import termios
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quince.firmware_sims.scenario import DlmsConfig, load_scenario, play
from quince.model.clock import ScaledClock, SystemClock
from quince.model.errors import InvalidValueError
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.names import LAST_GASP, POWER_UP
from quince.protocols.dlms.links.hdlc_frame import Frame, FrameReader, HdlcAddress

START = datetime(2026, 5, 2, 6, 0, tzinfo=UTC)

SNRM = Frame(destination=HdlcAddress(upper=1), source=HdlcAddress(upper=16), control=0x93).encode()
METER = """
[[meters]]
kind = "dlms"
id = "QN-1"
seed = 1
link = "wrapper"
port = 0
push_port = {push_port}
security = {{ kind = "lls", password = "12345678" }}
[[meters.outages]]
from = 2026-05-01T06:00:00Z
to = 2026-05-01T06:10:00Z
[[meters.outages]]
from = 2026-05-02T06:01:00Z
to = 2026-05-02T06:02:00Z
"""


@pytest.fixture
def load(tmp_path):
    def write_and_load(text):
        path = tmp_path / "meters.toml"
        path.write_text(text)
        return load_scenario(path)

    return write_and_load


def fast_clock():
    real = SystemClock()
    return ScaledClock(start_utc=START, anchor_utc=real.now_utc(), speed=300, real=real)


@asynccontextmanager
async def playing(scenario):
    task = asyncio.create_task(play(scenario, fast_clock()))
    yield task
    task.cancel()
    await asyncio.wait([task])


async def test_a_meter_gasps_when_its_supply_fails_and_speaks_up_when_it_is_back(load):
    heard: asyncio.Queue[Ref] = asyncio.Queue()

    async def hear(reader, writer):
        octets = await reader.read()
        notification: Any = decode_apdu(octets[8:])  # behind the wrapper's header
        heard.put_nowait(notification.ref)
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with playing(load(METER.format(push_port=port))):
            said = [await asyncio.wait_for(heard.get(), 10) for _ in range(2)]
    assert said == [LAST_GASP, POWER_UP]


async def test_a_gasp_nobody_hears_ends_nothing(load):
    async with playing(load(METER.format(push_port=1))) as task:
        await asyncio.sleep(0.6)
        assert not task.done()


async def test_a_bad_line_stands_between_a_meter_and_its_reader(load):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    text = METER.format(push_port=1).replace("port = 0", f"port = {port}")
    dropping = 'bad_line = { kinds = ["silence", "drop"], rate = 1 }\nsecurity'
    async with playing(load(text.replace("security", dropping))):
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(bytes.fromhex("000100010001000560036001ff"))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await writer.wait_closed()


async def test_a_meter_on_a_serial_line_is_read_at_its_baud(load, tmp_path):
    line = tmp_path / "tty"
    text = METER.format(push_port=1).replace('"wrapper"', f'"serial"\nline = "{line}"')
    async with playing(load(text)):
        await asyncio.sleep(0.1)
        terminal = os.open(line, os.O_RDWR | os.O_NONBLOCK)
        termios.tcsetattr(terminal, termios.TCSANOW, at_9600(terminal))
        os.write(terminal, SNRM)
        await asyncio.sleep(0.3)
        answer = os.read(terminal, 100)
        os.close(terminal)
    assert FrameReader().feed(answer)[0].control == 0x73  # UA


def at_9600(terminal):
    settings = termios.tcgetattr(terminal)
    settings[4] = settings[5] = termios.B9600
    return settings


def test_outages_are_in_utc_whatever_the_file_says(load):
    text = METER.format(push_port=1).replace("06:01:00Z", "00:01:00-06:00")
    (meter,) = load(text).meters
    assert isinstance(meter, DlmsConfig)
    assert meter.supply().outages[1] == (
        START + timedelta(minutes=1),
        START + timedelta(minutes=2),
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (METER.format(push_port="'x'"), "push_port"),
        (METER.format(push_port=1).replace("dlms", "smoke"), "meters.0"),
        (
            METER.format(push_port=1)
            .replace("wrapper", "udp")
            .replace("security", 'bad_line = { kinds = ["echo"], rate = 1 }\nsecurity'),
            "meters.0",
        ),
        ("meters = [", "scenario"),
        ("", "meters"),
    ],
)
def test_a_mistake_names_its_field(load, wrong, field):
    with pytest.raises(InvalidValueError) as refused:
        load(wrong)
    assert field in refused.value.field
