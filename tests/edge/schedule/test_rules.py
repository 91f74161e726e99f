from datetime import UTC, date, datetime, timedelta

from hypothesis import given, strategies as st

from quince.edge.schedule.rules import (
    JITTER_S_MAX,
    Span,
    day_start,
    is_covered,
    jitter_s,
    mark,
    next_boundary,
    uncovered,
    window,
)
from quince.model.interval import STEP, IntervalSeries
from quince.model.obis import ACTIVE_IMPORT_INTERVAL
from quince.model.quality import Quality

MIDNIGHT = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)  # in El Salvador, UTC-6
EL_SALVADOR = -360
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def read(start_utc, *values):
    """A series as a meter gave it; None where it had nothing."""
    return IntervalSeries(
        meter_id="M1",
        obis=ACTIVE_IMPORT_INTERVAL,
        start_utc=start_utc,
        values=values,
        quality=tuple(Quality.MISSING if v is None else Quality.GOOD for v in values),
    )


def test_the_window_opens_at_local_midnight_days_ago():
    now = datetime(2026, 5, 2, 6, 7, tzinfo=UTC)
    expected = Span(MIDNIGHT - timedelta(days=1), datetime(2026, 5, 2, 6, 0, tzinfo=UTC))
    assert window(now, days=2, utc_offset_min=EL_SALVADOR) == expected


def test_before_local_midnight_the_local_day_is_yesterdays():
    now = datetime(2026, 5, 2, 5, 59, tzinfo=UTC)
    assert window(now, days=0, utc_offset_min=EL_SALVADOR).start_utc == MIDNIGHT


def test_nothing_covered_is_read_by_local_day_newest_first():
    whole = Span(MIDNIGHT - timedelta(days=1), MIDNIGHT + timedelta(hours=1))
    assert uncovered({}, whole, utc_offset_min=EL_SALVADOR) == [
        Span(MIDNIGHT, MIDNIGHT + timedelta(hours=1)),
        Span(MIDNIGHT - timedelta(days=1), MIDNIGHT),
    ]


def test_a_hole_splits_the_day():
    whole = Span(MIDNIGHT, MIDNIGHT + timedelta(hours=2))
    covered = mark(read(MIDNIGHT + STEP, 7), settled_utc=NEVER)
    assert uncovered(covered, whole, utc_offset_min=EL_SALVADOR) == [
        Span(MIDNIGHT, MIDNIGHT + STEP),
        Span(MIDNIGHT + 2 * STEP, whole.end_utc),
    ]


def test_what_the_meter_had_nothing_for_is_asked_again_until_it_is_settled():
    whole = Span(MIDNIGHT, MIDNIGHT + 3 * STEP)
    series = read(MIDNIGHT, None, 5, None)
    covered = mark(series, settled_utc=MIDNIGHT + STEP)
    assert uncovered(covered, whole, utc_offset_min=EL_SALVADOR) == [
        Span(MIDNIGHT + 2 * STEP, whole.end_utc)
    ]


@given(st.sets(st.integers(0, 287)), st.integers(0, 288), st.integers(0, 288))
def test_reading_what_is_uncovered_covers_the_window(slots, first, count):
    start = MIDNIGHT + first * STEP
    whole = Span(start, start + count * STEP)
    covered: dict[date, int] = {}
    for slot in slots:
        cover(covered, read(MIDNIGHT + slot * STEP, 1))
    for span in uncovered(covered, whole, utc_offset_min=EL_SALVADOR):
        values = (1,) * ((span.end_utc - span.start_utc) // STEP)
        assert cover(covered, read(span.start_utc, *values)) == len(values)
    assert uncovered(covered, whole, utc_offset_min=EL_SALVADOR) == []


def cover(covered, series):
    """Add a series to the coverage; return how many of its slots were new."""
    new = 0
    for day, bits in mark(series, settled_utc=NEVER).items():
        new += (bits & ~covered.get(day, 0)).bit_count()
        covered[day] = covered.get(day, 0) | bits
    return new


def test_jitter_is_stable_and_differs_between_gateways():
    delays = {jitter_s(f"gw-{number}") for number in range(200)}
    assert jitter_s("gw-1") == jitter_s("gw-1")
    assert max(delays) < JITTER_S_MAX
    assert len(delays) > 60


def test_the_next_boundary_is_after_now():
    assert next_boundary(MIDNIGHT) == MIDNIGHT + STEP
    assert next_boundary(MIDNIGHT + timedelta(seconds=899)) == MIDNIGHT + STEP


@given(st.sets(st.integers(0, 287)), st.integers(0, 287), st.integers(-48, 56))
def test_what_is_uncovered_is_what_a_slow_look_at_each_slot_finds(slots, count, quarters):
    whole = Span(MIDNIGHT, MIDNIGHT + count * STEP)
    covered: dict[date, int] = {}
    for slot in slots:
        cover(covered, read(MIDNIGHT + slot * STEP, 1))
    spans = uncovered(covered, whole, utc_offset_min=quarters * 15)
    found = {span.start_utc + i * STEP for span in spans for i in range(length(span))}
    assert found == {MIDNIGHT + slot * STEP for slot in set(range(count)) - slots}
    days = [day_start(span.start_utc, utc_offset_min=quarters * 15) for span in spans]
    assert days == sorted(days, reverse=True)
    assert all(
        day_start(span.end_utc - STEP, utc_offset_min=quarters * 15) == day
        for span, day in zip(spans, days, strict=True)
    )


def length(span):
    return (span.end_utc - span.start_utc) // STEP


def test_a_covered_quarter_hour_is_known_and_its_neighbours_are_not():
    covered = mark(read(MIDNIGHT, 7), settled_utc=NEVER)
    assert is_covered(covered, MIDNIGHT)
    assert not is_covered(covered, MIDNIGHT + STEP)
    assert not is_covered(covered, MIDNIGHT + timedelta(days=1))
