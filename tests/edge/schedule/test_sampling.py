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


def test_two_neighbouring_samples_enclose_an_interval():
    series: Any = interval_between(sample(NOON, 1000), sample(NOON + STEP, 1250))
    assert (series.start_utc, series.values) == (NOON, (250,))
    assert series.obis == ACTIVE_IMPORT_INTERVAL
    assert series.quality == (Quality.GOOD,)


def test_a_late_sample_says_so():
    series: Any = interval_between(sample(NOON, 1000, skew_s=6), sample(NOON + STEP, 1250))
    assert series.quality == (Quality.SAMPLED_LATE,)


def test_a_border_without_a_sample_leaves_the_interval_missing():
    assert interval_between(None, sample(NOON, 1000)) is None
    assert interval_between(sample(NOON, 1000), sample(NOON + 2 * STEP, 1500)) is None


def test_a_register_that_went_backwards_encloses_nothing():
    assert interval_between(sample(NOON, 1000), sample(NOON + STEP, 10)) is None


@pytest.mark.parametrize(("skew_s", "timely"), [(-1, False), (0, True), (60, True), (61, False)])
def test_a_sample_stands_for_its_border_for_a_minute(skew_s, timely):
    assert sample(NOON, 1, skew_s).timely is timely
