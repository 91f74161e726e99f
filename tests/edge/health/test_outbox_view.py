import random
import sqlite3
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from quince.edge.errors import OutboxError
from quince.edge.health.outbox_view import headers, look, outbox_document, waiting_document
from quince.edge.outbox.store import Outbox
from quince.protocols.gateway.messages import Watermark
from quince.protocols.gateway.topics import Lane

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def prints(folder):
    """Every file of a folder; not the journal's index, which holds its readers' locks."""
    files = (file for file in folder.iterdir() if not file.name.endswith("-shm"))
    return {file.name: sha256(file.read_bytes()).digest() for file in files}


def test_what_waits_is_seen_beside_its_owner(config, outbox):
    view = look(config.outbox)
    assert view.epoch == f"{outbox.epoch:016x}"
    assert {one.lane: one.messages for one in view.lanes} == {
        Lane.EVENTS: 1,
        Lane.RESULTS: 0,
        Lane.LIVE: 1,
        Lane.BACKFILL: 0,
    }
    assert 0 < view.bytes_used < view.bytes_max


def test_what_is_delivered_waits_no_longer(config, outbox):
    outbox.acknowledge(Watermark(epoch=outbox.epoch, lane=Lane.LIVE, upto=1))
    live = look(config.outbox).lanes[Lane.LIVE]
    assert (live.messages, live.oldest_seq, live.next_seq) == (0, 2, 2)


@pytest.mark.usefixtures("outbox")
def test_looking_changes_nothing_beside_the_owner(config):
    before = prints(config.outbox.parent)
    waiting_document(config.outbox, heads=9)
    assert prints(config.outbox.parent) == before


def test_looking_makes_no_file_where_no_owner_runs(config, tmp_path):
    with Outbox(config.outbox, random.Random(1)):
        pass
    before = {file.name for file in tmp_path.iterdir()}
    assert look(config.outbox).lanes[Lane.LIVE].messages == 0
    assert {file.name for file in tmp_path.iterdir()} == before


def test_a_missing_outbox_is_said_and_not_made(config):
    with pytest.raises(OutboxError, match="no such outbox"):
        look(config.outbox)
    assert not config.outbox.exists()
    assert "no such outbox" in outbox_document(config.outbox)["error"]


@pytest.mark.parametrize("see", [look, lambda path: headers(path, count_max=1)])
def test_a_file_that_is_no_outbox_is_said(config, see):
    config.outbox.write_bytes(b"no database at all" * 99)
    with pytest.raises(OutboxError, match="not a database"):
        see(config.outbox)


@pytest.mark.usefixtures("outbox")
def test_heads_say_what_about_and_never_how_much(config):
    gasp, quarters = headers(config.outbox, count_max=5)
    assert (gasp.events, gasp.meters, gasp.oldest_utc) == (("last_gasp",), ("M1",), NOON)
    assert (quarters.series, quarters.meters) == (1, ("M2",))
    assert quarters.newest_utc == NOON + timedelta(minutes=30)
    assert quarters.about == "1 series, M2"
    assert "250" not in str(waiting_document(config.outbox, heads=5)["heads"][1])


def test_a_message_that_cannot_be_read_is_a_head_all_the_same(config, outbox):
    outbox.__exit__()
    with sqlite3.connect(config.outbox) as db:
        db.execute("update message set body = x'ff' where lane = 0")
    db.close()
    head = headers(config.outbox, count_max=1)[0]
    assert "not an uplink message" in head.about
    assert head.octets == 1


@pytest.mark.usefixtures("outbox")
def test_the_document_of_what_waits_is_of_plain_words(config):
    document = waiting_document(config.outbox, heads=0)
    assert document["lanes"][0] == {
        "lane": "events",
        "messages": 1,
        "octets": document["lanes"][0]["octets"],
        "oldest_utc": "2026-05-01T12:00:00+00:00",
    }
    assert document["lanes"][0]["octets"] > 0
    assert document["heads"] == []
