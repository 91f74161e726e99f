"""Plans of meters, built anew where the configuration changed and nowhere else."""

import random
from datetime import UTC, datetime

import pytest

from quince.edge.config import DlmsMeterConfig
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
