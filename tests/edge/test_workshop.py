"""From a meter's configuration to its plan, and to how its pushes are heard."""

import random
from datetime import UTC, datetime

import pytest
from tests.clocks import StoppedClock

from quince.edge.config import DlmsMeterConfig, ModbusMeterConfig
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.workshop import Workshop
from quince.model.errors import InvalidValueError

METER = {
    "kind": "dlms",
    "id": "M1",
    "url": "tcp://127.0.0.1:4059",
    "utc_offset_min": -360,
    "client_sap": 1,
    "server_sap": 1,
    "equipment_id": "E-1",
}
LLS = {"kind": "lls", "password": "12345678"}
GMAC = {
    "kind": "hls-gmac",
    "system_title": "514e470000000001",
    "meter_system_title": "514e4d0000001001",
    "encryption_key": "00" * 16,
    "authentication_key": "01" * 16,
}


@pytest.fixture
def workshop(tmp_path):
    with CounterStore(tmp_path / "counters.db") as counters:
        yield Workshop(
            StoppedClock(datetime(2026, 5, 2, tzinfo=UTC)), counters, random.Random(1), accept=print
        )


def meter(**more):
    return DlmsMeterConfig.model_validate(METER | {"security": LLS} | more)


def test_an_equal_meter_has_the_same_plan(workshop):
    assert workshop.plan(meter()) is workshop.plan(meter())


def test_a_changed_meter_has_another(workshop):
    before = workshop.plan(meter())
    assert workshop.plan(meter(url="tcp://127.0.0.1:4060")) != before


def test_a_meter_that_got_keys_is_heard_under_them(workshop):
    before = workshop.pusher(meter())
    workshop.plan(meter(security=GMAC))
    assert before.ciphering() is None
    assert workshop.pusher(meter(security=GMAC)).ciphering() is not None


def test_keys_that_cannot_be_leave_the_plan_as_it_was(workshop):
    before, pusher = workshop.plan(meter()), workshop.pusher(meter())
    with pytest.raises(InvalidValueError):
        workshop.plan(meter(security=GMAC | {"encryption_key": "00"}))
    assert workshop.plan(meter()) is before
    assert workshop.pusher(meter()) is pusher


def sampled(**more):
    own = {"kind": "modbus", "id": "M2", "url": "modbus+tcp://127.0.0.1:502", "device_id": 1}
    rest = {"utc_offset_min": -360, "profile": "chint_dtsu666"}
    return ModbusMeterConfig.model_validate(own | rest | more)


def test_a_sampled_meter_is_measured_otherwise_behind_another_transformer(workshop):
    before = workshop.plan(sampled()).measured_as
    assert workshop.plan(sampled(transformer_ratio=40)).measured_as != before
    assert workshop.plan(sampled()).measured_as == before


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
