from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.load import Household, Supply
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.cosem import objects as cosem
from quince.protocols.dlms.encoding.axdr import Data, Tag, octet_string

HOME = Household(seed=7)
DAY = datetime(2025, 3, 2, 6, 0, tzinfo=UTC)  # midnight in El Salvador


def _meter(clock: Any, supply: Supply | None = None, **more: Any) -> DlmsMeter:
    return DlmsMeter(
        device_id="Q-1", household=HOME, supply=supply or Supply(), clock=clock, **more
    )


def _rows(meter: DlmsMeter, access: Access | None = None) -> tuple[cosem.Row, ...]:
    buffer, columns = (
        meter.get(cosem.PROFILE_BUFFER, access),
        meter.get(cosem.PROFILE_COLUMNS, None),
    )
    assert isinstance(buffer, Data)
    assert isinstance(columns, Data)
    return cosem.read_rows(buffer, cosem.read_columns(columns), period_s=900)


def _day() -> Access:
    selection = cosem.Range(from_utc=DAY, to_utc=DAY + timedelta(days=1))
    return cosem.range_access(selection, utc_offset_min=-360)


def test_a_row_holds_the_register_as_it_stood_at_its_stamp(clock: Any) -> None:
    rows = _rows(_meter(clock), _day())
    assert len(rows) == 97
    assert [row.moment.at_utc for row in rows[:2]] == [DAY, DAY + STEP]
    assert rows[1].values[2].as_int() - rows[0].values[2].as_int() == HOME.interval_wh(DAY)


def test_the_last_row_is_the_last_full_quarter_hour(clock: Any) -> None:
    rows = _rows(_meter(clock, profile_days=1))
    assert len(rows) == 96
    assert rows[-1].moment.at_utc == datetime(2025, 3, 3, 18, 0, tzinfo=UTC)


def test_boundaries_in_the_dark_have_no_row_and_the_next_row_says_so(clock: Any) -> None:
    supply = Supply([(DAY + timedelta(minutes=20), DAY + timedelta(minutes=50))])
    rows = _rows(_meter(clock, supply), _day())
    minutes = [(row.moment.at_utc - DAY) // timedelta(minutes=1) for row in rows[:4]]
    assert minutes == [0, 15, 60, 75]
    statuses = [row.values[1].as_int() for row in rows[:4]]
    assert statuses == [0, 0, cosem.STATUS_POWER_DOWN, 0]


def test_columns_are_selected_in_the_order_asked(clock: Any) -> None:
    columns = tuple(cosem.Column(ref=ref) for ref in (cosem.ACTIVE_IMPORT, cosem.CLOCK_TIME))
    selection = cosem.Range(from_utc=DAY, to_utc=DAY, columns=columns)
    buffer = _meter(clock).get(
        cosem.PROFILE_BUFFER, cosem.range_access(selection, utc_offset_min=-360)
    )
    assert isinstance(buffer, Data)
    (row,) = buffer.as_items()
    assert row.as_items()[0] == Data(Tag.UINT32, HOME.register_wh(DAY))


def test_rows_and_columns_are_selected_by_number(clock: Any) -> None:
    selection = cosem.Entries(first=2, last=3, first_column=3)
    buffer = _meter(clock, profile_days=1).get(cosem.PROFILE_BUFFER, cosem.entry_access(selection))
    assert isinstance(buffer, Data)
    assert [len(row.as_items()) for row in buffer.as_items()] == [1, 1]


@pytest.mark.parametrize(
    "access",
    [
        Access(selector=3, parameter=Data(Tag.NULL)),
        Access(selector=1, parameter=Data(Tag.NULL)),
        cosem.range_access(
            cosem.Range(
                from_utc=DAY, to_utc=DAY, columns=(cosem.Column(ref=cosem.LOGICAL_DEVICE_NAME),)
            ),
            utc_offset_min=0,
        ),
    ],
)
def test_a_selection_the_meter_cannot_make_is_refused(clock: Any, access: Access) -> None:
    assert _meter(clock).get(cosem.PROFILE_BUFFER, access) is AccessResult.TYPE_UNMATCHED


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        (cosem.LOGICAL_DEVICE_NAME, octet_string(b"QNCQ-1")),
        (cosem.DEVICE_ID, octet_string(b"Q-1")),
        (cosem.CLOCK_ZONE, Data(Tag.INT16, 360)),
        (cosem.PROFILE_PERIOD, Data(Tag.UINT32, 900)),
        (cosem.PROFILE_ENTRIES_IN_USE, Data(Tag.UINT32, 45 * 96)),
        (cosem.CLOCK_TIME, octet_string(bytes.fromhex("07e90303010c071e00016800"))),
        (Ref(3, Obis(1, 0, 1, 8, 0), 1), octet_string(bytes.fromhex("0100010800ff"))),
    ],
)
def test_an_attribute_reads_as_a_meter_writes_it(clock: Any, ref: Ref, value: Data) -> None:
    assert _meter(clock).get(ref, None) == value


def test_the_register_reads_in_watt_hours(clock: Any) -> None:
    meter = _meter(clock)
    scale, value = meter.get(cosem.ACTIVE_IMPORT_SCALE, None), meter.get(cosem.ACTIVE_IMPORT, None)
    assert isinstance(scale, Data)
    assert isinstance(value, Data)
    assert cosem.Scale.read(scale).apply(value) == HOME.register_wh(clock.now_utc())


def test_the_association_lists_the_objects(clock: Any) -> None:
    objects = _meter(clock).get(cosem.OBJECT_LIST, None)
    assert isinstance(objects, Data)
    assert len(objects.as_items()) == 7


def test_what_the_meter_does_not_have_or_allow_is_refused(clock: Any) -> None:
    meter = _meter(clock)
    assert meter.get(Ref(3, Obis(1, 0, 2, 8, 0), 2), None) is AccessResult.OBJECT_UNDEFINED
    assert meter.get(Ref(3, Obis(1, 0, 1, 8, 0), 9), None) is AccessResult.READ_WRITE_DENIED
    assert meter.get(cosem.CLOCK_TIME, _day()) is AccessResult.SCOPE_OF_ACCESS_VIOLATED
    assert meter.set(cosem.CLOCK_TIME, Data(Tag.NULL)) is AccessResult.READ_WRITE_DENIED
    assert meter.action(cosem.CLOCK_TIME, None)[0] is AccessResult.READ_WRITE_DENIED


def test_a_meter_that_cannot_be_is_refused(clock: Any) -> None:
    with pytest.raises(InvalidValueError):
        DlmsMeter(device_id="", household=HOME, supply=Supply(), clock=clock)
    with pytest.raises(InvalidValueError):
        _meter(clock, profile_days=0)
