"""What optical meters show, in a technician's words."""

from datetime import UTC, datetime

import pytest

from quince.edge.readers.optical.shown import (
    listed_data_sets,
    listed_entries,
    listed_momentaries,
    shown_momentaries,
)
from quince.edge.readers.reader import ListedObject
from quince.model.obis import Obis
from quince.protocols.optical.iec62056_21.datasets import parse_data_sets
from quince.protocols.optical.sml.messages import Entry

AT = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
POWER = Obis(1, 0, 16, 7, 0)


@pytest.mark.parametrize(
    ("line", "obis", "thousandths", "unit"),
    [
        ("1-0:21.7.0(00.378*kW)", "1-0:21.7.0", 378_000, "W"),
        ("1-0:32.7.0*255(230.1*V)", "1-0:32.7.0", 230_100, "V"),
        ("31.7(-1.5*A)", "1-0:31.7.0", -1_500, "A"),
        ("1-0:23.7.0(0.1*kVAr)", "1-0:23.7.0", 100_000, "var"),
        ("1-0:81.7.4(17.2*deg)", "1-0:81.7.4", 17_200, "°"),
        ("13.7(0.95)", "1-0:13.7.0", 950, ""),
    ],
)
def test_a_momentary_value_is_read_in_thousandths(line, obis, thousandths, unit):
    (one,) = shown_momentaries(parse_data_sets(line), AT)
    assert (str(one.obis), one.thousandths, one.unit) == (obis, thousandths, unit)


@pytest.mark.parametrize(
    "line", ["1-0:1.8.0(000001.000*kWh)", "32.7(x*V)", "32.7(1*furlong)", "0-0:1.7.0(1*kW)"]
)
def test_what_is_none_is_left_out(line):
    assert shown_momentaries(parse_data_sets(line), AT) == []


def test_an_entry_of_a_list_is_read_by_its_scaler():
    (one,) = listed_momentaries([Entry(obis=POWER, value=-12345, unit=27, scaler=-1)], AT)
    assert (one.thousandths, one.unit) == (-1_234_500, "W")


@pytest.mark.parametrize(
    "entry",
    [
        Entry(obis=POWER, value=b"\1", unit=27),
        Entry(obis=POWER, value=True, unit=27),
        Entry(obis=POWER, value=1),
        Entry(obis=Obis(1, 0, 16, 7, 0, 1), value=1, unit=27),
        Entry(obis=Obis(1, 0, 1, 8, 0), value=1, unit=30),
    ],
)
def test_an_entry_of_something_else_is_left_out(entry):
    assert listed_momentaries([entry], AT) == []


def test_lines_and_entries_are_listed_as_they_are_shown():
    (line,) = listed_data_sets(parse_data_sets("1.8.0(000001.000*kWh)(x)"))
    assert line == ListedObject(name="1.8.0", kind="data set", value="000001.000 kWh x")
    entries = [Entry(obis=POWER, value=12, unit=27, scaler=-1), Entry(obis=POWER, value=b"\xab")]
    assert [one.value for one in listed_entries(entries)] == ["1.2 W", "ab"]
