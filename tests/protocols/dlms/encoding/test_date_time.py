from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.model.quality import Quality
from quince.protocols.dlms.encoding.date_time import decode_date_time, encode_date_time

NOON = datetime(2025, 3, 3, 12, 0, tzinfo=UTC)


def test_san_salvador_adds_360_minutes_to_its_morning() -> None:
    octets = encode_date_time(NOON, utc_offset_min=-360)
    assert octets == bytes.fromhex("07e90303 01 06000000 0168 00")
    assert decode_date_time(octets).at_utc == NOON


def test_berlin_in_summer_subtracts_120_minutes() -> None:
    moment = decode_date_time(bytes.fromhex("07e70706040a362600ff8880"))
    assert moment.at_utc == datetime(2023, 7, 6, 8, 54, 38, tzinfo=UTC)
    assert moment.quality is Quality.GOOD


def test_deviation_0_is_utc() -> None:
    assert decode_date_time(encode_date_time(NOON, utc_offset_min=0)).at_utc == NOON


def test_status_ff_says_nothing_rather_than_everything() -> None:
    octets = encode_date_time(NOON, utc_offset_min=0, status=0xFF)
    assert decode_date_time(octets).quality is Quality.GOOD


@pytest.mark.parametrize(
    ("status", "quality"),
    [
        (0x00, Quality.GOOD),
        (0x01, Quality.CLOCK_INVALID),
        (0x02, Quality.CLOCK_DOUBTFUL),
        (0x04, Quality.CLOCK_DOUBTFUL),
        (0x83, Quality.CLOCK_INVALID | Quality.CLOCK_DOUBTFUL),
        (0x80, Quality.GOOD),
    ],
)
def test_the_clock_status_travels_with_the_moment(status: int, quality: Quality) -> None:
    octets = encode_date_time(NOON, utc_offset_min=0, status=status)
    assert decode_date_time(octets).quality == quality


def test_an_unspecified_deviation_needs_a_fallback() -> None:
    octets = bytes.fromhex("07e90303ff060000ff800000")
    assert decode_date_time(octets, fallback_offset_min=-360).at_utc == NOON
    with pytest.raises(CodecError):
        decode_date_time(octets)


def test_the_daylight_saving_bit_tells_the_repeated_hour_apart() -> None:
    summer = bytes.fromhex("07e90a1aff021e00ff800080")
    winter = bytes.fromhex("07e90a1aff021e00ff800000")
    first = decode_date_time(summer, fallback_offset_min=60).at_utc
    second = decode_date_time(winter, fallback_offset_min=60).at_utc
    assert second - first == timedelta(hours=1)


@pytest.mark.parametrize(
    "octets",
    [
        "ffff0303ff060000ff016800",
        "07e9ff03ff060000ff016800",
        "07e903fdff060000ff016800",
        "07e90303ffff0000ff016800",
        "07e90303ff06ff00ff016800",
        "07e90303ff0600ffff016800",
        "07e90303ff060000ff7fff00",
        "00010101ff000000fffd0000",
        "07e90303",
    ],
)
def test_a_wildcard_is_no_moment(octets: str) -> None:
    with pytest.raises(CodecError):
        decode_date_time(bytes.fromhex(octets))


def test_an_offset_no_place_has_is_not_written() -> None:
    with pytest.raises(InvalidValueError):
        encode_date_time(NOON, utc_offset_min=15 * 60)


@settings(max_examples=100)
@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001 - made aware below
    st.integers(-12 * 60, 14 * 60),
)
def test_every_moment_is_read_as_it_was_written(naive: datetime, offset_min: int) -> None:
    moment = naive.replace(microsecond=naive.microsecond // 10_000 * 10_000, tzinfo=UTC)
    assert decode_date_time(encode_date_time(moment, utc_offset_min=offset_min)).at_utc == moment
