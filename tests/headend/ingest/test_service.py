import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from quince.headend import wiring
from quince.headend.assets.rules import read_registration
from quince.headend.errors import StoreBusyError
from quince.headend.ingest import store as store_module
from quince.headend.ingest.gateway_store import SqliteGatewayStore
from quince.headend.ingest.service import Ingest, Received
from quince.headend.ingest.store import SqliteIngestReader
from quince.headend.intervals.store import SqliteIntervalStore
from quince.headend.platform.sqlite import open_connection, transaction
from quince.model.event import EventKind, MeterEvent
from quince.model.interval import IntervalSeries, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.gateway.messages import Content, decode_ack
from quince.protocols.gateway.topics import GatewayAddress, Lane

Make = Callable[..., IntervalSeries]
NOW_UTC = datetime(2026, 3, 8, 12, tzinfo=UTC)
UNREADABLE = b"\x52\x02\x20\x3c"  # a block with a step of 60 seconds


class View:
    """What a second process would see of the database."""

    def __init__(self, path: Path) -> None:
        self.connection = open_connection(path)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def values(self, channel_id: int = 1) -> list[int]:
        store = SqliteIntervalStore(self.connection)
        cube = store.load(tenant_id=1, channel_ids=[channel_id], first_day=20_520, end_day=20_521)
        return [value for value in cube.reshape(-1).tolist() if value >= 0]


@pytest.fixture
def view(database: Path) -> Iterator[View]:
    view = View(database)
    yield view
    view.connection.close()


def acked(outgoing: Any) -> list[tuple[int, int]]:
    marks = [decode_ack(message.payload) for message in outgoing]
    return [(int(mark.lane), mark.upto) for mark in marks]


def test_intervals_readings_and_events_are_committed_and_acknowledged_once(
    ingest: Ingest,
    view: View,
    gateway: Any,
    series: Make,
    reading: Callable[..., RegisterReading],
    event: Callable[..., MeterEvent],
) -> None:
    content = Content(
        series=(series("2026-03-08", 5, 6),),
        readings=(reading("2026-03-08", 1000),),
        events=(event(EventKind.LAST_GASP, "2026-03-08T01:00:00"),),
    )
    (outgoing,) = ingest([gateway.send(content), gateway.send(Content())])
    assert outgoing.topic == "quince/v1/north/gw-1/down/ack"
    assert decode_ack(outgoing.payload).upto == 2
    assert view.values() == [5, 6]
    assert view.rows("select value from register_reading") == [(1000,)]
    assert view.rows("select kind from meter_event") == [("last_gasp",)]


def test_each_lane_has_its_own_watermark(ingest: Ingest, gateway: Any) -> None:
    live, events = gateway.send(Content()), gateway.send(Content(), lane=Lane.EVENTS)
    assert sorted(acked(ingest([live, events]))) == [(Lane.EVENTS, 1), (Lane.LIVE, 1)]


def test_a_message_beyond_a_gap_is_not_taken_and_the_watermark_is_told_again(
    ingest: Ingest, view: View, gateway: Any, series: Make
) -> None:
    first, _lost, third = (
        gateway.send(Content(series=(series("2026-03-08", value),))) for value in (5, 5, 9)
    )
    assert acked(ingest([first, third])) == [(Lane.LIVE, 1)]
    assert acked(ingest([third])) == [(Lane.LIVE, 1)]
    assert view.rows("select * from interval_conflict") == []


def test_numbers_that_will_never_come_are_recorded_and_passed(
    ingest: Ingest, view: View, gateway: Any, series: Make
) -> None:
    gateway.last_seq[Lane.LIVE] = 3
    message = gateway.send(Content(series=(series("2026-03-08", 5),)), oldest_seq=4)
    assert acked(ingest([message])) == [(Lane.LIVE, 4)]
    assert view.rows("select first_seq, last_seq from sequence_hole") == [(1, 3)]
    assert view.values() == [5]


def test_what_comes_late_out_of_a_hole_is_not_lost(
    ingest: Ingest, view: View, gateway: Any, series: Make
) -> None:
    late = gateway.send(Content(series=(series("2026-03-08", 5),)))
    ingest([gateway.send(Content(), oldest_seq=2)])
    assert acked(ingest([late])) == [(Lane.LIVE, 2)]
    assert view.values() == [5]


def test_a_new_epoch_starts_anew(ingest: Ingest, new_gateway: Callable[..., Any]) -> None:
    old, new = new_gateway(epoch=7), new_gateway(epoch=2**64 - 1)
    ingest([old.send(Content()), old.send(Content())])
    assert acked(ingest([new.send(Content())])) == [(Lane.LIVE, 1)]


@pytest.mark.parametrize(
    ("address", "refusal"),
    [(("south", "gw-1"), "unknown_gateway"), (("north", "gw-9"), "unknown_gateway")],
)
def test_a_stranger_is_counted_and_hears_nothing(
    ingest: Ingest,
    view: View,
    new_gateway: Callable[..., Any],
    address: tuple[str, str],
    refusal: str,
) -> None:
    stranger = new_gateway(GatewayAddress(cell=address[0], gateway=address[1]))
    assert ingest([stranger.send(Content())]) == ()
    assert view.rows("select refusal from stray_letter") == [(refusal,)]


def test_a_stranger_takes_one_row_per_topic_whatever_it_sends(
    ingest: Ingest, view: View, new_gateway: Callable[..., Any]
) -> None:
    stranger = new_gateway(GatewayAddress(cell="north", gateway="gw-9"))
    ingest([stranger.send(Content()) for _ in range(3)])
    ingest([stranger.send(Content(), lane=Lane.EVENTS)])
    assert view.rows("select topic, times from stray_letter order by topic") == [
        ("quince/v1/north/gw-9/up/ev", 1),
        ("quince/v1/north/gw-9/up/iv", 3),
    ]


def test_strangers_take_no_room_from_the_tenants_letters(
    ingest: Ingest,
    view: View,
    gateway: Any,
    new_gateway: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store_module, "STRAY_TOPICS_MAX", 2)
    monkeypatch.setattr(store_module, "DEAD_LETTERS_MAX", 1)
    strangers = [new_gateway(GatewayAddress(cell="n", gateway=f"gw-{n}")) for n in range(4)]
    ingest([stranger.send(Content()) for stranger in strangers])
    assert view.rows("select count(*) from stray_letter") == [(2,)]
    assert acked(ingest([gateway.send(UNREADABLE)])) == [(Lane.LIVE, 1)]


def test_one_tenants_letters_take_no_room_from_another_tenants(
    ingest: Ingest,
    database: Path,
    registration: str,
    gateway: Any,
    new_gateway: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    south = registration.replace("id = 1", "id = 2").replace("north", "south")
    asyncio.run(wiring.register(database, read_registration(south)))
    monkeypatch.setattr(store_module, "DEAD_LETTERS_MAX", 1)
    other = new_gateway(GatewayAddress(cell="south", gateway="gw-1"))
    ingest([gateway.send(UNREADABLE), gateway.send(UNREADABLE)])
    assert acked(ingest([other.send(UNREADABLE)])) == [(Lane.LIVE, 1)]


def test_an_unreadable_message_sent_again_at_another_time_is_the_same_letter(
    ingest: Ingest, view: View, gateway: Any, new_gateway: Callable[..., Any]
) -> None:
    for sent in (gateway.send(UNREADABLE), new_gateway(sent_utc=NOW_UTC).send(UNREADABLE)):
        view.rows("delete from watermark")  # as if the lane had stopped there
        ingest([sent])
    assert view.rows("select source from dead_letter") == [("north/gw-1/0000000000000007/2/1",)]


def test_octets_that_are_no_message_are_counted_however_often_they_come(
    ingest: Ingest, view: View, gateway: Any
) -> None:
    garbage = Received(topic=gateway.address.up("iv"), payload=b"\xff\xff", received_utc=NOW_UTC)
    assert ingest([garbage, garbage]) == ()
    assert view.rows("select refusal, times from stray_letter") == [("not_a_message", 2)]


def test_unreadable_content_is_kept_and_its_lane_goes_on(
    ingest: Ingest, view: View, gateway: Any, series: Make
) -> None:
    batch = [gateway.send(UNREADABLE), gateway.send(Content(series=(series("2026-03-08", 5),)))]
    assert acked(ingest(batch)) == [(Lane.LIVE, 2)]
    assert view.rows("select tenant_id, refusal from dead_letter") == [(1, "content_unreadable")]
    assert view.values() == [5]


def test_a_lane_stops_at_what_can_neither_be_read_nor_kept(
    ingest: Ingest, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "DEAD_LETTERS_MAX", 0)
    batch = [gateway.send(Content()), gateway.send(UNREADABLE), gateway.send(Content())]
    assert acked(ingest(batch)) == [(Lane.LIVE, 1)]


def test_one_poisonous_message_does_not_stop_the_others(
    ingest: Ingest, view: View, gateway: Any, series: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge = SqliteIntervalStore.merge

    def merge_but_not_13(self: Any, **kwargs: Any) -> Any:
        if any(13 in arrival.series.values for arrival in kwargs["arrivals"]):
            raise OverflowError("13")
        return merge(self, **kwargs)

    monkeypatch.setattr(SqliteIntervalStore, "merge", merge_but_not_13)
    batch = [
        gateway.send(Content(series=(series(f"2026-03-08T0{hour}:00", value),)))
        for hour, value in enumerate((5, 13, 7))
    ]
    garbage = Received(topic="nowhere", payload=b"", received_utc=NOW_UTC)
    assert acked(ingest([*batch, garbage])) == [(Lane.LIVE, 3)]
    assert view.values() == [5, 7]
    assert view.rows("select refusal from dead_letter") == [("content_refused",)]
    assert view.rows("select refusal from stray_letter") == [("not_our_topic",)]


def test_a_spoilt_day_of_one_meter_does_not_stop_the_others(
    ingest: Ingest, view: View, gateway: Any, series: Make
) -> None:
    one = Content(series=(series("2026-03-08", 5),))
    other = Content(series=(series("2026-03-08", 7, meter_id="M2"),))
    ingest([gateway.send(one)])
    view.connection.execute("update interval_block set v = x'00'")
    assert acked(ingest([gateway.send(one), gateway.send(other)])) == [(Lane.LIVE, 3)]
    assert view.values(channel_id=2) == [7]
    assert view.rows("select refusal, length(body) > 0 from dead_letter") == [
        ("content_refused", 1)
    ]


def test_a_state_that_cannot_be_written_is_set_aside(
    ingest: Ingest, view: View, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("cannot be written")

    monkeypatch.setattr(SqliteGatewayStore, "note_contact", fail)
    state = Received(
        topic=gateway.address.up("st"), payload=b'{"state":"online"}', received_utc=NOW_UTC
    )
    assert ingest([state]) == ()
    assert view.rows("select refusal from stray_letter") == [("content_refused",)]


def test_the_disks_fault_is_not_the_messages(
    ingest: Ingest, view: View, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(SqliteIntervalStore, "add_readings", fail)
    with pytest.raises(sqlite3.OperationalError):
        ingest([gateway.send(Content())])
    assert view.rows("select * from watermark") == []
    assert view.rows("select * from dead_letter") == []


def test_another_writer_postpones_the_batch(ingest: Ingest, view: View, gateway: Any) -> None:
    with transaction(view.connection), pytest.raises(StoreBusyError):
        ingest([gateway.send(Content())])
    assert view.rows("select * from watermark") == []


def test_contact_is_kept_with_the_moment_it_changed(
    ingest: Ingest, view: View, gateway: Any
) -> None:
    def state(word: str, hour: int) -> Received:
        return Received(
            topic=gateway.address.up("st"),
            payload=f'{{"state": "{word}"}}'.encode(),
            received_utc=datetime(2026, 3, 8, hour, tzinfo=UTC),
        )

    reader = SqliteIngestReader(view.connection)
    assert reader.contacts(tenant_id=1)[0].online is None
    ingest([state("online", 1), state("online", 2), state("offline", 3), state("offline", 4)])
    (contact,) = reader.contacts(tenant_id=1)
    assert contact.online is False
    assert contact.since_utc == datetime(2026, 3, 8, 3, tzinfo=UTC)


def test_unknown_meters_are_not_lost(
    ingest: Ingest, view: View, gateway: Any, series: Make
) -> None:
    ingest([gateway.send(Content(series=(series("2026-03-08", 5, meter_id="m-new"),)))])
    assert view.rows("select meter_id from channel") == [("m-new",)]
    assert view.values() == [5]


def test_a_register_read_twice_with_two_results_keeps_both(
    ingest: Ingest, view: View, gateway: Any, reading: Callable[..., RegisterReading]
) -> None:
    for value in (1000, 1001, 1000):
        ingest([gateway.send(Content(readings=(reading("2026-03-08", value),)))])
    values = SqliteIntervalStore(view.connection).register_values(
        tenant_id=1,
        meter_id="m-1",
        obis=ACTIVE_IMPORT_REGISTER,
        at_utc=datetime(2026, 3, 8, tzinfo=UTC),
    )
    assert values == (1000, 1001)


def test_an_event_told_twice_is_one_event(
    ingest: Ingest, view: View, gateway: Any, event: Callable[..., MeterEvent]
) -> None:
    gasp = event(EventKind.LAST_GASP, "2026-03-08T01:00:00")
    for _ in range(2):
        ingest([gateway.send(Content(events=(gasp,)), lane=Lane.EVENTS)])
    (logged,) = SqliteIngestReader(view.connection).events_after(tenant_id=1, entry=0, limit=9)
    assert logged.event == gasp


EVERYTHING = (
    "select * from interval_block order by 1, 2, 3",
    "select * from interval_conflict order by 1, 2, 3, 4, 5",
    "select * from watermark order by 1, 2, 3, 4, 5",
    "select * from meter_event order by 1",
    "select * from register_reading order by 1, 2, 3, 4, 5",
)


def dump(view: View) -> list[list[tuple[Any, ...]]]:
    return [view.rows(query) for query in EVERYTHING]


def test_a_whole_batch_again_changes_nothing(
    ingest: Ingest, view: View, gateway: Any, series: Make, event: Callable[..., MeterEvent]
) -> None:
    batch = [
        gateway.send(Content(series=(series("2026-03-08", value, None, 7),))) for value in (5, 5, 6)
    ]
    batch.append(gateway.send(Content(events=(event(EventKind.POWER_UP, "2026-03-08T02:00"),))))
    first_acks = ingest(batch)
    before = dump(view)
    assert ingest(batch) == first_acks
    assert dump(view) == before


@given(order=st.lists(st.integers(0, 5), max_size=30))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_losses_repetitions_and_reorderings_end_in_the_same_database(
    tmp_path_factory: pytest.TempPathFactory,
    database: Path,
    new_gateway: Callable[..., Any],
    series: Make,
    order: list[int],
) -> None:
    gateway = new_gateway()
    messages = [
        gateway.send(Content(series=(series(f"2026-03-08T0{n // 2}:00", n // 3, None, n),)))
        for n in range(6)
    ]
    dumps = []
    for arrivals in (messages, [*(messages[n] for n in order), *messages]):
        path = tmp_path_factory.mktemp("replay") / "headend.sqlite"
        path.write_bytes(database.read_bytes())
        dumps.append(ingest_all(path, arrivals))
    assert dumps[0] == dumps[1]


def ingest_all(path: Path, arrivals: list[Received]) -> list[list[tuple[Any, ...]]]:
    with wiring.open_ingest(path) as accept:
        for message in arrivals:
            accept([message])
    view = View(path)
    result = dump(view)
    view.connection.close()
    return result
