from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quince.edge.schedule.sampling import Sample, interval_between
from quince.model.interval import STEP, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def sample(boundary, value, skew_s=1):
    reading = RegisterReading(
        meter_id="M1",
        obis=ACTIVE_IMPORT_REGISTER,
        at_utc=boundary + timedelta(seconds=skew_s),
        value=value,
    )
    return Sample(boundary_utc=boundary, reading=reading)


def interval(before, after, rolls_over_at=None):
    return interval_between(before, after, rolls_over_at=rolls_over_at)


def test_two_neighbouring_samples_enclose_an_interval():
    series: Any = interval(sample(NOON, 1000), sample(NOON + STEP, 1250))
    assert (series.start_utc, series.values) == (NOON, (250,))
    assert series.obis == ACTIVE_IMPORT_INTERVAL
    assert series.quality == (Quality.GOOD,)


def test_a_late_sample_says_so():
    series: Any = interval(sample(NOON, 1000, skew_s=6), sample(NOON + STEP, 1250))
    assert series.quality == (Quality.SAMPLED_LATE,)


def test_a_border_without_a_sample_leaves_the_interval_missing():
    assert interval(None, sample(NOON, 1000)) is None
    assert interval(sample(NOON, 1000), sample(NOON + 2 * STEP, 1500)) is None


def test_a_register_that_went_backwards_encloses_nothing():
    assert interval(sample(NOON, 1000), sample(NOON + STEP, 10)) is None


def test_a_register_that_rolled_over_loses_and_invents_nothing():
    before, after = sample(NOON, 99_999_900), sample(NOON + STEP, 150)
    series: Any = interval(before, after, rolls_over_at=100_000_000)
    assert series.values == (250,)


@pytest.mark.parametrize(
    ("before", "after", "rolls_over_at"),
    [
        (60_000_000, 0, 100_000_000),  # set to 0 far from its end
        (99_999_900, 100_001, 100_000_000),  # more than a thousandth of all it counts
        (100_000_000, 50, 100_000_000),  # a register that cannot stand there
        (4_294_967_290, 10, None),  # nobody knows where it begins again
    ],
)
def test_a_register_that_went_backwards_without_rolling_over_encloses_nothing(
    before, after, rolls_over_at
):
    earlier, later = sample(NOON, before), sample(NOON + STEP, after)
    assert interval(earlier, later, rolls_over_at) is None


def test_a_register_that_is_known_to_roll_over_mostly_does_not():
    series: Any = interval(sample(NOON, 1000), sample(NOON + STEP, 1250), rolls_over_at=10**8)
    assert series.values == (250,)


@pytest.mark.parametrize(("skew_s", "timely"), [(-1, False), (0, True), (60, True), (61, False)])
def test_a_sample_stands_for_its_border_for_a_minute(skew_s, timely):
    assert sample(NOON, 1, skew_s).timely is timely
