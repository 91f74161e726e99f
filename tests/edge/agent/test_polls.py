"""Meters with a profile: when they are read, and what of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from quince.edge.agent.bus import BACKFILL_PAUSE
from quince.edge.outbox.store import Round
from quince.edge.schedule.rules import jitter_s
from quince.model.interval import STEP
from quince.model.obis import ACTIVE_IMPORT_INTERVAL
from quince.protocols.gateway.topics import Lane

START = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
JITTER = timedelta(seconds=jitter_s("gw"))
MIDNIGHT = datetime(2026, 5, 2, 6, 0, tzinfo=UTC)  # the meters' own
DAY = timedelta(days=1)
ACTIVE_EXPORT_INTERVAL = replace(ACTIVE_IMPORT_INTERVAL, c=2)


def test_a_new_meter_is_read_at_once(kept, live, make_meter):
    meter = make_meter()
    live([meter.plan()], 1)
    assert meter.visits == [START]
    assert kept.starts() == [MIDNIGHT - DAY]


def test_each_quarter_hour_is_read_once_after_the_gateways_jitter(kept, live, make_meter):
    meter = make_meter()
    live([meter.plan()], 3600)
    boundaries = [MIDNIGHT + (1 + i) * STEP for i in range(4)]
    assert meter.visits[1:] == [boundary + JITTER for boundary in boundaries]
    assert kept.starts(Lane.LIVE)[1:] == [boundary - STEP for boundary in boundaries]


def test_older_days_follow_newest_first_with_a_pause_between(kept, live, make_meter):
    meter = make_meter()
    live([meter.plan()], 60, backfill_days=5)
    assert kept.starts(Lane.LIVE) == [MIDNIGHT - DAY]
    assert kept.starts(Lane.BACKFILL) == [MIDNIGHT - n * DAY for n in (2, 3, 4, 5)]
    assert all(after - before >= BACKFILL_PAUSE for before, after in pairwise(meter.visits[1:]))


def test_a_row_the_meter_writes_late_is_read_when_it_is_there(kept, live, make_meter):
    meter = make_meter()
    meter.late_rows[MIDNIGHT] = MIDNIGHT + timedelta(minutes=40)
    live([meter.plan()], 3600)
    values = [series.values[0] for series in kept.series() if series.start_utc == MIDNIGHT]
    assert sorted(values, key=str) == [900, None, None]


def test_todays_holes_are_read_behind_the_polls_of_the_bus(live, line, make_meter):
    holey, other = make_meter("M1", line=line), make_meter("M2", line=line)
    holey.late_rows = {MIDNIGHT: MIDNIGHT + 5 * DAY}
    live([holey.plan(), other.plan()], 45 * 60)
    assert line.turns[-3:] == ["M1", "M2", "M1"]
    assert [start for _, start, _ in holey.read[-2:]] == [MIDNIGHT + 2 * STEP, MIDNIGHT]


def test_what_the_meter_never_had_is_given_up_behind_an_hour(kept, live, make_meter):
    meter = make_meter()
    meter.late_rows[MIDNIGHT] = MIDNIGHT + timedelta(days=99)
    live([meter.plan()], 3 * 3600)
    asked = [start for _, start, _ in meter.read if start == MIDNIGHT]
    assert len(asked) == 5  # at each border of its first hour
    assert kept.series(Lane.LIVE)[-1].values == (900,)


def test_a_meter_whose_clock_is_behind_is_not_asked_for_the_future(kept, live, make_meter):
    meter = make_meter(behind=timedelta(minutes=20))
    live([meter.plan()], 1)
    (series,) = kept.series(Lane.LIVE)
    assert series.end_utc == MIDNIGHT - STEP


def test_a_meter_whose_clock_is_ahead_is_not_asked_for_the_future(kept, live, make_meter):
    meter = make_meter(behind=timedelta(days=-365))
    live([meter.plan()], 1)
    (series,) = kept.series(Lane.LIVE)
    assert series.end_utc == MIDNIGHT


def test_a_day_that_cannot_be_read_does_not_hide_the_days_behind_it(kept, live, make_meter):
    meter = make_meter()
    meter.broken_day = MIDNIGHT
    live([meter.plan()], 1200)
    assert kept.starts() == [MIDNIGHT - DAY]
    assert len(meter.visits) > 3


def test_older_days_are_read_though_today_cannot_be(kept, live, make_meter):
    meter = make_meter()
    meter.broken_day = MIDNIGHT - DAY
    live([meter.plan()], 60, backfill_days=3)
    assert kept.starts() == [MIDNIGHT - 2 * DAY, MIDNIGHT - 3 * DAY]


def test_older_days_do_not_speed_up_the_tries_for_today(live, make_meter):
    meter = make_meter()
    meter.broken_day = MIDNIGHT - DAY
    live([meter.plan()], 300, backfill_days=60)
    older = [start for _, start, _ in meter.read if start < MIDNIGHT - DAY]
    assert len(older) == 59
    assert len(meter.visits) - len(older) == 6  # at 0, 5, 15, 35, 75, 155 seconds


def test_an_older_day_that_cannot_be_read_is_tried_again_behind_the_next_poll(live, make_meter):
    meter = make_meter()
    meter.noise = {(2, MIDNIGHT - 2 * DAY)}
    live([meter.plan()], 900, backfill_days=3)
    starts = [start for _, start, _ in meter.read]
    assert starts == [MIDNIGHT - DAY, MIDNIGHT - 3 * DAY, MIDNIGHT, MIDNIGHT - 2 * DAY]


def test_every_channel_of_a_meter_travels_with_its_active_import(live, kept, make_meter):
    def both_ways(piece):
        return replace(piece, others=(replace(piece.series, obis=ACTIVE_EXPORT_INTERVAL),))

    meter = make_meter()
    meter.answering_as = both_ways
    live([meter.plan()], 10)
    channels = {tuple(one.obis for one in each.series) for each in kept.contents(Lane.LIVE)}
    assert channels == {(ACTIVE_IMPORT_INTERVAL, ACTIVE_EXPORT_INTERVAL)}


def test_a_year_of_backlog_leaves_31_others_their_quarter_hours(live, outbox, make_meter, line):
    late = make_meter("late", line=line)
    late.span_s = 20
    others = [make_meter(f"M{n}", line=line) for n in range(31)]
    for other in others:
        other.slow_s = other.span_s = 5
        cover_the_past(outbox, other.meter_id, days=366)
    live([late.plan(), *(other.plan() for other in others)], 2 * 3600, backfill_days=365)
    for other in others:
        ends = [end for _, start, end in other.read if end - start == STEP]
        assert ends == [MIDNIGHT + n * STEP for n in range(1, len(ends) + 1)]
        assert len(ends) >= 7
        assert all(read - end < STEP for read, _, end in other.read[1:])
    assert len(late.read) > 100


def cover_the_past(outbox, meter_id, *, days):
    every = 2**96 - 1
    past = {(meter_id, (MIDNIGHT - n * DAY).date()): every for n in range(1, days + 1)}
    outbox.record(Round(coverage=past))


def test_a_clock_that_runs_sixty_times_as_fast_gets_all_its_quarter_hours(live, kept, make_meter):
    class FastClock:
        def __init__(self, real):
            self._real = real

        def now_utc(self):
            return START + (self._real.now_utc() - START) * 60

        def seconds_until(self, moment_utc):
            return max(0.0, (moment_utc - self.now_utc()).total_seconds() / 60)

    meter = make_meter()
    meter.true_clock = FastClock(meter.true_clock)
    live([meter.plan()], 600, clock=meter.true_clock)
    assert sum(len(one.values) for one in kept.series()) == 96 + 40
    assert kept.events() == []
