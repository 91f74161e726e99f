"""The outbox on a disk that is really full: a small one, mounted for the test."""

import os
import random
import subprocess
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from quince.edge.errors import OutboxFullError
from quince.edge.outbox.file import BALLAST_BYTES
from quince.edge.outbox.store import Outbox, Round
from quince.model.event import EventKind, GatewayEventKind, MeterEvent
from quince.model.interval import RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.gateway.messages import Content, Watermark
from quince.protocols.gateway.topics import Lane

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
DISK_BYTES = 4 * 1024 * 1024


@pytest.fixture
def disk(tmp_path):
    """A disk of four megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no disk can be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.fixture
def outbox(disk):
    with Outbox(disk / "outbox.db", random.Random(1)) as opened:
        yield opened


def intervals():
    reading = RegisterReading(meter_id="M1", obis=ACTIVE_IMPORT_REGISTER, at_utc=NOON, value=7)
    return Round(messages=((Lane.LIVE, Content(readings=(reading,) * 50)),))


def gasp(octets=0):
    event = MeterEvent(
        meter_id="M1",
        kind=EventKind.LAST_GASP,
        at_utc=NOON,
        received_utc=NOON,
        detail="x" * octets,
    )
    return Round(messages=((Lane.EVENTS, Content(events=(event,))),))


def record_until_refused(outbox, round_):
    for _ in range(100_000):
        try:
            outbox.record(round_)
        except OutboxFullError:
            return
    pytest.fail("it was never full")


def somebody_fills(disk):
    """Take what is left of the disk, to the last octet."""
    with suppress(OSError), (disk / "log").open("ab", buffering=0) as log:
        while True:
            log.write(bytes(4_096))


def test_a_full_disk_refuses_intervals_and_takes_a_thousand_last_gasps(disk, outbox):
    record_until_refused(outbox, intervals())
    somebody_fills(disk)
    for _ in range(1_000):
        outbox.record(gasp())
    assert len(outbox.pending(Lane.EVENTS, 0, 2_000)) == 1_000


def test_a_full_disk_lets_delivered_messages_go_and_takes_intervals_again(disk, outbox):
    record_until_refused(outbox, intervals())
    record_until_refused(outbox, gasp())
    somebody_fills(disk)
    kept = len(outbox.pending(Lane.LIVE, 0, 10_000))
    outbox.acknowledge(Watermark(epoch=outbox.epoch, lane=Lane.LIVE, upto=kept))
    assert outbox.pending(Lane.LIVE, 0, 1) == []
    outbox.record(intervals())
    outbox.record(gasp())


def test_that_the_disk_is_full_is_told_once_and_that_it_has_room_again_once(disk, outbox):
    (disk / "log").write_bytes(bytes(DISK_BYTES // 2))
    record_until_refused(outbox, intervals())
    somebody_fills(disk)
    assert outbox.tell_of_fullness(NOON) is GatewayEventKind.OUTBOX_FULL
    assert outbox.tell_of_fullness(NOON) is None
    (disk / "log").unlink()
    assert outbox.tell_of_fullness(NOON) is GatewayEventKind.OUTBOX_DRAINED
    assert outbox.tell_of_fullness(NOON) is None
    assert (disk / "outbox.ballast").stat().st_size == BALLAST_BYTES


def test_an_outbox_whose_ballast_somebody_took_says_so_and_loses_nothing(disk, outbox):
    record_until_refused(outbox, intervals())
    kept = outbox.count
    (disk / "outbox.ballast").unlink()
    somebody_fills(disk)
    with pytest.raises(OutboxFullError):
        outbox.record(gasp(octets=100_000))
    with suppress(OutboxFullError):  # row by row, as far as it goes
        outbox.acknowledge(Watermark(epoch=outbox.epoch, lane=Lane.LIVE, upto=kept))
    (disk / "log").unlink()
    outbox.acknowledge(Watermark(epoch=outbox.epoch, lane=Lane.LIVE, upto=kept - 3))
    assert outbox.count <= 3
    assert outbox._db.execute("pragma integrity_check").fetchone() == ("ok",)


def test_an_outbox_on_a_full_disk_opens_and_delivers(disk, outbox):
    record_until_refused(outbox, intervals())
    outbox.__exit__()
    (disk / "outbox.ballast").unlink()
    somebody_fills(disk)
    with Outbox(disk / "outbox.db", random.Random(2)) as again:
        assert len(again.pending(Lane.LIVE, 0, 5)) == 5
