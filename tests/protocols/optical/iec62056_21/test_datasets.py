"""Data sets, registers and clocks, exact."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import Obis
from quince.protocols.optical.iec62056_21.datasets import (
    DataSet,
    ShownClock,
    Value,
    clock_data_sets,
    cumulative_registers,
    energy,
    meter_clock,
    parse_data_sets,
    parse_read_out,
    parse_stamp,
    render_clock_like,
    render_data_sets,
    render_energy,
    render_read_out,
    render_stamp,
)
from quince.protocols.optical.iec62056_21.messages import DataBlock

ADDRESSES = st.text("0123456789.:-*&CF", max_size=32)
TEXTS = st.text("0123456789.+-: ", max_size=16)
VALUES = st.builds(Value, TEXTS, st.none() | st.text("kWhvarm3*", max_size=8))
DATA_SETS = st.builds(DataSet, ADDRESSES, st.lists(VALUES, min_size=1, max_size=4).map(tuple))
EL_SALVADOR_MIN = -360


@given(st.lists(DATA_SETS))
def test_data_sets_come_back_from_their_text(data_sets: list[DataSet]) -> None:
    assert parse_data_sets(render_data_sets(data_sets)) == data_sets
    assert parse_read_out(render_read_out(data_sets)) == data_sets


@given(st.text(max_size=20) | st.text("0123456789().*!/\r\n", max_size=60))
def test_arbitrary_text_raises_codec_error_and_nothing_else(text: str) -> None:
    try:
        data_sets = parse_data_sets(text)
    except CodecError:
        return
    assert all(data_set.values for data_set in data_sets)


def test_data_sets_may_stand_on_one_line() -> None:
    first, second = parse_data_sets("3:14(314*kWh)4:15(415*kWh)\r\n")
    assert first == DataSet("3:14", (Value("314", "kWh"),))
    assert second.address == "4:15"


def test_a_demand_with_its_time_has_two_values() -> None:
    (data_set,) = parse_data_sets("1-0:1.6.0*01(03.258*kW)(1702102000)")
    assert data_set.values == (Value("03.258", "kW"), Value("1702102000"))


def test_a_read_out_without_its_end_is_refused() -> None:
    with pytest.raises(CodecError, match="does not end"):
        parse_read_out("1.8.0(1*kWh)\r\n")


def test_every_recorded_read_out_is_read(public_data: Path) -> None:
    path = public_data / "protocols" / "iec62056-21" / "smartmeter_obis_d0_sml.json"
    recorded = [bytes.fromhex(entry["hex"]) for entry in json.loads(path.read_text())]
    read_outs = [octets for octets in recorded if octets[:1] == b"\x02"]
    texts = [octets[1:].split(b"\x03")[0].decode() for octets in read_outs]
    counts = [len(parse_data_sets(text.replace("!", ""))) for text in texts]
    assert counts == [text.count(")") - text.count(")(") for text in texts] == [50, 50, 51, 5, 21]


def test_the_iskra_read_out_gives_its_registers_and_its_clock(public_data: Path) -> None:
    path = public_data / "protocols" / "iec62056-21" / "smartmeter_obis_d0_sml.json"
    recorded = [bytes.fromhex(entry["hex"]) for entry in json.loads(path.read_text())]
    (octets,) = (octets for octets in recorded if octets.startswith(b"\x06050"))
    data_sets = parse_read_out(DataBlock.parse(octets[6:]).text)
    assert cumulative_registers(data_sets)[Obis(1, 0, 1, 8, 0)] == 8_048_375
    assert meter_clock(data_sets, 60) == datetime(2017, 3, 18, 19, 14, 55, tzinfo=UTC)


def test_historic_registers_and_powers_are_no_current_registers() -> None:
    text = "1.8.0(12.345*kWh)\r\n1.8.0*01(11*kWh)1.7.0(1*kW)1.8.1(2)1-1:2.8.2*255(0.001*MWh)"
    assert cumulative_registers(parse_data_sets(text)) == {
        Obis(1, 0, 1, 8, 0): 12_345,
        Obis(1, 1, 2, 8, 2): 1_000,
    }


def test_a_register_is_taken_down_to_the_whole_unit_it_has_gone_through() -> None:
    data_sets = parse_data_sets("1.8.0(00032549.5061662*kWh)3.8.0(518.3099*kVArh)")
    assert list(cumulative_registers(data_sets).values()) == [32_549_506, 518_309]


@given(st.integers(0, 10**12))
def test_an_energy_comes_back_exactly_from_its_kilowatt_hours(energy_wh: int) -> None:
    assert energy(Value(render_energy(energy_wh), "kWh")) == energy_wh


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0.04088", "kWh"),
        ("-1", "kWh"),
        ("1", "kW"),
        ("1", None),
        ("NaN", "kWh"),
        ("1E99999", "kWh"),
        ("", "Wh"),
    ],
)
def test_what_is_no_whole_energy_is_refused(text: str, unit: str | None) -> None:
    with pytest.raises(CodecError):
        energy(Value(text, unit))


@pytest.mark.parametrize(
    "text",
    [
        "0.9.1(0063000)0.9.2(0260501)",
        "1-0:0.9.2*255(260501)1-0:0.9.1*255(063000)",
        "0.9.1(06:30:00)0.9.2(26-05-01)",
    ],
)
def test_the_clock_is_read_in_every_form_seen(text: str) -> None:
    half_past_noon = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
    assert meter_clock(parse_data_sets(text), EL_SALVADOR_MIN) == half_past_noon


def test_a_meter_without_a_date_shows_no_time() -> None:
    assert meter_clock(parse_data_sets("0.9.1(063000)"), 0) is None


def test_the_clock_comes_back_from_its_registers() -> None:
    moment = datetime(2026, 5, 1, 3, 59, 58, tzinfo=UTC)
    assert meter_clock(clock_data_sets(moment, EL_SALVADOR_MIN), EL_SALVADOR_MIN) == moment


@pytest.mark.parametrize(
    ("time", "date", "expected"),
    [
        ("063000", "260430", ShownClock(time="130703", date="260502")),
        ("06:30:00", "26-04-30", ShownClock(time="13:07:03", date="26-05-02")),
        ("0063000", "0260430", ShownClock(time="0130703", date="0260502")),
        ("1063000", "1260430", ShownClock(time="1140703", date="1260502")),
        ("063000", "2260430", ShownClock(time="120703", date="2260502")),
    ],
)
def test_a_clock_is_written_as_the_meter_shows_it(
    time: str, date: str, expected: ShownClock
) -> None:
    noon = datetime(2026, 5, 2, 12, 7, 3, tzinfo=UTC)
    assert render_clock_like(time, date, noon, 60) == expected


@pytest.mark.parametrize(("time", "date"), [("", "260430"), ("063000", "7260430"), ("6", "7")])
def test_a_clock_in_an_unknown_form_is_not_written(time: str, date: str) -> None:
    with pytest.raises(CodecError, match="not a time and a date"):
        render_clock_like(time, date, datetime(2026, 5, 2, tzinfo=UTC), 60)


@given(st.datetimes(datetime(2001, 1, 1), datetime(2098, 1, 1)), st.integers(-840, 840))  # noqa: DTZ001 - hypothesis adds the zone
def test_a_stamp_comes_back(shown: datetime, offset_min: int) -> None:
    moment = shown.replace(microsecond=0, tzinfo=UTC)
    assert parse_stamp(render_stamp(moment, offset_min), offset_min) == moment


@pytest.mark.parametrize(
    ("text", "hour"), [("0260701120000", 11), ("1260701120000", 10), ("2260701120000", 12)]
)
def test_the_season_digit_tells_standard_summer_and_universal_time(text: str, hour: int) -> None:
    assert parse_stamp(text, 60) == datetime(2026, 7, 1, hour, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "3260701120000", "0261301120000", "02607011200000", "026٣"])
def test_what_is_no_stamp_is_refused(text: str) -> None:
    with pytest.raises(CodecError, match="not a time stamp"):
        parse_stamp(text, 0)


def test_a_meters_error_is_known_by_its_text() -> None:
    assert Value("ERROR").is_error
    assert not Value("0.1").is_error


@pytest.mark.parametrize(
    "build",
    [
        lambda: Value("a*b"),
        lambda: Value("a\n"),
        lambda: Value("1", "k(Wh"),
        lambda: DataSet("1.8.0!", (Value("1"),)),
        lambda: DataSet("7" * 33, (Value("1"),)),
        lambda: DataSet("1.8.0", ()),
    ],
)
def test_values_refuse_what_the_text_cannot_carry(build: Callable[[], object]) -> None:
    with pytest.raises(InvalidValueError):
        build()
