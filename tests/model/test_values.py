from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.clocks import StoppedClock

from quince.model.clock import ScaledClock, SystemClock, parse_clock
from quince.model.environment import refuse_misspelt
from quince.model.errors import InvalidValueError
from quince.model.event import EventKind, MeterEvent
from quince.model.interval import IntervalSeries, RegisterReading, floor_boundary
from quince.model.obis import (
    ACTIVE_IMPORT_INTERVAL,
    ACTIVE_IMPORT_REGISTER,
    Obis,
    interval_channel,
    register_channel,
)
from quince.model.quality import Quality

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
octet = st.integers(0, 255)


@given(octet, octet, octet, octet, octet, octet)
def test_an_obis_code_survives_text_and_octets(a, b, c, d, e, f):
    obis = Obis(a, b, c, d, e, f)
    assert Obis.parse(str(obis)) == obis
    assert Obis.from_bytes(bytes(obis)) == obis


@pytest.mark.parametrize(
    "text", ["1.8.0", "1-0:1.8", "1-0:1.8.0*", "1-0:256.8.0", "1-0:1.8.0*101x"]
)
def test_a_malformed_obis_code_is_refused(text):
    with pytest.raises(InvalidValueError):
        Obis.parse(text)


def test_a_logical_name_of_five_octets_is_refused():
    with pytest.raises(InvalidValueError, match="6 octets"):
        Obis.from_bytes(b"\1\0\1\x08\0")


def test_a_register_and_its_intervals_know_each_other():
    assert interval_channel(ACTIVE_IMPORT_REGISTER) == ACTIVE_IMPORT_INTERVAL
    assert register_channel(ACTIVE_IMPORT_INTERVAL) == ACTIVE_IMPORT_REGISTER


def test_only_a_register_has_an_interval_channel():
    with pytest.raises(InvalidValueError, match="D = 8"):
        interval_channel(ACTIVE_IMPORT_INTERVAL)
    with pytest.raises(InvalidValueError, match="D = 29"):
        register_channel(ACTIVE_IMPORT_REGISTER)


def series(**changes):
    good: dict[str, Any] = {
        "meter_id": "M1",
        "obis": ACTIVE_IMPORT_INTERVAL,
        "start_utc": NOON,
        "values": (1, None),
        "quality": (Quality.GOOD, Quality.MISSING),
    }
    return IntervalSeries(**good | changes)


def test_a_series_ends_where_its_last_interval_ends():
    assert series().end_utc == NOON + timedelta(minutes=30)


@pytest.mark.parametrize(
    "changes",
    [
        {"start_utc": NOON + timedelta(minutes=1)},
        {"start_utc": NOON.replace(tzinfo=None)},
        {"start_utc": NOON.astimezone(timezone(timedelta(hours=-6)))},
        {"quality": (Quality.GOOD,)},
        {"quality": (Quality.GOOD, Quality.GOOD)},
        {"quality": (Quality.MISSING, Quality.MISSING)},
        {"values": (-1, None)},
        {"values": (2**31, None)},
    ],
)
def test_a_series_refuses_to_be_wrong(changes):
    with pytest.raises(InvalidValueError):
        series(**changes)


def test_a_register_does_not_go_below_zero():
    with pytest.raises(InvalidValueError, match="below zero"):
        RegisterReading(meter_id="M1", obis=ACTIVE_IMPORT_REGISTER, at_utc=NOON, value=-1)


def test_an_event_happens_in_utc():
    with pytest.raises(InvalidValueError, match="at_utc"):
        MeterEvent(
            meter_id="M1",
            kind=EventKind.LAST_GASP,
            at_utc=NOON.replace(tzinfo=None),
            received_utc=NOON,
        )


def test_the_boundary_at_or_before_a_moment():
    assert floor_boundary(NOON + timedelta(minutes=14, seconds=59)) == NOON
    assert floor_boundary(NOON) == NOON


def test_a_scaled_clock_runs_from_its_start_at_its_speed():
    midnight = datetime(2026, 1, 1, tzinfo=UTC)
    clock = ScaledClock(
        start_utc=midnight,
        anchor_utc=NOON - timedelta(seconds=10),
        speed=60,
        real=StoppedClock(NOON),
    )
    assert clock.now_utc() == midnight + timedelta(minutes=10)
    assert clock.seconds_until(midnight + timedelta(minutes=25)) == 15
    assert clock.seconds_until(midnight) == 0


def test_the_system_clock_waits_for_the_future_only():
    clock = SystemClock()
    assert clock.now_utc().tzinfo is UTC
    assert 3590 < clock.seconds_until(clock.now_utc() + timedelta(hours=1)) <= 3600
    assert clock.seconds_until(NOON.replace(year=2000)) == 0


def test_a_clock_is_read_from_text():
    clock = parse_clock("2026-05-02T06:05:00Z@2026-11-20T10:00:00+00:00x60")
    assert isinstance(clock, ScaledClock)
    assert clock.speed == 60
    assert clock.start_utc == datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
    assert isinstance(parse_clock("system"), SystemClock)


@pytest.mark.parametrize(
    "text",
    [
        "fast",
        "2026-05-02T06:05:00@2026-11-20T10:00:00Zx60",
        "2026-05-02T06:05:00-06:00@2026-11-20T10:00:00Zx60",
        "yesterday@2026-11-20T10:00:00Zx60",
        "2026-05-02T06:05:00Z@2026-11-20T10:00:00Zx0",
    ],
)
def test_a_clock_nobody_could_mean_is_refused(text):
    with pytest.raises(InvalidValueError, match="clock"):
        parse_clock(text)


def test_a_misspelt_setting_is_refused_with_the_nearest_name():
    with pytest.raises(InvalidValueError, match="QUINCE_EDGE_CLOCK"):
        refuse_misspelt(["QUINCE_EDGE_CLOK", "PATH"], prefix="QUINCE_EDGE_", fields=["clock"])


def test_an_unknown_setting_is_refused_with_the_known_names():
    with pytest.raises(InvalidValueError, match="known: QUINCE_EDGE_CLOCK"):
        refuse_misspelt(["QUINCE_EDGE_OUTBOX_BYTES_MAX"], prefix="QUINCE_EDGE_", fields=["clock"])


def test_settings_are_read_without_regard_to_case():
    refuse_misspelt(["quince_edge_clock"], prefix="QUINCE_EDGE_", fields=["clock"])
