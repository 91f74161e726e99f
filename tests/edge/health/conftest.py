"""A gateway's files, as they lie on a disk."""

import random
from datetime import UTC, datetime

import pytest
from tests.clocks import StoppedClock

from quince.edge.config import load_config
from quince.edge.outbox.store import Outbox, Round
from quince.model.event import EventKind, MeterEvent
from quince.model.interval import IntervalSeries
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import Lane

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
CONFIG = """
gateway = "gw-0001"
cell = "sv-1"
outbox = "outbox.db"
[broker]
host = "127.0.0.1"
port = {port}
username = "gw-0001"
password = "broker-Password-1"
[[meters]]
kind = "dlms"
id = "M1"
url = "tcp://127.0.0.1:4059"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "M1"
security = {{ kind = "hls-gmac", system_title = "514e470000000001", \
encryption_key = "000102030405060708090a0b0c0d0e0f", \
authentication_key = "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf" }}
[[meters]]
kind = "optical"
id = "M2"
url = "optical:{device}"
utc_offset_min = -360
password = 'pass"word\\2'
"""


@pytest.fixture
def clock():
    return StoppedClock(NOON)


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG.format(port=1, device=tmp_path / "ttyUSB0"))
    path.chmod(0o600)
    return path


@pytest.fixture
def config(config_file):
    return load_config(config_file)


def last_gasp(number=0):
    return MeterEvent(
        meter_id="M1", kind=EventKind.LAST_GASP, at_utc=NOON, received_utc=NOON, detail=str(number)
    )


def fill(outbox):
    """One last gasp and two quarter-hours."""
    series = IntervalSeries(
        meter_id="M2",
        obis=ACTIVE_IMPORT_REGISTER,
        start_utc=NOON,
        values=(250, 260),
        quality=(Quality.GOOD, Quality.GOOD),
    )
    messages = (
        (Lane.EVENTS, Content(events=(last_gasp(),))),
        (Lane.LIVE, Content(series=(series,))),
    )
    for lane, content in messages:
        outbox.record(Round(messages=((lane, content),)))


@pytest.fixture
def outbox(config):
    with Outbox(config.outbox, random.Random(1)) as opened:
        fill(opened)
        yield opened
