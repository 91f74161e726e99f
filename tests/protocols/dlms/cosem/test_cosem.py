from datetime import UTC, datetime, timedelta

import pytest

from quince.model.errors import CodecError
from quince.model.obis import Obis
from quince.model.quality import Quality
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem import objects as cosem
from quince.protocols.dlms.encoding.axdr import (
    NULL,
    Data,
    Tag,
    array,
    decode,
    octet_string,
    structure,
)
from quince.protocols.dlms.encoding.date_time import encode_date_time

START = datetime(2025, 3, 3, 6, 0, tzinfo=UTC)
STATUS, IMPORT = cosem.PROFILE_STATUS, cosem.ACTIVE_IMPORT
COLUMNS = tuple(cosem.Column(ref=ref) for ref in (cosem.CLOCK_TIME, STATUS, IMPORT))
STAMP = octet_string(encode_date_time(START, utc_offset_min=-360))


def _wh(value: int) -> Data:
    return Data(Tag.UINT32, value)


def _status(value: int) -> Data:
    return Data(Tag.UINT8, value)


def test_a_null_clock_is_the_row_above_and_a_period() -> None:
    data = array((structure(STAMP, _status(0), _wh(1)), structure(NULL, _status(0), _wh(2))))
    rows = cosem.read_rows(data, COLUMNS, period_s=900)
    assert [row.moment.at_utc for row in rows] == [START, START + timedelta(minutes=15)]


def test_a_null_value_is_the_one_above_in_its_own_column() -> None:
    data = array((structure(STAMP, _status(8), _wh(1)), structure(NULL, NULL, _wh(2))))
    rows = cosem.read_rows(data, COLUMNS, period_s=900)
    assert rows[1].values[1:] == (_status(8), _wh(2))


def test_a_null_in_the_first_row_stays_a_null() -> None:
    (row,) = cosem.read_rows(array((structure(STAMP, NULL, _wh(1)),)), COLUMNS, period_s=900)
    assert row.values[1] == NULL


@pytest.mark.parametrize(
    "data",
    [
        structure(STAMP),
        array((structure(STAMP, _wh(1)),)),
        array((structure(NULL, _status(0), _wh(1)),)),
        array((structure(_wh(7), _status(0), _wh(1)),)),
        array((_wh(1),)),
    ],
)
def test_rows_of_another_shape_are_refused(data: Data) -> None:
    with pytest.raises(CodecError):
        cosem.read_rows(data, COLUMNS, period_s=900)


def test_a_null_clock_without_a_period_is_refused() -> None:
    data = array((structure(STAMP, _status(0), _wh(1)), structure(NULL, _status(0), _wh(2))))
    with pytest.raises(CodecError):
        cosem.read_rows(data, COLUMNS, period_s=0)


def test_a_row_behind_the_end_of_time_is_refused() -> None:
    stamp = octet_string(bytes.fromhex("270f0c1fff173b3bff000000"))
    data = array((structure(stamp, _status(0), _wh(1)), structure(NULL, _status(0), _wh(2))))
    with pytest.raises(CodecError):
        cosem.read_rows(data, COLUMNS, period_s=900)


def test_a_profile_without_a_clock_is_refused() -> None:
    with pytest.raises(CodecError):
        cosem.read_rows(array(()), COLUMNS[1:], period_s=900)


def test_the_columns_of_a_real_meter_are_read() -> None:
    data = decode(
        bytes.fromhex(
            "0104020412000809060000010000ff0f02120000020412000109060000600a01ff0f02120000"
            "020412000309060100010800ff0f02120000020412000309060100020800ff0f02120000"
        )
    )
    columns = cosem.read_columns(data)
    assert columns[:3] == COLUMNS
    assert columns[3].ref == Ref(3, Obis(1, 0, 2, 8, 0), 2)


@pytest.mark.parametrize("name", [bytes(5), bytes(7)])
def test_a_column_with_a_crooked_name_is_refused(name: bytes) -> None:
    column = structure(
        Data(Tag.UINT16, 3), octet_string(name), Data(Tag.INT8, 2), Data(Tag.UINT16, 0)
    )
    with pytest.raises(CodecError):
        cosem.read_column(column)


def test_a_column_with_an_index_out_of_range_is_refused() -> None:
    column = structure(
        Data(Tag.UINT16, 3), octet_string(bytes(6)), Data(Tag.INT16, 200), Data(Tag.UINT16, 0)
    )
    with pytest.raises(CodecError):
        cosem.read_column(column)


@pytest.mark.parametrize(
    ("scaler", "raw", "energy_wh"), [(0, 123, 123), (3, 123, 123_000), (-1, 1_239, 123)]
)
def test_a_register_is_scaled_in_integers(scaler: int, raw: int, energy_wh: int) -> None:
    scale = cosem.Scale.read(structure(Data(Tag.INT8, scaler), Data(Tag.ENUM, cosem.UNIT_WH)))
    assert scale.apply(_wh(raw)) == energy_wh
    assert scale.unit == cosem.UNIT_WH


def test_a_scaler_beyond_belief_is_refused() -> None:
    with pytest.raises(CodecError):
        cosem.Scale.read(structure(Data(Tag.INT8, 100), Data(Tag.ENUM, cosem.UNIT_WH)))


def test_a_status_octet_becomes_quality() -> None:
    assert cosem.quality_of_status(0x08) is Quality.GOOD
    assert cosem.quality_of_status(0xA2) == (
        Quality.CLOCK_INVALID | Quality.CLOCK_ADJUSTED | Quality.POWER_FAIL
    )


def test_a_range_is_read_as_it_was_written() -> None:
    selection = cosem.Range(
        from_utc=START, to_utc=START + timedelta(days=1), columns=(COLUMNS[0], COLUMNS[2])
    )
    access = cosem.range_access(selection, utc_offset_min=-360)
    assert cosem.read_range(access.parameter, fallback_offset_min=0) == selection


def test_a_range_over_something_else_than_the_clock_is_refused() -> None:
    parameter = structure(COLUMNS[2].encode(), STAMP, STAMP, array(()))
    with pytest.raises(CodecError):
        cosem.read_range(parameter, fallback_offset_min=0)


def test_entries_are_read_as_they_were_written() -> None:
    selection = cosem.Entries(first=1, last=10, first_column=2, last_column=3)
    assert cosem.read_entries(cosem.entry_access(selection).parameter) == selection


def test_entries_count_from_1() -> None:
    with pytest.raises(CodecError):
        cosem.read_entries(cosem.entry_access(cosem.Entries(first=0)).parameter)
