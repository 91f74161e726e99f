"""The profiles of a simulated meter: what is captured, how it is told, by which clock."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from quince.firmware_sims.dlms.clock import MeterClock
from quince.firmware_sims.dlms.load_profile import Captures
from quince.firmware_sims.dlms.meter import Build, DlmsMeter
from quince.firmware_sims.dlms.profile import Style
from quince.firmware_sims.load import Household, Supply
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER, Obis
from quince.model.quality import Quality
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.cosem.clock import CLOCK_STATUS, CLOCK_TIME, MeterTime
from quince.protocols.dlms.cosem.names import (
    ACTIVE_IMPORT,
    EVENT_CODE,
    EVENT_LOG,
    LOGICAL_DEVICE_NAME,
)
from quince.protocols.dlms.cosem.profile import (
    PROFILE_BUFFER,
    PROFILE_COLUMNS,
    PROFILE_ENTRIES,
    PROFILE_SORT_METHOD,
    Column,
    Layout,
    read_columns,
    read_sort_method,
)
from quince.protocols.dlms.cosem.rows import ProfileRows, read_rows
from quince.protocols.dlms.cosem.selection import Entries, Range, entry_access, range_access
from quince.protocols.dlms.cosem.status import (
    STATUS_CLOCK_ADJUSTED,
    STATUS_DAYLIGHT_SAVING,
    STATUS_POWER_DOWN,
)
from quince.protocols.dlms.encoding.axdr import Data, Encoded, octet_string
from quince.protocols.dlms.encoding.tags import Tag

HOME = Household(seed=7)
DAY = datetime(2025, 3, 2, 6, 0, tzinfo=UTC)  # midnight in El Salvador
DAY_S = int(DAY.timestamp())
TIME = MeterTime(standard_offset_min=-360)


def _meter(clock: Any, supply: Supply | None = None, **build: Any) -> DlmsMeter:
    return DlmsMeter(
        device_id="Q-1",
        household=HOME,
        supply=supply or Supply(),
        clock=clock,
        build=Build(**build),
    )


def _read(meter: DlmsMeter, ref: Ref) -> Data:
    data = meter.get(ref, None)
    assert isinstance(data, Data)
    return data


def _rows(meter: DlmsMeter, access: Access | None = None, *columns: Column) -> ProfileRows:
    buffer = meter.get(PROFILE_BUFFER, access)
    assert isinstance(buffer, Encoded)
    layout = Layout(
        columns=columns or read_columns(_read(meter, PROFILE_COLUMNS)),
        period_s=900,
        sort_method=read_sort_method(_read(meter, PROFILE_SORT_METHOD)),
    )
    return read_rows(buffer, layout, TIME)


def _range(start: datetime, end: datetime, *columns: Column) -> Access:
    return range_access(Range(from_utc=start, to_utc=end, columns=columns), TIME)


A_DAY = _range(DAY, DAY + timedelta(days=1))


def _styled(**style: bool) -> Captures:
    return Captures(style=Style(**style))


# -- what is captured --------------------------------------------------------------------------


def test_a_row_holds_the_register_as_it_stood_at_its_stamp(clock: Any) -> None:
    rows = _rows(_meter(clock), A_DAY)
    assert list(rows.at_s) == [DAY_S + 900 * i for i in range(97)]
    assert rows.integers(2)[0] == HOME.register_wh(DAY)
    assert rows.integers(2)[1] == HOME.register_wh(DAY + STEP)


def test_the_last_row_is_the_last_full_quarter_hour(clock: Any) -> None:
    rows = _rows(_meter(clock, captures=Captures(days=1)))
    assert len(rows.at_s) == 96
    assert rows.at_s[-1] == datetime(2025, 3, 3, 18, 0, tzinfo=UTC).timestamp()


def test_boundaries_in_the_dark_have_no_row_and_the_next_row_says_so(clock: Any) -> None:
    supply = Supply([(DAY + timedelta(minutes=20), DAY + timedelta(minutes=50))])
    rows = _rows(_meter(clock, supply), A_DAY)
    assert [(at_s - DAY_S) // 60 for at_s in rows.at_s[:4]] == [0, 15, 60, 75]
    assert list(rows.integers(1)[:4]) == [0, 0, STATUS_POWER_DOWN, 0]


def test_a_full_memory_forgets_its_oldest_rows(clock: Any) -> None:
    meter = _meter(clock, captures=Captures(days=1))
    first = _rows(meter).at_s[0]
    clock.at_utc += timedelta(hours=1)
    rows = _rows(meter)
    assert (rows.at_s[0], len(rows.at_s)) == (first + 3600, 96)
    assert _read(meter, PROFILE_ENTRIES).as_int() == 96


def test_interval_energies_are_captured_beside_registers(clock: Any) -> None:
    captures = Captures(
        registers=(ACTIVE_IMPORT_REGISTER, Obis(1, 0, 2, 8, 0)), intervals=(ACTIVE_IMPORT_INTERVAL,)
    )
    rows = _rows(_meter(clock, captures=captures), A_DAY)
    assert rows.integers(4)[1] == HOME.interval_wh(DAY)
    assert [len(column) for column in rows.columns] == [97] * 5


@pytest.mark.parametrize("days", [0, 401])
def test_a_memory_that_cannot_be_is_refused(days: int) -> None:
    with pytest.raises(InvalidValueError):
        Captures(days=days)


@pytest.mark.parametrize(
    "captures",
    [
        Captures(registers=(Obis(1, 0, 9, 8, 0),)),
        Captures(intervals=(Obis(1, 0, 9, 29, 0),)),
        Captures(intervals=(ACTIVE_IMPORT_REGISTER,)),
    ],
)
def test_what_is_not_measured_is_not_captured(clock: Any, captures: Captures) -> None:
    with pytest.raises(InvalidValueError):
        _meter(clock, captures=captures)


# -- how it is told ----------------------------------------------------------------------------


@pytest.mark.parametrize("style", [{"nulls": True}, {"compact": True}, {"newest_first": True}])
def test_however_it_is_told_a_profile_says_the_same(clock: Any, style: dict[str, bool]) -> None:
    supply = Supply([(DAY + timedelta(minutes=20), DAY + timedelta(minutes=50))])
    plain = _rows(_meter(clock, supply), A_DAY)
    told = _rows(_meter(clock, supply, captures=_styled(**style)), A_DAY)
    assert sorted(zip(told.at_s, *map(told.integers, (1, 2)), strict=True)) == list(
        zip(plain.at_s, *map(plain.integers, (1, 2)), strict=True)
    )


def test_the_newest_row_comes_first_where_it_is_told_so(clock: Any) -> None:
    meter = _meter(clock, captures=_styled(newest_first=True, nulls=True))
    rows = _rows(meter, entry_access(Entries(first=1, last=3)))
    newest_s = int(datetime(2025, 3, 3, 18, 0, tzinfo=UTC).timestamp())
    assert list(rows.at_s) == [newest_s, newest_s - 900, newest_s - 1800]


def test_what_has_not_changed_is_told_as_null(clock: Any) -> None:
    buffer = _meter(clock, captures=_styled(nulls=True)).get(PROFILE_BUFFER, A_DAY)
    assert isinstance(buffer, Encoded)
    _first, second, *_ = buffer.decode().as_items()
    assert [cell.tag for cell in second.as_items()] == [Tag.NULL, Tag.NULL, Tag.UINT32]


def test_no_rows_are_an_empty_array(clock: Any) -> None:
    long_ago = _range(DAY - timedelta(days=999), DAY - timedelta(days=998))
    for captures in (Captures(), _styled(compact=True), _styled(nulls=True)):
        assert list(_rows(_meter(clock, captures=captures), long_ago).at_s) == []


# -- what is asked for -------------------------------------------------------------------------


def test_columns_are_selected_in_the_order_asked(clock: Any) -> None:
    columns = (Column(ref=ACTIVE_IMPORT), Column(ref=CLOCK_TIME))
    rows = _rows(_meter(clock), _range(DAY, DAY, *columns), *columns)
    assert rows.integers(0) == (HOME.register_wh(DAY),)


def test_rows_and_columns_are_selected_by_number(clock: Any) -> None:
    access = entry_access(Entries(first=2, last=3, first_column=3))
    buffer = _meter(clock).get(PROFILE_BUFFER, access)
    assert isinstance(buffer, Encoded)
    assert [len(row.as_items()) for row in buffer.decode().as_items()] == [1, 1]


@pytest.mark.parametrize(
    "access",
    [
        Access(selector=3, parameter=Data(Tag.NULL)),
        Access(selector=1, parameter=Data(Tag.NULL)),
        _range(DAY, DAY, Column(ref=LOGICAL_DEVICE_NAME)),
    ],
)
def test_a_selection_the_meter_cannot_make_is_refused(clock: Any, access: Access) -> None:
    assert _meter(clock).get(PROFILE_BUFFER, access) is AccessResult.TYPE_UNMATCHED


@pytest.mark.parametrize("wants", [True, False])
def test_some_meters_want_a_deviation_and_some_do_not(clock: Any, wants: bool) -> None:  # noqa: FBT001 - a parameter
    meter = _meter(clock, captures=_styled(wants_deviation=wants))
    selection = Range(from_utc=DAY, to_utc=DAY)
    right = range_access(selection, TIME, with_deviation=wants)
    wrong = range_access(selection, TIME, with_deviation=not wants)
    assert list(_rows(meter, right).at_s) == [DAY_S]
    assert meter.get(PROFILE_BUFFER, wrong) is AccessResult.TYPE_UNMATCHED


# -- the meter's own clock ---------------------------------------------------------------------


def _set(meter: DlmsMeter, shown_utc: datetime) -> None:
    data = octet_string(TIME.write(shown_utc))
    assert meter.set(CLOCK_TIME, data) is AccessResult.SUCCESS


def test_a_fast_clock_gains_what_its_drift_says(clock: Any) -> None:
    meter = _meter(clock, drift_ppm=100)
    clock.at_utc += timedelta(days=10)
    gained = meter.meter_clock.shown_utc() - clock.now_utc()
    assert gained == timedelta(seconds=86.4)


def test_rows_are_stamped_by_the_clock_that_ran_off(clock: Any) -> None:
    meter = _meter(clock, drift_ppm=10_000)
    clock.at_utc += timedelta(days=1)
    rows = _rows(meter)
    began_utc = datetime(2025, 3, 3, 18, 7, 30, tzinfo=UTC)
    stamped = datetime.fromtimestamp(rows.at_s[-1], UTC)
    captured = began_utc + (stamped - began_utc) * 100 / 101
    assert rows.integers(2)[-1] == HOME.register_wh(captured + timedelta(microseconds=1))


def test_the_first_row_behind_a_setting_says_so(clock: Any) -> None:
    meter = _meter(clock)
    _set(meter, clock.now_utc() + timedelta(minutes=2))
    clock.at_utc += timedelta(minutes=30)
    assert list(_rows(meter).integers(1)[-3:]) == [0, STATUS_CLOCK_ADJUSTED, 0]


def test_a_clock_set_forward_skips_rows_and_set_back_repeats_them(clock: Any) -> None:
    meter = _meter(clock)
    _rows(meter)
    now_utc = clock.now_utc()
    _set(meter, now_utc + timedelta(hours=1))
    clock.at_utc += timedelta(minutes=15)
    _set(meter, now_utc)
    clock.at_utc += timedelta(minutes=30)
    rows = _rows(meter, _range(now_utc, now_utc + timedelta(hours=2)))
    minutes = [(at_s - int(now_utc.timestamp()) + 450) // 60 for at_s in rows.at_s]
    assert minutes == [75, 15, 30]


def test_what_was_captured_stays_where_it_was_when_the_clock_is_set_back(clock: Any) -> None:
    meter = _meter(clock)
    before = list(_rows(meter).at_s)
    _set(meter, clock.now_utc() - timedelta(hours=1))
    assert list(_rows(meter).at_s) == before


def test_a_clock_set_a_thousand_times_still_knows_what_it_showed_at_first(clock: Any) -> None:
    meter = _meter(clock)
    for _ in range(1100):
        _set(meter, clock.now_utc())
    assert meter.meter_clock.shows(DAY) == DAY


def test_a_clock_that_gains_a_quarter_hour_a_day_is_refused(clock: Any) -> None:
    with pytest.raises(InvalidValueError):
        MeterClock(clock, utc_offset_min=0, drift_ppm=10_001)


def test_a_time_that_is_none_is_refused(clock: Any) -> None:
    wrong = octet_string(b"noon")
    assert _meter(clock).set(CLOCK_TIME, wrong) is AccessResult.TYPE_UNMATCHED


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("day", "rows"),
    [((2025, 10, 26), 100), ((2025, 3, 30), 92), ((2025, 6, 1), 96)],
)
def test_a_local_day_has_as_many_rows_as_quarter_hours(
    clock: Any, day: tuple[int, int, int], rows: int
) -> None:
    midnight = datetime(*day, tzinfo=BERLIN)
    next_midnight = midnight + timedelta(days=1)
    clock.at_utc = next_midnight.astimezone(UTC) + timedelta(minutes=1)
    meter = _meter(clock, zone=BERLIN)
    told = _rows(meter, _range((midnight + STEP).astimezone(UTC), next_midnight.astimezone(UTC)))
    assert len(set(told.at_s)) == rows


def test_summer_time_is_in_the_deviation_in_the_clocks_status_and_in_the_rows(clock: Any) -> None:
    clock.at_utc = datetime(2025, 7, 1, 12, 0, tzinfo=UTC)
    meter = _meter(clock, zone=BERLIN)
    assert _read(meter, CLOCK_TIME).as_octets().hex() == "07e90701020e000000ff8880"
    assert _read(meter, CLOCK_STATUS).as_int() == 0x80
    assert _rows(meter).integers(1)[-1] == STATUS_DAYLIGHT_SAVING
    assert _rows(meter).clock[-1] is Quality.GOOD


# -- events ------------------------------------------------------------------------------------


def _events(meter: DlmsMeter) -> list[tuple[int, int | None]]:
    buffer = meter.get(Ref(7, EVENT_LOG, 2), None)
    assert isinstance(buffer, Encoded)
    columns = read_columns(_read(meter, Ref(7, EVENT_LOG, 3)))
    rows = read_rows(buffer, Layout(columns=columns, period_s=0), TIME)
    return list(zip(rows.at_s, rows.integers(1), strict=True))


def test_outages_are_noted_with_their_begin_and_end(clock: Any) -> None:
    dark = (DAY + timedelta(minutes=20), DAY + timedelta(minutes=50))
    ahead = (clock.now_utc() + timedelta(hours=1), clock.now_utc() + timedelta(hours=2))
    events = _events(_meter(clock, Supply([dark, ahead])))
    assert events == [(DAY_S + 20 * 60, 1), (DAY_S + 50 * 60, 2)]


def test_a_setting_is_noted_under_both_times(clock: Any) -> None:
    meter, now_s = _meter(clock), int(clock.now_utc().timestamp())
    _set(meter, clock.now_utc() + timedelta(hours=1))
    assert _events(meter) == [(now_s, 4), (now_s + 3600, 5)]


def test_an_opened_cover_is_noted(clock: Any) -> None:
    meter = _meter(clock)
    assert _read(meter, EVENT_CODE).as_int() == 0
    meter.open_cover()
    clock.at_utc += timedelta(minutes=1)
    meter.close_cover()
    assert [code for _, code in _events(meter)] == [40, 41]
    assert _read(meter, EVENT_CODE).as_int() == 41


def test_a_full_log_forgets_its_oldest_events(clock: Any) -> None:
    meter = _meter(clock)
    for _ in range(201):
        clock.at_utc += timedelta(seconds=1)
        meter.open_cover()
    began_s = int(datetime(2025, 3, 3, 18, 7, 30, tzinfo=UTC).timestamp())
    assert [at_s for at_s, _ in _events(meter)][:1] == [began_s + 2]
    assert len(_events(meter)) == 200
