from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError
from quince.model.quality import Quality
from quince.protocols.dlms.cosem.clock import ClockQuirk, MeterTime
from quince.protocols.dlms.encoding.date_time import decode_date_time, encode_date_time

# 2025-10-26 02:30 in Berlin comes twice: at UTC+2 with daylight saving, and then at UTC+1.
FIRST_PASS = bytes.fromhex("07e90a1a07021e0000800080")
SECOND_PASS = bytes.fromhex("07e90a1a07021e0000800000")
HALF_PAST_MIDNIGHT = datetime(2025, 10, 26, 0, 30, tzinfo=UTC)


def test_the_saving_bit_tells_the_passes_of_the_repeated_hour_apart() -> None:
    berlin = MeterTime(standard_offset_min=60)
    assert berlin.read(FIRST_PASS).at_utc == HALF_PAST_MIDNIGHT
    assert berlin.read(SECOND_PASS).at_utc == HALF_PAST_MIDNIGHT + timedelta(hours=1)


def test_a_meter_that_stays_on_standard_time_is_believed_whatever_its_saving_bit_says() -> None:
    kamstrup = MeterTime(
        standard_offset_min=60, quirks=[ClockQuirk.NO_DEVIATION_STANDARD_TIME.value]
    )
    assert kamstrup.read(FIRST_PASS) == kamstrup.read(SECOND_PASS)
    unspecified = FIRST_PASS[:11] + b"\xff"
    assert kamstrup.read(unspecified).at_utc == HALF_PAST_MIDNIGHT + timedelta(hours=1)


def test_an_inverted_deviation_counts_east() -> None:
    inverted = MeterTime(standard_offset_min=60, quirks=[ClockQuirk.DEVIATION_INVERTED])
    noon = bytes.fromhex("07e90303010c000000003c00")
    assert inverted.read(noon).at_utc == datetime(2025, 3, 3, 11, 0, tzinfo=UTC)
    assert inverted.write(datetime(2025, 3, 3, 11, 0, tzinfo=UTC)) == noon


def test_a_time_is_written_with_and_without_its_deviation() -> None:
    time = MeterTime(standard_offset_min=-360)
    noon = datetime(2025, 3, 3, 18, 0, tzinfo=UTC)
    assert time.write(noon).hex() == "07e90303010c000000016800"
    assert time.write(noon, with_deviation=False).hex() == "07e90303010c000000800000"


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        ("07e90303010b000000016800", "07e90303010c000000016800"),
        ("07e90703040c000000ff8880", "07e903030114000000ff8880"),
        ("07e90303010b000000800000", "07e90303010c000000800000"),
        ("07e90303010b000000800080", "07e90303010d000000800080"),
        ("07e90303010b0000ff8000ff", "07e90303010c000000800000"),
    ],
)
def test_a_clock_is_set_in_the_manner_it_shows(shown: str, written: str) -> None:
    time = MeterTime(standard_offset_min=-360)
    to_utc = datetime(2025, 3, 3, 18, 0, tzinfo=UTC)
    assert time.write_like(bytes.fromhex(shown), to_utc).hex() == written


@pytest.mark.parametrize(
    "octets",
    [
        "07e90303010c0000000168",
        "07e90303ff180000000168ff",
        "07e90303ff0c3c00000168ff",
        "07e90303ff0c003c000168ff",
        "07e90303ffff0000000168ff",
        "07e90f03ff0c0000000168ff",
        "ffff0303ff0c0000000168ff",
    ],
)
def test_what_is_no_moment_has_no_stamp(octets: str) -> None:
    with pytest.raises(CodecError):
        MeterTime(standard_offset_min=0).stamp(bytes.fromhex(octets))


def test_a_missing_deviation_needs_a_known_standard_time() -> None:
    with pytest.raises(CodecError):
        MeterTime().stamp(FIRST_PASS)


def test_a_stamp_is_told_again_after_years_of_other_days() -> None:
    time = MeterTime(standard_offset_min=0)
    days = [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(1500)]
    octets = [encode_date_time(day, utc_offset_min=0) for day in (*days, days[0])]
    at_s, _quality = time.stamps(octets)
    assert at_s == [int(day.timestamp()) for day in (*days, days[0])]


@settings(max_examples=200)
@given(
    st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2099, 1, 1)),  # noqa: DTZ001 - made aware below
    st.integers(-720, 840),
    st.integers(0, 255),
)
def test_a_stamp_is_what_the_moment_is(naive: datetime, offset_min: int, status: int) -> None:
    at_utc = naive.replace(tzinfo=UTC, microsecond=0)
    octets = encode_date_time(at_utc, utc_offset_min=offset_min, status=status)
    moment = decode_date_time(octets)
    assert MeterTime().stamp(octets) == (int(at_utc.timestamp()), moment.quality)
    assert isinstance(moment.quality, Quality)
