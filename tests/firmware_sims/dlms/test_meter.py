"""What a simulated meter answers, object by object."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quince.firmware_sims.dlms.meter import Build, DlmsMeter
from quince.firmware_sims.load import Household, Supply, metered_wh
from quince.model.errors import InvalidValueError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.cosem import disconnect, limiter, names, push_setup, sap
from quince.protocols.dlms.cosem.association import OBJECT_LIST, ObjectDescription, read_object_list
from quince.protocols.dlms.cosem.clock import CLOCK_TIME, CLOCK_ZONE
from quince.protocols.dlms.cosem.disconnect import NOTHING, ControlMode
from quince.protocols.dlms.cosem.profile import PROFILE_ENTRIES_IN_USE, PROFILE_PERIOD
from quince.protocols.dlms.cosem.register import ACTIVE_IMPORT_SCALE, UNIT_WH, Scale
from quince.protocols.dlms.encoding.axdr import Data, octet_string
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.security.credentials import NoSecurity, Password

HOME = Household(seed=7)
EVERYONE = (NoSecurity(), Password(secret=b"12345678"))


def _meter(clock: Any, supply: Supply | None = None, **more: Any) -> DlmsMeter:
    return DlmsMeter(
        device_id="Q-1", household=HOME, supply=supply or Supply(), clock=clock, **more
    )


def _read(meter: Any, ref: Ref) -> Data:
    data = meter.get(ref, None)
    assert isinstance(data, Data)
    return data


def _register(name: Obis) -> Ref:
    return Ref(3, name, 2)


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        (names.LOGICAL_DEVICE_NAME, octet_string(b"QNCQ-1")),
        (names.SERIAL_NUMBER, octet_string(b"Q-1")),
        (names.DEVICE_ID, octet_string(b"Q-1")),
        (names.FIRMWARE_ID, octet_string(b"QNC-1.0.0")),
        (CLOCK_ZONE, Data(Tag.INT16, 360)),
        (PROFILE_PERIOD, Data(Tag.UINT32, 900)),
        (PROFILE_ENTRIES_IN_USE, Data(Tag.UINT32, 45 * 96)),
        (CLOCK_TIME, octet_string(bytes.fromhex("07e90303010c071e00016800"))),
        (Ref(3, Obis(1, 0, 1, 8, 0), 1), octet_string(bytes.fromhex("0100010800ff"))),
    ],
)
def test_an_attribute_reads_as_a_meter_writes_it(clock: Any, ref: Ref, value: Data) -> None:
    assert _meter(clock).get(ref, None) == value


# -- registers ---------------------------------------------------------------------------------


def test_the_register_reads_in_watt_hours(clock: Any) -> None:
    meter = _meter(clock)
    scale = Scale.read(_read(meter, ACTIVE_IMPORT_SCALE))
    assert scale == Scale(scaler=0, unit=UNIT_WH)
    assert _read(meter, names.ACTIVE_IMPORT).as_int() == HOME.register_wh(clock.now_utc())


def test_the_rates_add_up_to_the_total(clock: Any) -> None:
    meter = _meter(clock)
    peak, rest = (_read(meter, _register(Obis(1, 0, 1, 8, rate))).as_int() for rate in (1, 2))
    assert peak + rest == HOME.register_wh(clock.now_utc())
    assert 0 < rest < peak


@pytest.mark.parametrize("c", [2, 3, 4])
def test_export_and_reactive_energy_grow_too(clock: Any, c: int) -> None:
    meter = _meter(clock)
    before = _read(meter, _register(Obis(1, 0, c, 8, 0))).as_int()
    clock.at_utc += timedelta(days=1)
    assert _read(meter, _register(Obis(1, 0, c, 8, 0))).as_int() > before


def test_a_register_rolls_over_at_its_32_bits(clock: Any) -> None:
    factory = Household(seed=1, base_wh=100_000)
    meter = DlmsMeter(device_id="Q-1", household=factory, supply=Supply(), clock=clock)
    energy_wh = factory.register_wh(clock.now_utc())
    assert energy_wh > 2**32
    assert _read(meter, names.ACTIVE_IMPORT).as_int() == energy_wh % 2**32


def test_the_last_quarter_hours_energy_has_a_register_of_its_own(clock: Any) -> None:
    ended_utc = datetime(2025, 3, 3, 18, 0, tzinfo=UTC)
    last = _read(_meter(clock), _register(Obis(1, 0, 1, 29, 0))).as_int()
    assert last == HOME.interval_wh(ended_utc - timedelta(minutes=15))


# -- the switch --------------------------------------------------------------------------------


def test_nothing_is_metered_while_the_switch_is_open(clock: Any) -> None:
    meter, began_utc = _meter(clock), clock.now_utc()
    assert meter.action(disconnect.REMOTE_DISCONNECT, NOTHING)[0] is AccessResult.SUCCESS
    clock.at_utc += timedelta(hours=3)
    assert _read(meter, names.ACTIVE_IMPORT).as_int() == HOME.register_wh(began_utc)
    assert meter.action(disconnect.REMOTE_RECONNECT, NOTHING)[0] is AccessResult.SUCCESS
    clock.at_utc += timedelta(hours=1)
    grown = HOME.register_wh(clock.now_utc()) - HOME.register_wh(began_utc + timedelta(hours=3))
    assert _read(meter, names.ACTIVE_IMPORT).as_int() == HOME.register_wh(began_utc) + grown


def test_a_switch_that_must_stay_closed_refuses_to_open(clock: Any) -> None:
    meter = _meter(clock, build=Build(relay=ControlMode.NONE))
    result, _ = meter.action(disconnect.REMOTE_DISCONNECT, NOTHING)
    assert result is AccessResult.READ_WRITE_DENIED
    assert _read(meter, disconnect.CONTROL_MODE).as_int() == 0


def test_a_button_pushed_for_nothing_does_nothing(clock: Any) -> None:
    meter = _meter(clock)
    meter.relay.push_button()
    assert _read(meter, disconnect.CONTROL_STATE).as_int() == 1


def test_the_limiter_keeps_what_it_is_told(clock: Any) -> None:
    meter = _meter(clock)
    for ref, data in limiter.Limit(power_w=5_000, over_s=60).requests():
        assert meter.set(ref, data) is AccessResult.SUCCESS
    assert _read(meter, limiter.THRESHOLD_ACTIVE).as_int() == 5_000
    assert _read(meter, limiter.OVER_DURATION).as_int() == 60
    wrong = meter.set(limiter.THRESHOLD_NORMAL, octet_string(b"much"))
    assert wrong is AccessResult.TYPE_UNMATCHED


def test_the_push_setup_keeps_where_to_push_to(clock: Any) -> None:
    meter = _meter(clock)
    to = push_setup.Destination(service=push_setup.TransportService.TCP, address=b"192.0.2.1:4059")
    assert meter.set(push_setup.PUSH_DESTINATION, to.encode()) is AccessResult.SUCCESS
    assert push_setup.Destination.read(_read(meter, push_setup.PUSH_DESTINATION)) == to
    pushed = push_setup.read_push_objects(_read(meter, push_setup.PUSH_OBJECTS))
    assert [column.ref for column in pushed] == [names.DEVICE_ID]


# -- what there is, and for whom ---------------------------------------------------------------


def _described(meter: Any) -> dict[tuple[int, Obis], ObjectDescription]:
    return {(one.class_id, one.obis): one for one in read_object_list(_read(meter, OBJECT_LIST))}


def test_the_association_lists_the_objects_and_what_may_be_done_with_them(clock: Any) -> None:
    described = _described(_meter(clock))
    assert described[8, names.CLOCK].writable == {2}
    assert described[70, names.DISCONNECT_CONTROL].methods == {1, 2}
    assert described[3, Obis(1, 0, 1, 8, 0)].readable == {1, 2, 3}
    assert (15, names.ASSOCIATION) in described


def test_everything_that_is_listed_as_readable_can_be_read(clock: Any) -> None:
    meter = _meter(clock)
    refs = [
        Ref(one.class_id, one.obis, index)
        for one in _described(meter).values()
        for index in one.readable
    ]
    assert not [ref for ref in refs if isinstance(meter.get(ref, None), AccessResult)]


def test_the_management_device_is_at_address_1(clock: Any) -> None:
    assert sap.read_sap_list(_read(_meter(clock), sap.SAP_LIST)) == {1: b"QNCQ-1"}


def test_who_proves_nothing_sees_clock_and_names_alone(clock: Any) -> None:
    public = _meter(clock, accepts=EVERYONE).public_view()
    assert _read(public, CLOCK_TIME).as_octets().hex() == "07e90303010c071e00016800"
    assert _read(public, names.LOGICAL_DEVICE_NAME).as_octets() == b"QNCQ-1"
    assert public.get(names.ACTIVE_IMPORT, None) is AccessResult.OBJECT_UNDEFINED
    assert (3, Obis(1, 0, 1, 8, 0)) not in _described(public)
    assert (8, names.CLOCK) in _described(public)


def test_who_proves_nothing_changes_nothing(clock: Any) -> None:
    public = _meter(clock, accepts=EVERYONE).public_view()
    shown = octet_string(bytes.fromhex("07e90303010c071e00016800"))
    assert public.set(CLOCK_TIME, shown) is AccessResult.READ_WRITE_DENIED
    denied, _ = public.action(disconnect.REMOTE_DISCONNECT, NOTHING)
    assert denied is AccessResult.READ_WRITE_DENIED


def test_where_nobody_has_to_prove_anything_all_is_public(clock: Any) -> None:
    meter = _meter(clock)
    assert meter.public_view() is meter


def test_what_the_meter_does_not_have_or_allow_is_refused(clock: Any) -> None:
    meter = _meter(clock)
    nowhere = Ref(3, Obis(1, 0, 9, 8, 0), 2)
    selection = Access(selector=1, parameter=Data(Tag.NULL))
    assert meter.get(nowhere, None) is AccessResult.OBJECT_UNDEFINED
    assert meter.set(nowhere, NOTHING) is AccessResult.OBJECT_UNDEFINED
    assert meter.action(nowhere, None)[0] is AccessResult.OBJECT_UNDEFINED
    assert meter.get(Ref(3, Obis(1, 0, 1, 8, 0), 9), None) is AccessResult.READ_WRITE_DENIED
    assert meter.get(CLOCK_TIME, selection) is AccessResult.SCOPE_OF_ACCESS_VIOLATED
    assert meter.set(names.ACTIVE_IMPORT, NOTHING) is AccessResult.READ_WRITE_DENIED
    assert meter.action(CLOCK_TIME, None)[0] is AccessResult.READ_WRITE_DENIED


def test_a_meter_without_a_name_is_refused(clock: Any) -> None:
    with pytest.raises(InvalidValueError):
        DlmsMeter(device_id="", household=HOME, supply=Supply(), clock=clock)


def test_a_switched_off_premise_in_an_outage_is_counted_once(clock: Any) -> None:
    now_utc = clock.now_utc()
    supply = Supply([(now_utc + timedelta(hours=1), now_utc + timedelta(hours=3))])
    supply.switch_off(now_utc)
    supply.switch_on(now_utc + timedelta(hours=2))
    drawn_wh = metered_wh(HOME, supply, now_utc + timedelta(hours=4))
    unserved_wh = HOME.register_wh(now_utc + timedelta(hours=3)) - HOME.register_wh(now_utc)
    assert drawn_wh == HOME.register_wh(now_utc + timedelta(hours=4)) - unserved_wh
