import random
from datetime import UTC, date, datetime, timedelta

import pytest

from quince.edge.errors import OutboxFullError
from quince.edge.outbox import store
from quince.edge.outbox.store import Outbox, Round
from quince.edge.schedule.sampling import Sample
from quince.model.event import EventKind, MeterEvent
from quince.model.interval import RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.gateway.messages import Content, Watermark, encode_content
from quince.protocols.gateway.topics import Lane

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def reading(value):
    return RegisterReading(meter_id="M1", obis=ACTIVE_IMPORT_REGISTER, at_utc=NOON, value=value)


def live(*values):
    return Round(messages=tuple((Lane.LIVE, Content(readings=(reading(v),))) for v in values))


def fill(outbox):
    for value in range(10_000):
        outbox.record(live(*range(value, value + 50)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path):
    with Outbox(path, random.Random(1)) as opened:
        yield opened


def seqs(outbox, lane=Lane.LIVE):
    return [message.seq for message in outbox.pending(lane, 0, 100)]


def test_sequence_numbers_count_from_one_in_each_lane(outbox):
    outbox.record(live(10, 11))
    outbox.record(Round(messages=((Lane.BACKFILL, Content(readings=(reading(9),))),)))
    assert seqs(outbox) == [1, 2]
    assert seqs(outbox, Lane.BACKFILL) == [1]
    assert outbox.pending(Lane.LIVE, 1, 5)[0].body == encode_content(
        Content(readings=(reading(11),))
    )


def test_a_message_leaves_only_by_the_watermark(outbox):
    outbox.record(live(1, 2, 3))
    outbox.acknowledge(Watermark(epoch=outbox.epoch, lane=Lane.LIVE, upto=2))
    assert seqs(outbox) == [3]
    assert outbox.oldest_seq(Lane.LIVE) == 3


def test_sequence_numbers_are_not_reused_after_all_was_delivered(outbox):
    outbox.record(live(1, 2))
    outbox.acknowledge(Watermark(epoch=outbox.epoch, lane=Lane.LIVE, upto=2))
    outbox.record(live(3))
    assert seqs(outbox) == [3]
    assert outbox.oldest_seq(Lane.BACKFILL) is None


def test_a_watermark_of_another_stream_means_nothing(outbox):
    outbox.record(live(1))
    outbox.acknowledge(Watermark(epoch=outbox.epoch ^ 1, lane=Lane.LIVE, upto=9))
    assert outbox.count == 1


def test_a_watermark_beyond_what_was_sent_starts_a_new_stream(outbox):
    outbox.record(live(1, 2))
    outbox.acknowledge(Watermark(epoch=outbox.epoch, lane=Lane.LIVE, upto=1))
    before, body = outbox.epoch, outbox.pending(Lane.LIVE, 0, 1)[0].body
    outbox.acknowledge(Watermark(epoch=before, lane=Lane.LIVE, upto=3))
    assert outbox.epoch != before
    assert [(m.seq, m.body) for m in outbox.messages()] == [(1, body)]


def test_everything_outlives_the_process(path, outbox):
    outbox.record(Round(messages=live(5).messages, coverage={("M1", date(2026, 5, 1)): 0b110}))
    with Outbox(path, random.Random(2)) as again:
        assert again.epoch == outbox.epoch
        assert seqs(again) == [1]
        assert again.coverage("M1") == {date(2026, 5, 1): 0b110}


def test_coverage_adds_up_and_old_days_are_forgotten(outbox):
    day, earlier = date(2026, 5, 1), date(2026, 4, 1)
    outbox.record(Round(coverage={("M1", day): 1, ("M1", earlier): 1, ("M2", day): 8}))
    outbox.record(Round(coverage={("M1", day): 4}))
    outbox.forget_coverage("M1", day)
    assert outbox.coverage("M1") == {day: 5}


def test_the_latest_sample_is_kept_with_its_true_moment(outbox):
    late = RegisterReading(
        meter_id="M1",
        obis=ACTIVE_IMPORT_REGISTER,
        at_utc=NOON + timedelta(seconds=3),
        value=77,
    )
    assert outbox.last_sample("M1", ACTIVE_IMPORT_REGISTER) is None
    outbox.record(Round(samples=(Sample(boundary_utc=NOON, reading=late),)))
    assert outbox.last_sample("M1", ACTIVE_IMPORT_REGISTER).reading == late


def test_a_round_is_kept_whole_or_not_at_all(outbox):
    with pytest.raises(OverflowError):
        outbox.record(
            Round(messages=live(1).messages, coverage={("M1", date(2026, 5, 1)): 1 << 96})
        )
    assert outbox.count == 0


def test_a_full_outbox_refuses_intervals_but_takes_a_last_gasp(outbox, monkeypatch):
    monkeypatch.setattr(store, "OUTBOX_BYTES_MAX", outbox.bytes_used - 1)
    monkeypatch.setattr(store, "_RESERVE_BYTES", 0)
    with pytest.raises(OutboxFullError):
        outbox.record(live(1))
    gasp = MeterEvent(meter_id="M1", kind=EventKind.LAST_GASP, at_utc=NOON, received_utc=NOON)
    outbox.record(Round(messages=((Lane.EVENTS, Content(events=(gasp,))),)))
    assert outbox.count == 1


def test_a_disk_at_its_cap_is_a_policy_not_a_crash(path, monkeypatch):
    monkeypatch.setattr(store, "OUTBOX_BYTES_MAX", 16 * 4096)
    monkeypatch.setattr(store, "_RESERVE_BYTES", -(10**9))
    with Outbox(path, random.Random(1)) as small:
        with pytest.raises(OutboxFullError):
            fill(small)
        kept = small.count
        small.acknowledge(Watermark(epoch=small.epoch, lane=Lane.LIVE, upto=kept))
        small.record(live(1))
        assert small.count == 1
