import random
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from quince.edge.errors import OutboxFullError
from quince.edge.outbox import file, store
from quince.edge.outbox.command_table import (
    COMMAND_BYTES_WAITING_MAX,
    CommandState,
    KeptCommand,
)
from quince.edge.outbox.store import Outbox, Round
from quince.edge.schedule.sampling import Sample
from quince.model.event import EventKind, GatewayEventKind, MeterEvent
from quince.model.interval import RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.gateway.messages import (
    CommandResult,
    Content,
    Stage,
    Watermark,
    encode_content,
)
from quince.protocols.gateway.topics import Lane

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def reading(value):
    return RegisterReading(meter_id="M1", obis=ACTIVE_IMPORT_REGISTER, at_utc=NOON, value=value)


def live(*values):
    return Round(messages=tuple((Lane.LIVE, Content(readings=(reading(v),))) for v in values))


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


def test_a_new_stream_keeps_the_order_and_counts_on_from_there(outbox):
    outbox.record(live(1, 2, 3, 4, 5))
    before = [message.body for message in outbox.pending(Lane.LIVE, 2, 9)]
    outbox.acknowledge(Watermark(epoch=outbox.epoch, lane=Lane.LIVE, upto=2))
    outbox.acknowledge(Watermark(epoch=outbox.epoch, lane=Lane.LIVE, upto=9))
    outbox.record(live(6))
    waiting = outbox.pending(Lane.LIVE, 0, 9)
    assert [message.seq for message in waiting] == [1, 2, 3, 4]
    assert [message.body for message in waiting][:3] == before


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


def gasp(detail=""):
    event = MeterEvent(
        meter_id="M1",
        kind=EventKind.LAST_GASP,
        at_utc=NOON,
        received_utc=NOON,
        detail=detail,
    )
    return Round(messages=((Lane.EVENTS, Content(events=(event,))),))


def result(body=b""):
    done = CommandResult(command_id=bytes(16), stage=Stage.DONE, at_utc=NOON, body=body)
    return Round(messages=((Lane.RESULTS, Content(results=(done,))),))


@pytest.mark.usefixtures("outbox")
def test_a_file_is_for_its_owners_eyes_alone(path):
    assert path.stat().st_mode & 0o777 == 0o600


# -- at the cap --------------------------------------------------------------------------------


@pytest.fixture
def small(path, monkeypatch):
    """An outbox of a megabyte, a quarter of it kept free."""
    for module in (file, store):
        monkeypatch.setattr(module, "OUTBOX_BYTES_MAX", 1_048_576)
    monkeypatch.setattr(store, "DRAINED_BYTES_MAX", 524_288)
    kept_free = {Lane.EVENTS: 0, Lane.RESULTS: 131_072, Lane.LIVE: 262_144, Lane.BACKFILL: 262_144}
    monkeypatch.setattr(store, "_KEPT_FREE", kept_free)
    with Outbox(path, random.Random(1)) as opened:
        yield opened


def until_refused(outbox, round_):
    for _ in range(100_000):
        try:
            outbox.record(round_)
        except OutboxFullError:
            return
    pytest.fail("it was never full")


def test_at_the_cap_intervals_are_refused_and_results_and_last_gasps_are_not(small):
    until_refused(small, live(*range(50)))
    small.record(result(bytes(1_000)))
    small.record(gasp())
    assert small.bytes_used > 1_048_576 - 262_144


def test_results_leave_room_for_last_gasps(small):
    until_refused(small, result(bytes(20_000)))
    small.record(gasp())
    assert small.oldest_seq(Lane.EVENTS) == 1


def test_what_was_refused_left_no_trace(small):
    until_refused(small, live(*range(50)))
    before = (small.count, small.coverage("M1"))
    with pytest.raises(OutboxFullError):
        small.record(Round(messages=live(1).messages, coverage={("M1", date(2026, 5, 1)): 1}))
    assert (small.count, small.coverage("M1")) == before


def test_at_the_very_end_even_last_gasps_are_refused_and_acknowledging_makes_room(small):
    until_refused(small, gasp("x" * 2_000))
    kept = small.count
    small.acknowledge(Watermark(epoch=small.epoch, lane=Lane.EVENTS, upto=kept))
    small.record(live(1))
    assert small.count == 1


def test_that_it_is_full_is_told_once_and_that_it_drained_once(small):
    assert small.tell_of_fullness(NOON) is None
    until_refused(small, live(*range(50)))
    assert small.tell_of_fullness(NOON) is GatewayEventKind.OUTBOX_FULL
    until_refused(small, live(1))
    assert small.tell_of_fullness(NOON) is None
    small.acknowledge(Watermark(epoch=small.epoch, lane=Lane.LIVE, upto=small.count - 20))
    assert small.tell_of_fullness(NOON) is GatewayEventKind.OUTBOX_DRAINED
    assert small.tell_of_fullness(NOON) is None
    assert len(small.pending(Lane.EVENTS, 0, 9)) == 2


def test_that_it_was_told_outlives_the_process(path, small):
    until_refused(small, live(*range(50)))
    small.tell_of_fullness(NOON)
    with Outbox(path, random.Random(2)) as again:
        until_refused(again, live(*range(50)))
        assert again.tell_of_fullness(NOON) is None


# -- commands ----------------------------------------------------------------------------------


def kept(number, state=CommandState.WAITING, message=b"signed", forget_utc=NOON):
    return KeptCommand(
        command_id=number.to_bytes(16), state=state, forget_utc=forget_utc, message=message
    )


def test_commands_are_unfinished_in_the_order_they_came_until_they_end(outbox):
    outbox.record(Round(commands=(kept(2), kept(1), kept(3))))
    outbox.record(Round(commands=(kept(2, CommandState.BEGUN), kept(3, CommandState.ENDED, b""))))
    assert outbox.commands.unfinished() == [kept(2, CommandState.BEGUN), kept(1)]
    assert outbox.commands.state_of((3).to_bytes(16)) is CommandState.ENDED
    assert outbox.commands.state_of((4).to_bytes(16)) is None


def test_only_what_ended_is_forgotten(outbox):
    outbox.record(Round(commands=(kept(1), kept(2, CommandState.ENDED))))
    outbox.forget_commands(NOON + timedelta(seconds=1))
    assert outbox.commands.state_of((1).to_bytes(16)) is CommandState.WAITING
    assert outbox.commands.state_of((2).to_bytes(16)) is None


def test_a_command_and_its_result_are_kept_together_or_not_at_all(outbox):
    with pytest.raises(OverflowError):
        outbox.record(
            Round(
                messages=result().messages,
                commands=(kept(1, forget_utc=NOON),),
                coverage={("M1", date(2026, 5, 1)): 1 << 96},
            )
        )
    assert (outbox.count, outbox.commands.unfinished()) == (0, [])


def test_commands_that_wait_have_a_bound_in_octets(outbox):
    outbox.record(Round(commands=(kept(1, message=bytes(COMMAND_BYTES_WAITING_MAX - 10)),)))
    assert outbox.commands.has_room(10)
    assert not outbox.commands.has_room(11)


# -- power cuts --------------------------------------------------------------------------------

_WRITER = """
import random, sys
from datetime import UTC, date, datetime
from pathlib import Path
from quince.edge.outbox.store import Outbox, Round
from quince.model.interval import RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import Lane
now = datetime(2026, 5, 1, tzinfo=UTC)
with Outbox(Path(sys.argv[1]), random.Random(1)) as outbox:
    for value in range(100_000):
        reading = RegisterReading(
            meter_id="M1", obis=ACTIVE_IMPORT_REGISTER, at_utc=now, value=value
        )
        day = date.fromordinal(700_000 + value)
        outbox.record(
            Round(
                messages=((Lane.LIVE, Content(readings=(reading,) * 200)),),
                coverage={("M1", day): 1},
            )
        )
        print(value, flush=True)
"""


def test_a_process_killed_amid_commits_leaves_whole_rounds(path):
    command = [sys.executable, "-c", _WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(300)]
        writer.kill()
        told += writer.stdout.readlines()
    with Outbox(path, random.Random(2)) as again:
        assert again._db.execute("pragma integrity_check").fetchone() == ("ok",)
        assert len(told) <= again.count <= len(told) + 1
        assert len(again.coverage("M1")) == again.count
