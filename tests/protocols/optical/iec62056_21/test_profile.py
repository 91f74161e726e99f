"""The load profile P.01: sections from text and back, quarter-hours out of sections."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.model.quality import Quality
from quince.protocols.optical.iec62056_21.datasets import render_energy
from quince.protocols.optical.iec62056_21.profile import (
    Channel,
    Section,
    active_import,
    active_import_registers,
    begun_quarter,
    parse_profile,
    parse_range,
    render_profile,
    render_range,
)

MIDNIGHT = datetime(2026, 5, 1, 6, tzinfo=UTC)  # in El Salvador
EL_SALVADOR_MIN = -360
HEAD = "P.01(0260501001500)(00)(15)(1)(1.29.0)(kWh)\r\n"


def quarter(number: int) -> datetime:
    return MIDNIGHT + number * timedelta(minutes=15)


@st.composite
def sections(draw: st.DrawFn) -> Section:
    width = draw(st.integers(1, 4))
    row = st.tuples(*[st.integers(0, 10**6).map(render_energy)] * width)
    return Section(
        first_end_utc=quarter(draw(st.integers(0, 200))),
        status=draw(st.integers(0, 255)),
        period_min=15,
        channels=tuple(Channel(address=f"{i}.29", unit="kWh") for i in range(1, width + 1)),
        rows=tuple(draw(st.lists(row, max_size=5))),
    )


@given(st.lists(sections(), max_size=3), st.sampled_from([-360, 0, 60]))
def test_a_profile_comes_back_from_its_text(profile: list[Section], offset_min: int) -> None:
    assert parse_profile(render_profile(profile, offset_min), offset_min) == profile


@given(st.text("P.01(2)5*kWh\r\n", max_size=80))
def test_arbitrary_text_raises_codec_error_and_nothing_else(text: str) -> None:
    try:
        profile = parse_profile(HEAD + text, 0)
    except CodecError:
        return
    assert profile


def test_an_emh_profile_of_another_hand_is_read() -> None:
    (section,) = parse_profile(
        "P.01(1220823161500)(00000000)(15)(6)(1.5)(kW)(2.5)(kW)(5.5)(kvar)(6.5)(kvar)(7.5)(kvar)"
        "(8.5)(kvar)\r\n(0.18374)(0.00078)(0.00000)(0.00006)(0.00087)(0.02431)\r\n"
        "(0.16832)(0.00000)(0.00000)(0.00000)(0.00000)(0.02686)",
        60,
    )
    assert section.first_end_utc == datetime(2022, 8, 23, 14, 15, tzinfo=UTC)
    assert section.channels[2] == Channel(address="5.5", unit="kvar")
    assert [row[0] for row in section.rows] == ["0.18374", "0.16832"]


def test_rows_may_follow_their_head_on_the_same_line() -> None:
    (section,) = parse_profile(HEAD.strip() + "(0.001)(0.002)", EL_SALVADOR_MIN)
    assert section.rows == (("0.001",), ("0.002",))


def test_an_error_says_that_there_is_nothing() -> None:
    assert parse_profile("P.01(ERROR)", 0) == []


def test_rows_are_named_by_their_end() -> None:
    profile = parse_profile(HEAD + "(0.040)\r\n(1.002)\r\n", EL_SALVADOR_MIN)
    assert active_import(profile) == {
        quarter(0): (40, Quality.GOOD),
        quarter(1): (1002, Quality.GOOD),
    }


def test_the_register_stands_at_the_end_of_its_row() -> None:
    head = "P.01(0260501001500)(00)(15)(2)(1-0:1.29.0)(kWh)(1-0:1.8.0)(kWh)\r\n"
    profile = parse_profile(head + "(0.040)(7.040)\r\n(0.002)(7.042)", EL_SALVADOR_MIN)
    assert active_import_registers(profile) == {quarter(1): 7040, quarter(2): 7042}
    assert active_import(profile)[quarter(0)] == (40, Quality.GOOD)


@pytest.mark.parametrize(
    ("status", "quality"),
    [
        ("80", Quality.POWER_FAIL),
        ("40", Quality.POWER_FAIL),
        ("20", Quality.CLOCK_ADJUSTED),
        ("10", Quality.RESET),
        ("08", Quality.GOOD),
        ("04", Quality.CLOCK_DOUBTFUL),
        ("02", Quality.CLOCK_INVALID),
        ("A0", Quality.POWER_FAIL | Quality.CLOCK_ADJUSTED),
    ],
)
def test_the_status_word_becomes_quality(status: str, quality: Quality) -> None:
    profile = parse_profile(HEAD.replace("(00)", f"({status})") + "(0.001)", EL_SALVADOR_MIN)
    assert active_import(profile) == {quarter(0): (1, quality)}


def test_a_value_the_meter_disowns_is_missing() -> None:
    profile = parse_profile(HEAD.replace("(00)", "(01)") + "(0.001)", EL_SALVADOR_MIN)
    assert active_import(profile) == {quarter(0): (None, Quality.MISSING)}
    assert active_import_registers(profile) == {}


def test_two_parts_of_one_quarter_hour_add_up() -> None:
    cut = "P.01(0260501003710)(80)(15)(1)(1.29)(kWh)\r\n(0.020)\r\n"
    rest = "P.01(0260501004500)(40)(15)(1)(1.29)(kWh)\r\n(0.003)\r\n(0.005)\r\n"
    profile = parse_profile(cut + rest, EL_SALVADOR_MIN)
    assert active_import(profile) == {
        quarter(2): (23, Quality.POWER_FAIL),
        quarter(3): (5, Quality.POWER_FAIL),
    }


def test_a_quarter_hour_lived_twice_because_the_clock_was_set_back_adds_up() -> None:
    again = HEAD.replace("(00)", "(20)") + "(0.003)"
    profile = parse_profile(HEAD + "(0.020)\r\n" + again, EL_SALVADOR_MIN)
    assert active_import(profile) == {quarter(0): (23, Quality.CLOCK_ADJUSTED)}


def test_an_hour_lived_twice_because_the_clock_was_set_back_adds_up_row_by_row() -> None:
    twice = HEAD.replace("(00)", "(20)") + "(0.003)\r\n"
    after = HEAD.replace("01001500", "01003000") + "(0.004)(0.005)"
    profile = parse_profile(HEAD + "(0.020)(0.030)\r\n" + twice + after, EL_SALVADOR_MIN)
    assert active_import(profile) == {
        quarter(0): (23, Quality.CLOCK_ADJUSTED),
        quarter(1): (34, Quality.CLOCK_ADJUSTED),
        quarter(2): (5, Quality.GOOD),
    }


@pytest.mark.parametrize(
    ("text", "begun_utc"),
    [
        ("P.01(ERROR)", None),
        (HEAD, None),
        (HEAD + "(0.001)(0.002)", None),
        (HEAD.replace("01001500", "01001501") + "(0.001)", quarter(1)),
        (HEAD.replace("01001500", "01001501") + "(0.001)(0.002)", None),
        (HEAD + "(0.001)\r\n" + HEAD.replace("01001500", "01002959"), None),
    ],
)
def test_a_quarter_hour_is_begun_by_a_last_row_that_ends_inside_it(
    text: str, begun_utc: datetime | None
) -> None:
    assert begun_quarter(parse_profile(text, EL_SALVADOR_MIN)) == begun_utc


def test_a_part_the_meter_disowns_makes_the_quarter_hour_missing() -> None:
    cut = "P.01(0260501003710)(01)(15)(1)(1.29)(kWh)\r\n(0.020)\r\n"
    rest = "P.01(0260501004500)(00)(15)(1)(1.29)(kWh)\r\n(0.003)\r\n"
    profile = parse_profile(cut + rest, EL_SALVADOR_MIN)
    assert active_import(profile) == {quarter(2): (None, Quality.MISSING)}


@pytest.mark.parametrize(
    "text",
    [
        HEAD.replace("(15)", "(30)") + "(0.001)",
        HEAD.replace("1.29.0", "1.5") + "(0.001)",
        HEAD.replace("1.29.0", "1-2:1.29") + "(0.001)",
        HEAD + "(0.0001)",
        HEAD + "(0.001)\r\n" + HEAD + "(0.001)",
    ],
)
def test_what_is_no_whole_active_import_is_refused(text: str) -> None:
    with pytest.raises(CodecError):
        active_import(parse_profile(text, EL_SALVADOR_MIN))


@pytest.mark.parametrize(
    "text",
    [
        "(0.001)",
        "P.01(0260501001500)(00)(15)",
        "P.01(0260501001500)(00)(15)(2)(1.29)(kWh)",
        "P.01(0260501001500)(00)(15)(0)",
        "P.01(0260501001500)(00)(15)(x)(1.29)(kWh)",
        "P.01(0260501001500)(zz)(15)(1)(1.29)(kWh)",
        "P.01(0260501001500)(-1)(15)(1)(1.29)(kWh)",
        "P.01(0260501001500)(00)(99)(1)(1.29)(kWh)",
        HEAD + "P.02(0.001)",
    ],
)
def test_what_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(CodecError):
        parse_profile(text, 0)


def test_a_range_comes_back_and_is_local_time() -> None:
    argument = render_range(quarter(1), quarter(96), EL_SALVADOR_MIN)
    assert argument == "02605010015;02605020000"
    assert parse_range(argument, EL_SALVADOR_MIN) == (quarter(1), quarter(96))


@pytest.mark.parametrize("text", ["", "02605010015", ";", "02605010015;"])
def test_an_open_range_is_refused(text: str) -> None:
    with pytest.raises(CodecError):
        parse_range(text, 0)


def test_a_row_has_a_value_for_each_channel() -> None:
    with pytest.raises(InvalidValueError, match=r"section\.rows"):
        Section(
            first_end_utc=MIDNIGHT,
            status=0,
            period_min=15,
            channels=(Channel(address="1.29", unit="kWh"),),
            rows=(("1", "2"),),
        )


def test_a_section_has_a_channel() -> None:
    with pytest.raises(InvalidValueError, match=r"section\.channels"):
        Section(first_end_utc=MIDNIGHT, status=0, period_min=15, channels=(), rows=())
