import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError
from quince.model.quality import Quality
from quince.protocols.dlms.cosem.clock import CLOCK_TIME, MeterTime
from quince.protocols.dlms.cosem.names import ACTIVE_IMPORT, PROFILE_STATUS
from quince.protocols.dlms.cosem.profile import Column, Layout, SortMethod
from quince.protocols.dlms.cosem.rows import ProfileRows, read_rows
from quince.protocols.dlms.encoding.axdr import (
    NULL,
    Data,
    Encoded,
    array,
    encode,
    octet_string,
    structure,
)
from quince.protocols.dlms.encoding.date_time import encode_date_time
from quince.protocols.dlms.encoding.tags import Tag

START = datetime(2025, 3, 3, 6, 0, tzinfo=UTC)
START_S = int(START.timestamp())
COLUMNS = tuple(Column(ref=ref) for ref in (CLOCK_TIME, PROFILE_STATUS, ACTIVE_IMPORT))
LAYOUT = Layout(columns=COLUMNS, period_s=900)
TIME = MeterTime(standard_offset_min=-360)


def _stamp(quarters: int = 0, status: int = 0) -> Data:
    at_utc = START + quarters * timedelta(minutes=15)
    return octet_string(encode_date_time(at_utc, utc_offset_min=-360, status=status))


def _wh(value: int) -> Data:
    return Data(Tag.UINT32, value)


def _status(value: int) -> Data:
    return Data(Tag.UINT8, value)


def _read(*rows: Data, layout: Layout = LAYOUT) -> ProfileRows:
    """Read both ways: value by value, and from the octets."""
    one_by_one = read_rows(array(rows), layout, TIME)
    from_octets = read_rows(Encoded(encode(array(rows))), layout, TIME)
    assert _plain(from_octets) == _plain(one_by_one)
    return from_octets


def _plain(rows: ProfileRows) -> Any:
    return list(rows.at_s), list(rows.clock), [list(column) for column in rows.columns]


def test_rows_become_columns() -> None:
    rows = _read(structure(_stamp(), _status(0), _wh(1)), structure(_stamp(1), _status(8), _wh(2)))
    assert list(rows.at_s) == [START_S, START_S + 900]
    assert list(rows.integers(1)) == [0, 8]
    assert list(rows.integers(2)) == [1, 2]


def test_a_null_clock_is_the_row_above_and_a_period() -> None:
    rows = _read(structure(_stamp(), _status(0), _wh(1)), structure(NULL, _status(0), _wh(2)))
    assert list(rows.at_s) == [START_S, START_S + 900]


def test_a_null_clock_counts_backwards_where_the_newest_row_comes_first() -> None:
    newest_first = Layout(columns=COLUMNS, period_s=900, sort_method=SortMethod.LIFO)
    rows = _read(
        structure(_stamp(), _status(0), _wh(2)),
        structure(NULL, _status(0), _wh(1)),
        layout=newest_first,
    )
    assert list(rows.at_s) == [START_S, START_S - 900]


def test_a_null_clock_is_as_sure_as_the_one_above() -> None:
    doubtful = _stamp(status=0x02)
    rows = _read(structure(doubtful, _status(0), _wh(1)), structure(NULL, _status(0), _wh(2)))
    assert list(rows.clock) == [Quality.CLOCK_DOUBTFUL] * 2


def test_a_null_value_is_the_one_above_in_its_own_column() -> None:
    rows = _read(structure(_stamp(), _status(8), _wh(1)), structure(NULL, NULL, _wh(2)))
    assert [list(rows.integers(column)) for column in (1, 2)] == [[8, 8], [1, 2]]


def test_a_null_in_the_first_row_has_nothing_above_it() -> None:
    rows = _read(structure(_stamp(), NULL, _wh(1)))
    assert list(rows.integers(1)) == [None]


def test_deltas_are_added_up() -> None:
    rows = _read(
        structure(_stamp(), _status(0), _wh(100)),
        structure(_stamp(1), _status(0), Data(Tag.DELTA_UINT8, 5)),
        structure(_stamp(2), _status(0), Data(Tag.DELTA_INT16, -2)),
    )
    assert list(rows.integers(2)) == [100, 105, 103]


def test_a_compact_array_says_the_same() -> None:
    rows = tuple(structure(_stamp(i), _status(0), _wh(i)) for i in range(3))
    read = read_rows(Encoded(encode(Data(Tag.COMPACT_ARRAY, rows))), LAYOUT, TIME)
    assert list(read.at_s) == [START_S, START_S + 900, START_S + 1800]
    assert list(read.integers(2)) == [0, 1, 2]


def test_no_rows_are_no_rows() -> None:
    assert list(_read().at_s) == []


@pytest.mark.parametrize(
    "data",
    [
        structure(_stamp()),
        array((structure(_stamp(), _wh(1)),)),
        array((structure(NULL, _status(0), _wh(1)),)),
        array((structure(_wh(7), _status(0), _wh(1)),)),
        array((structure(octet_string(b"short"), _status(0), _wh(1)),)),
        array((structure(_stamp(), _status(0), Data(Tag.DELTA_INT8, 1)),)),
        array((_wh(1),)),
    ],
)
@pytest.mark.parametrize("given", [lambda data: data, lambda data: Encoded(encode(data))])
def test_rows_of_another_shape_are_refused(data: Data, given: Any) -> None:
    with pytest.raises(CodecError):
        read_rows(given(data), LAYOUT, TIME)


def test_a_null_clock_without_a_period_is_refused() -> None:
    data = array((structure(_stamp(), _status(0), _wh(1)), structure(NULL, _status(0), _wh(2))))
    with pytest.raises(CodecError):
        read_rows(data, Layout(columns=COLUMNS, period_s=0), TIME)


def test_a_column_of_words_holds_no_integers() -> None:
    rows = _read(structure(_stamp(), octet_string(b"x"), _wh(1)))
    with pytest.raises(CodecError):
        rows.integers(1)


def test_a_captured_buffer_is_read(public_data: Path) -> None:
    """A day of hourly rows without deviation, a vector of dlms-cosem, less its choice octet."""
    vectors = json.loads((public_data / "protocols/dlms/dlms_cosem_tests_mit.json").read_text())
    (octets,) = {
        vector["hex"]
        for vector in vectors
        if vector["test"] == "TestAxdrDecoder.test_decode_array_and_structure"
    }
    rows = read_rows(Encoded(bytes.fromhex(octets)[1:]), LAYOUT, MeterTime(standard_offset_min=60))
    midnight_s = int(datetime(2018, 2, 11, 23, 0, tzinfo=UTC).timestamp())
    assert list(rows.at_s) == [midnight_s + 3600 * hour for hour in range(24)]
    assert list(rows.integers(2))[:2] == [100_000, 100_416]


_VALUES = st.one_of(
    st.just(NULL),
    st.integers(0, 255).map(_status),
    st.integers(0, 2**32 - 1).map(_wh),
    st.integers(-128, 127).map(lambda value: Data(Tag.DELTA_INT8, value)),
    st.booleans().map(lambda value: Data(Tag.BOOLEAN, value)),
    st.binary(max_size=3).map(octet_string),
)
_STAMPS = st.one_of(
    st.just(NULL),
    st.builds(_stamp, st.integers(0, 10), st.sampled_from([0, 1, 0x80, 0xFF])),
    st.binary(min_size=12, max_size=12).map(octet_string),
)
_ALIKE = st.lists(
    st.builds(
        structure,
        st.builds(_stamp, st.integers(0, 5000)),
        st.just(_status(0)),
        st.builds(_wh, st.integers(0, 2**32 - 1)),
    )
)
_ODD = st.lists(st.builds(structure, _STAMPS, _VALUES, _VALUES))


@settings(max_examples=200)
@given(_ALIKE | _ODD)
def test_from_octets_and_value_by_value_are_one(rows: list[Data]) -> None:
    assert _outcome(array(rows)) == _outcome(Encoded(encode(array(rows))))


def _outcome(buffer: Data | Encoded) -> Any:
    try:
        return _plain(read_rows(buffer, LAYOUT, TIME))
    except CodecError:
        return CodecError


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_hostile_rows_are_refused_by_name(octets: bytes) -> None:
    assert _outcome(Encoded(b"\x01" + octets)) is not None


def test_a_row_without_a_time_among_rows_that_go_by_their_value_is_refused() -> None:
    layout = Layout(columns=COLUMNS, period_s=900, sort_method=SortMethod.LARGEST)
    with pytest.raises(CodecError, match="nothing to count from"):
        _read(structure(_stamp(), _status(0), _wh(9)), structure(NULL, NULL, _wh(7)), layout=layout)
