"""From a meter's configuration to how its pushes are heard."""

import random
from datetime import UTC, datetime

import pytest

from quince.edge.config import DlmsMeterConfig
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.workshop import Workshop

LLS = {"kind": "lls", "password": "12345678"}
GMAC = {
    "kind": "hls-gmac",
    "system_title": "514e470000000001",
    "meter_system_title": "514e4d0000001001",
    "encryption_key": "00" * 16,
    "authentication_key": "01" * 16,
}


class StoppedClock:
    def now_utc(self):
        return datetime(2026, 5, 2, tzinfo=UTC)

    def seconds_until(self, moment_utc):
        return (moment_utc - self.now_utc()).total_seconds()


@pytest.fixture
def workshop(tmp_path):
    with CounterStore(tmp_path / "counters.db") as counters:
        yield Workshop(StoppedClock(), counters, random.Random(1), accept=print)


def meter(**more):
    return DlmsMeterConfig(
        kind="dlms",
        id="M1",
        url="tcp://127.0.0.1:4059",
        utc_offset_min=-360,
        client_sap=1,
        server_sap=1,
        equipment_id="E-1",
        **more,
    )


def test_a_meter_without_keys_pushes_in_clear(workshop):
    assert workshop.pusher(meter(security=LLS)).ciphering() is None


def test_a_meter_with_keys_is_believed_under_them_alone(workshop):
    pusher = workshop.pusher(meter(security=GMAC))
    assert pusher.ciphering().peer_title == bytes.fromhex("514e4d0000001001")
    assert not pusher.believed_in_clear


def test_a_meter_with_keys_that_pushes_in_clear_has_to_be_said_to(workshop):
    assert workshop.pusher(meter(security=GMAC, plain_push=True)).believed_in_clear


def test_meters_of_one_line_share_its_bus(workshop):
    first = workshop.plan(meter(security=LLS))
    second = workshop.plan(meter(security=LLS, physical_address=18))
    assert first.bus == second.bus


def test_a_push_is_stamped_with_the_quirks_of_its_meter(workshop):
    time = workshop.pusher(meter(security=LLS, quirks={"deviation_inverted"})).time
    stamp = bytes.fromhex("07ea0502ff000500fffe9800")  # 00:05, 360 minutes west
    assert time.read(stamp).at_utc == datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
