from datetime import UTC, datetime, timedelta

import pytest

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import Obis
from quince.model.quality import Quality
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.clock import CLOCK_TIME, MeterTime
from quince.protocols.dlms.cosem.names import ACTIVE_IMPORT, PROFILE_STATUS
from quince.protocols.dlms.cosem.profile import (
    Column,
    Layout,
    SortMethod,
    read_column,
    read_columns,
    read_sort_method,
)
from quince.protocols.dlms.cosem.selection import (
    Entries,
    Range,
    entry_access,
    range_access,
    read_entries,
    read_range,
)
from quince.protocols.dlms.cosem.status import is_status, quality_of_status
from quince.protocols.dlms.encoding.axdr import Data, array, decode, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag

START = datetime(2025, 3, 3, 6, 0, tzinfo=UTC)
COLUMNS = tuple(Column(ref=ref) for ref in (CLOCK_TIME, PROFILE_STATUS, ACTIVE_IMPORT))
TIME = MeterTime(standard_offset_min=-360)


def test_the_columns_of_a_real_meter_are_read() -> None:
    data = decode(
        bytes.fromhex(
            "0104020412000809060000010000ff0f02120000020412000109060000600a01ff0f02120000"
            "020412000309060100010800ff0f02120000020412000309060100020800ff0f02120000"
        )
    )
    columns = read_columns(data)
    assert columns[:3] == COLUMNS
    assert columns[3].ref == Ref(3, Obis(1, 0, 2, 8, 0), 2)
    assert array(column.encode() for column in columns) == data


@pytest.mark.parametrize("name", [bytes(5), bytes(7)])
def test_a_column_with_a_crooked_name_is_refused(name: bytes) -> None:
    column = structure(
        Data(Tag.UINT16, 3), octet_string(name), Data(Tag.INT8, 2), Data(Tag.UINT16, 0)
    )
    with pytest.raises(CodecError):
        read_column(column)


def test_a_column_with_an_index_out_of_range_is_refused() -> None:
    column = structure(
        Data(Tag.UINT16, 3), octet_string(bytes(6)), Data(Tag.INT16, 200), Data(Tag.UINT16, 0)
    )
    with pytest.raises(CodecError):
        read_column(column)


def test_a_layout_is_known_by_its_columns_its_period_and_its_order() -> None:
    layout = Layout(columns=COLUMNS, period_s=900)
    assert layout.layout_id == Layout(columns=COLUMNS, period_s=900).layout_id
    others = [
        Layout(columns=COLUMNS[:2], period_s=900),
        Layout(columns=(COLUMNS[0], COLUMNS[2], COLUMNS[1]), period_s=900),
        Layout(columns=COLUMNS, period_s=3600),
        Layout(columns=COLUMNS, period_s=900, sort_method=SortMethod.LIFO),
    ]
    assert len({layout.layout_id, *(other.layout_id for other in others)}) == 5


def test_a_layout_id_does_not_change_from_release_to_release() -> None:
    assert Layout(columns=COLUMNS, period_s=900).layout_id == "aed4b4406d75ba5d"


def test_a_profile_without_a_clock_is_refused() -> None:
    with pytest.raises(CodecError):
        Layout(columns=COLUMNS[1:], period_s=900)


def test_a_period_is_not_below_zero() -> None:
    with pytest.raises(InvalidValueError):
        Layout(columns=COLUMNS, period_s=-1)


def test_the_sort_method_is_one_of_six() -> None:
    assert read_sort_method(Data(Tag.ENUM, 2)) is SortMethod.LIFO
    with pytest.raises(CodecError):
        read_sort_method(Data(Tag.ENUM, 7))


def test_a_status_octet_becomes_quality() -> None:
    assert quality_of_status(0x08) is Quality.GOOD
    assert quality_of_status(0xA2) == (
        Quality.CLOCK_INVALID | Quality.CLOCK_ADJUSTED | Quality.POWER_FAIL
    )
    assert quality_of_status(0x05) == Quality.MISSING


def test_every_channels_status_word_is_known_as_one() -> None:
    assert is_status(PROFILE_STATUS)
    assert is_status(Ref(1, Obis(0, 1, 96, 10, 3), 2))
    assert not is_status(Ref(1, Obis(0, 0, 96, 1, 0), 2))
    assert not is_status(Ref(3, Obis(0, 0, 96, 10, 1), 2))


@pytest.mark.parametrize("with_deviation", [True, False])
def test_a_range_is_read_as_it_was_written(with_deviation: bool) -> None:  # noqa: FBT001 - a parameter
    selection = Range(
        from_utc=START, to_utc=START + timedelta(days=1), columns=(COLUMNS[0], COLUMNS[2])
    )
    access = range_access(selection, TIME, with_deviation=with_deviation)
    assert read_range(access.parameter, TIME) == selection


def test_a_range_over_something_else_than_the_clock_is_refused() -> None:
    stamp = octet_string(TIME.write(START))
    with pytest.raises(CodecError):
        read_range(structure(COLUMNS[2].encode(), stamp, stamp, array(())), TIME)


def test_entries_are_read_as_they_were_written() -> None:
    selection = Entries(first=1, last=10, first_column=2, last_column=3)
    assert read_entries(entry_access(selection).parameter) == selection


@pytest.mark.parametrize("selection", [Entries(first=0), Entries(first=1, first_column=0)])
def test_entries_and_columns_count_from_1(selection: Entries) -> None:
    with pytest.raises(CodecError):
        read_entries(entry_access(selection).parameter)
