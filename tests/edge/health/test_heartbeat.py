import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from quince.edge.agent.health import AgentHealth, MeterHealth
from quince.edge.config import TlsConfig
from quince.edge.health.heartbeat import (
    BEAT_S,
    boot_before,
    health_file,
    keep_beating,
    read_health,
)
from quince.edge.health.notify import ServiceManager
from quince.edge.health.vitals import Vitals
from quince.edge.schedule.breaker import BreakerState
from quince.edge.uplink.service import Uplink
from quince.protocols.gateway.topics import GatewayAddress

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
METERS = AgentHealth(
    meters=(
        MeterHealth(
            meter_id="M1",
            bus="tcp://127.0.0.1:4059",
            last_good_utc=NOON,
            failures=3,
            breaker=next(iter(BreakerState)),
            backlog=0,
        ),
    ),
    buses=(),
)


class Manager(ServiceManager):
    """One that writes down what it is told."""

    def __init__(self):
        self.told = []

    def tell(self, **assignments):
        self.told.append(assignments)


@pytest.fixture
def vitals(config, outbox, clock):
    uplink = Uplink(outbox, GatewayAddress(cell="sv-1", gateway="gw-0001"), clock)
    uplink.note_contact(reason="no route to host")
    return Vitals(config, uplink=uplink, meters=lambda: METERS, clock=clock, boot_before="")


async def beat(vitals, manager, beats=1):
    beating = asyncio.create_task(keep_beating(vitals, manager))
    await asyncio.sleep((beats - 0.5) * BEAT_S)
    written = read_health(health_file(vitals.config))
    beating.cancel()
    with suppress(asyncio.CancelledError):
        await beating
    return written


def test_a_running_gateway_writes_how_it_is(vitals, in_virtual_time):
    written = in_virtual_time(beat(vitals, Manager()))
    assert written["running"]
    assert written["written_utc"] == "2026-05-01T12:00:00+00:00"
    assert written["uplink"] == {
        "online": False,
        "since_utc": "2026-05-01T12:00:00+00:00",
        "version": "",
        "reason": "no route to host",
        "last_ack_utc": None,
    }
    assert written["outbox"]["messages"] == {"events": 1, "results": 0, "live": 1, "backfill": 0}
    assert written["meters"][0]["failures"] == 3
    assert written["memory_kb"] > 1_000


def test_the_last_beat_says_that_it_ended(vitals, in_virtual_time):
    in_virtual_time(beat(vitals, Manager()))
    written = read_health(health_file(vitals.config))
    assert written is not None
    assert written["running"] is False


def test_the_watchdog_is_fed_at_every_beat(vitals, in_virtual_time):
    manager = Manager()
    in_virtual_time(beat(vitals, manager, beats=3))
    status = "2 meters, offline no route to host"
    fed = {"WATCHDOG": "1", "STATUS": status}
    assert manager.told == [{"READY": "1", "STATUS": status}, fed, fed, fed, {"STOPPING": "1"}]


def test_a_loop_that_stands_still_feeds_nobody(vitals, in_virtual_time):
    manager = Manager()

    async def stand_still():
        beating = asyncio.create_task(keep_beating(vitals, manager))
        await asyncio.sleep(0)
        before = len(manager.told)
        beating.cancel()
        return before

    assert in_virtual_time(stand_still()) == 2


def test_a_health_that_cannot_be_written_stops_nobody(vitals, in_virtual_time):
    health_file(vitals.config).mkdir()
    manager = Manager()
    assert in_virtual_time(beat(vitals, manager, beats=2)) is None
    assert sum("WATCHDOG" in told for told in manager.told) == 2


def test_the_next_start_knows_the_boot_of_the_last_one(vitals, config, in_virtual_time):
    assert boot_before(config) == ""
    in_virtual_time(beat(vitals, Manager()))
    assert boot_before(config) == vitals.document()["boot_id"] != ""


@pytest.mark.parametrize("octets", [b"", b"[]", b"\xff", b"[" * 99_999, b'{"a":'])
def test_a_health_that_is_none_is_none(config, octets):
    health_file(config).write_bytes(octets)
    assert read_health(health_file(config)) is None


def test_the_twin_says_what_the_gateway_runs(vitals, outbox):
    twin = json.loads(vitals.twin())
    assert twin.keys() == {
        "version",
        "python",
        "started",
        "epoch",
        "config_revision",
        "meters",
        "certificate_not_after",
    }
    assert (twin["meters"], twin["config_revision"]) == (2, 0)
    assert twin["epoch"] == f"{outbox.epoch:016x}"
    assert twin["certificate_not_after"] is None


def test_another_configuration_is_another_twin(vitals, config):
    before = vitals.twin()
    assert vitals.twin() == before
    vitals.config = config.model_copy(update={"revision": 7})
    assert json.loads(vitals.twin())["config_revision"] == 7


def test_a_certificate_that_cannot_be_read_is_unknown(vitals, config, tmp_path):
    tls = TlsConfig(ca_file=tmp_path / "a", cert_file=tmp_path / "b", key_file=tmp_path / "c")
    vitals.config = config.model_copy(
        update={"broker": config.broker.model_copy(update={"tls": tls})}
    )
    assert json.loads(vitals.twin())["certificate_not_after"] is None


def test_contact_is_in_the_status_line(vitals):
    vitals._uplink.note_contact(version="V5")
    assert vitals.status() == "2 meters, online (V5)"
