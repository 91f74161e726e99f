import random
import sqlite3
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from quince.edge.errors import OutboxError
from quince.edge.outbox.store import Outbox, Round
from quince.edge.outbox.view import (
    headers,
    look,
    outbox_document,
    waiting_document,
    waiting_events,
)
from quince.model.event import EventKind, MeterEvent
from quince.model.interval import IntervalSeries
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality
from quince.protocols.gateway.messages import Content, Watermark
from quince.protocols.gateway.topics import Lane

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


SERIES = IntervalSeries(
    meter_id="M2",
    obis=ACTIVE_IMPORT_REGISTER,
    start_utc=NOON,
    values=(250, 260),
    quality=(Quality.GOOD, Quality.GOOD),
)


def last_gasp(meter_id="M1"):
    return MeterEvent(
        meter_id=meter_id, kind=EventKind.LAST_GASP, at_utc=NOON, received_utc=NOON, detail=""
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path):
    """One last gasp and two quarter-hours."""
    messages = (
        (Lane.EVENTS, Content(events=(last_gasp(),))),
        (Lane.LIVE, Content(series=(SERIES,))),
    )
    with Outbox(path, random.Random(1)) as opened:
        for message in messages:
            opened.record(Round(messages=(message,)))
        yield opened


def prints(folder):
    """Every file of a folder; not the journal's index, which holds its readers' locks."""
    files = (file for file in folder.iterdir() if not file.name.endswith("-shm"))
    return {file.name: sha256(file.read_bytes()).digest() for file in files}


def test_what_waits_is_seen_beside_its_owner(path, outbox):
    view = look(path)
    assert view.epoch == f"{outbox.epoch:016x}"
    assert {one.lane: one.messages for one in view.lanes} == {
        Lane.EVENTS: 1,
        Lane.RESULTS: 0,
        Lane.LIVE: 1,
        Lane.BACKFILL: 0,
    }
    assert view.messages == 2
    assert 0 < view.bytes_used < view.bytes_max


def test_what_is_delivered_waits_no_longer(path, outbox):
    outbox.acknowledge(Watermark(epoch=outbox.epoch, lane=Lane.LIVE, upto=1))
    live = look(path).lanes[Lane.LIVE]
    assert (live.messages, live.oldest_seq, live.next_seq) == (0, 2, 2)


@pytest.mark.usefixtures("outbox")
def test_looking_changes_nothing_beside_the_owner(path, tmp_path):
    before = prints(tmp_path)
    waiting_document(path, heads=9)
    assert prints(tmp_path) == before


def test_looking_makes_no_file_where_no_owner_runs(path, tmp_path):
    with Outbox(path, random.Random(1)):
        pass
    before = {file.name for file in tmp_path.iterdir()}
    assert look(path).lanes[Lane.LIVE].messages == 0
    assert {file.name for file in tmp_path.iterdir()} == before


def test_a_missing_outbox_is_said_and_not_made(path):
    with pytest.raises(OutboxError, match="no such outbox"):
        look(path)
    assert not path.exists()
    assert "no such outbox" in outbox_document(path)["error"]


@pytest.mark.parametrize(
    "see",
    [look, lambda path: headers(path, count_max=1), lambda path: waiting_events(path, "M1")],
)
def test_a_file_that_is_no_outbox_is_said(path, see):
    path.write_bytes(b"no database at all" * 99)
    with pytest.raises(OutboxError, match="not a database"):
        see(path)


@pytest.mark.usefixtures("outbox")
def test_heads_say_what_about_and_never_how_much(path):
    gasp, quarters = headers(path, count_max=5)
    assert (gasp.events, gasp.meters, gasp.oldest_utc) == (("last_gasp",), ("M1",), NOON)
    assert (quarters.series, quarters.meters) == (1, ("M2",))
    assert quarters.newest_utc == NOON + timedelta(minutes=30)
    assert quarters.about == "1 series, M2"
    assert "250" not in str(waiting_document(path, heads=5)["heads"][1])


def test_a_message_that_cannot_be_read_is_a_head_all_the_same(path, outbox):
    outbox.__exit__()
    with sqlite3.connect(path) as db:
        db.execute("update message set body = x'ff' where lane = 0")
    db.close()
    head = headers(path, count_max=1)[0]
    assert "not an uplink message" in head.about
    assert head.octets == 1


@pytest.mark.usefixtures("outbox")
def test_the_document_of_what_waits_is_of_plain_words(path):
    document = waiting_document(path, heads=0)
    assert document["lanes"][0] == {
        "lane": "events",
        "messages": 1,
        "octets": document["lanes"][0]["octets"],
        "oldest_utc": "2026-05-01T12:00:00+00:00",
    }
    assert document["lanes"][0]["octets"] > 0
    assert document["heads"] == []


def test_the_events_of_a_meter_that_wait_are_found(path, outbox):
    outbox.record(Round(messages=((Lane.EVENTS, Content(events=(last_gasp("M9"),))),)))
    assert waiting_events(path, "M9") == [last_gasp("M9")]
