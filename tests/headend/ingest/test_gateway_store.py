"""What gateways say of themselves and of commands, and which meters they bring."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from quince.headend.assets.rules import read_registration
from quince.headend.ingest import gateway_store
from quince.headend.ingest.service import Received
from quince.headend.ingest.store import SqliteIngestReader
from quince.headend.intervals.store import SqliteIntervalStore
from quince.headend.platform.sqlite import open_connection
from quince.headend.wiring import register
from quince.model.event import GatewayEvent, GatewayEventKind
from quince.protocols.gateway.messages import CommandResult, Content, Stage
from quince.protocols.gateway.topics import GatewayAddress, Lane, Way

NOW_UTC = datetime(2026, 3, 8, 12, tzinfo=UTC)
GATEWAY = GatewayAddress(cell="north", gateway="gw-1")
OTHER = GatewayAddress(cell="north", gateway="gw-2")


@pytest.fixture
def reader(database) -> Iterator[SqliteIngestReader]:
    with closing(open_connection(database)) as connection:
        yield SqliteIngestReader(connection)


@pytest.fixture
async def other(database, new_gateway):
    """A second gateway of the same tenant."""
    await register(
        database,
        read_registration(
            'tenant = { id = 1, name = "One", cells = ["north"] }\n'
            '[[gateway]]\nid = "gw-2"\ncell = "north"\n'
        ),
    )
    return new_gateway(OTHER)


def result(stage=Stage.DONE, **changes):
    return CommandResult(command_id=bytes(16), stage=stage, at_utc=NOW_UTC, **changes)


def results(reader):
    return [one.result for one in reader.results_after(tenant_id=1, entry=0, limit=99)]


def test_results_are_kept_once_in_the_order_they_came(ingest, reader, gateway):
    said = (
        result(Stage.ACCEPTED),
        result(Stage.PROGRESS, parts_done=1, parts=2),
        result(Stage.PROGRESS, parts_done=2, parts=2),
        result(body=b"{}", media="application/json"),
    )
    message = gateway.send(Content(results=said), lane=Lane.RESULTS)
    ingest([message])
    ingest([message, gateway.send(Content(results=said[1:3]), lane=Lane.RESULTS)])
    assert results(reader) == list(said)


def test_one_gateways_word_does_not_take_the_place_of_anothers(ingest, reader, gateway, other):
    ingest([other.send(Content(results=(result(Stage.FAILED),)), lane=Lane.RESULTS)])
    ingest([gateway.send(Content(results=(result(Stage.FAILED, code="own"),)), lane=Lane.RESULTS)])
    (own,) = reader.results_of(tenant_id=1, command_id=bytes(16), address=GATEWAY, limit=9)
    assert own.result.code == "own"


def test_another_tenant_sees_none_of_it(ingest, reader, gateway):
    ingest([gateway.send(Content(results=(result(),)), lane=Lane.RESULTS)])
    assert reader.results_after(tenant_id=2, entry=0, limit=9) == ()
    assert reader.results_of(tenant_id=2, command_id=bytes(16), address=GATEWAY, limit=9) == ()


def test_words_are_kept_short_and_bodies_whole(ingest, reader, gateway):
    said = result(code="c" * 2_000, detail="d" * 2_000, media="m" * 2_000, body=bytes(196_608))
    ingest([gateway.send(Content(results=(said,)), lane=Lane.RESULTS)])
    (kept,) = results(reader)
    assert {len(kept.code), len(kept.detail), len(kept.media)} == {1_000}
    assert len(kept.body) == 196_608


def test_a_gateways_events_are_kept_once_and_shown_latest_first(ingest, reader, gateway):
    started, full = (
        GatewayEvent(kind=kind, at_utc=NOW_UTC.replace(minute=minute), detail="x")
        for minute, kind in enumerate((GatewayEventKind.STARTED, GatewayEventKind.OUTBOX_FULL))
    )
    ingest([gateway.send(Content(gateway_events=(started, full)), lane=Lane.EVENTS)])
    ingest([gateway.send(Content(gateway_events=(full,)), lane=Lane.EVENTS)])
    assert reader.gateway_events(tenant_id=1, address=GATEWAY, limit=9) == (full, started)
    assert reader.gateway_events(tenant_id=1, address=GATEWAY, limit=1) == (full,)
    assert reader.gateway_events(tenant_id=1, address=OTHER, limit=9) == ()


def twin(document: bytes) -> Received:
    return Received(topic=GATEWAY.up(Way.TWIN), payload=document, received_utc=NOW_UTC)


def test_the_latest_twin_takes_the_place_of_the_one_before(ingest, reader):
    assert reader.twin(tenant_id=1, address=GATEWAY) is None
    assert ingest([twin(b'{"version": "1"}'), twin(b'{"version": "2"}')]) == ()
    assert reader.twin(tenant_id=1, address=GATEWAY) == '{"version":"2"}'
    assert reader.twin(tenant_id=2, address=GATEWAY) is None


def test_a_twin_that_cannot_be_read_leaves_the_batch_alone(ingest, reader, gateway):
    deep = twin(b'{"a":' * 800)
    ingest([deep, gateway.send(Content(results=(result(),)), lane=Lane.RESULTS)])
    assert len(results(reader)) == 1


# --- which gateway has a meter ---------------------------------------------------------------


def place(reader):
    return reader.gateway_of(tenant_id=1, meter_id="m-1")


def test_a_meter_is_where_its_live_values_come_from(ingest, reader, gateway, other, series):
    assert place(reader) is None
    ingest([gateway.send(Content(series=(series("2026-03-08", 5),)))])
    assert place(reader) == GATEWAY
    ingest([other.send(Content(series=(series("2026-03-08T01:00", 5),)))])
    assert place(reader) == OTHER


def test_a_backlog_does_not_say_where_a_meter_is(ingest, reader, gateway, other, series):
    ingest([other.send(Content(series=(series("2026-03-08", 5),)))])
    backlog = Content(series=(series("2026-03-07", 5),))
    ingest([gateway.send(backlog, lane=Lane.BACKFILL)])
    assert place(reader) == OTHER


def test_values_from_the_same_place_write_nothing_more(ingest, reader, gateway, series, database):
    ingest([gateway.send(Content(series=(series("2026-03-08", 5),)))])
    with closing(open_connection(database)) as connection:
        connection.execute("delete from meter_gateway")
    ingest([gateway.send(Content(series=(series("2026-03-08T01:00", 5),)))])
    assert place(reader) is None


def test_a_batch_that_failed_leaves_no_place_remembered(
    ingest, reader, gateway, series, monkeypatch
):
    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    message = gateway.send(Content(series=(series("2026-03-08", 5),)))
    with monkeypatch.context() as patch:
        patch.setattr(SqliteIntervalStore, "merge", fail)
        with pytest.raises(sqlite3.OperationalError):
            ingest([message])
    ingest([message])
    assert place(reader) == GATEWAY


def test_what_is_remembered_is_bounded(ingest, reader, gateway, series, monkeypatch):
    monkeypatch.setattr(gateway_store, "METERS_REMEMBERED_MAX", 1)
    for hour, meter in enumerate(("m-1", "m-2", "m-1")):
        one = series(f"2026-03-08T0{hour}:00", 5, meter_id=meter)
        ingest([gateway.send(Content(series=(one,)))])
    assert place(reader) == GATEWAY
    assert reader.gateway_of(tenant_id=1, meter_id="m-2") == GATEWAY


def test_a_gateway_tells_no_operators_terminal_what_to_do(ingest, reader, gateway):
    said = result(Stage.FAILED, code="a\x1b[2J", detail="b\n\x9b31mdone")
    ingest([gateway.send(Content(results=(said,)), lane=Lane.RESULTS)])
    assert [(one.code, one.detail) for one in results(reader)] == [("a[2J", "b31mdone")]
