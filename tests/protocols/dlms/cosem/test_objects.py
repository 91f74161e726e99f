"""The single objects: what they say, and the calls that tell them something."""

import json
from pathlib import Path
from typing import Any

import pytest

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem import disconnect, image, limiter, names, sap, security_setup
from quince.protocols.dlms.cosem.association import (
    OBJECTS_MAX,
    ObjectDescription,
    encode_object_list,
    read_object_list,
)
from quince.protocols.dlms.cosem.clock import CLOCK_TIME
from quince.protocols.dlms.cosem.image import Image, TransferStatus
from quince.protocols.dlms.cosem.names import ClassId
from quince.protocols.dlms.cosem.profile import Column
from quince.protocols.dlms.cosem.push_setup import (
    Destination,
    TransportService,
    encode_push_objects,
    read_push_objects,
)
from quince.protocols.dlms.cosem.register import UNIT_WH, Scale, scale_of
from quince.protocols.dlms.encoding.axdr import NULL, Data, array, encode, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag

# -- registers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scaler", "raw", "energy_wh"), [(0, 123, 123), (3, 123, 123_000), (-1, 1_239, 123)]
)
def test_a_register_is_scaled_in_integers(scaler: int, raw: int, energy_wh: int) -> None:
    scale = Scale.read(structure(Data(Tag.INT8, scaler), Data(Tag.ENUM, UNIT_WH)))
    assert scale.apply(raw) == energy_wh
    assert Scale.read(scale.encode()) == scale


def test_a_scaler_beyond_belief_is_refused() -> None:
    with pytest.raises(CodecError):
        Scale.read(structure(Data(Tag.INT8, 100), Data(Tag.ENUM, UNIT_WH)))


@pytest.mark.parametrize(("class_id", "index"), [(3, 3), (4, 3), (5, 4)])
def test_each_class_of_registers_keeps_its_scaler_in_its_place(class_id: int, index: int) -> None:
    name = Obis(1, 0, 1, 8, 0)
    assert scale_of(Ref(class_id, name, 2)) == Ref(class_id, name, index)


def test_a_clock_has_no_scaler() -> None:
    with pytest.raises(InvalidValueError):
        scale_of(CLOCK_TIME)


# -- the switch and the limiter ----------------------------------------------------------------


def test_the_switch_is_in_one_of_three_states() -> None:
    read = disconnect.read_control_state
    assert read(Data(Tag.ENUM, 2)) is disconnect.ControlState.READY_FOR_RECONNECTION
    with pytest.raises(CodecError):
        read(Data(Tag.ENUM, 3))


@pytest.mark.parametrize(
    ("data", "flows"),
    [
        (Data(Tag.BOOLEAN, value=True), True),
        (Data(Tag.BOOLEAN, value=False), False),
        (Data(Tag.UINT8, 1), True),
    ],
)
def test_a_meter_says_in_its_way_whether_current_flows(data: Data, flows: bool) -> None:  # noqa: FBT001 - a parameter
    assert disconnect.read_output_state(data) is flows


def test_a_limit_is_set_behind_its_patience() -> None:
    limit = limiter.Limit(power_w=5_000, over_s=60)
    assert limit.requests() == (
        (Ref(71, Obis(0, 0, 17, 0, 0), 6), Data(Tag.UINT32, 60)),
        (Ref(71, Obis(0, 0, 17, 0, 0), 4), Data(Tag.UINT32, 5_000)),
    )


def test_a_limit_below_zero_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        limiter.Limit.read(Data(Tag.INT32, -1), Data(Tag.UINT32, 0))


# -- firmware ----------------------------------------------------------------------------------

FIRMWARE = Image(identifier=b"fw-2", octets=bytes(range(10)), block_octets=4)


def test_the_last_block_is_what_is_left() -> None:
    assert FIRMWARE.block_count == 3
    ref, block = FIRMWARE.block(2)
    assert ref == Ref(18, Obis(0, 0, 44, 0, 0), 2)
    assert block == structure(Data(Tag.UINT32, 2), octet_string(bytes((8, 9))))


def test_a_transfer_begins_with_name_and_size() -> None:
    _ref, data = FIRMWARE.initiate()
    assert encode(data).hex() == "0202" + "0904" + b"fw-2".hex() + "060000000a"


@pytest.mark.parametrize(
    ("bits", "missing"),
    [
        ((True, False, True), (1,)),
        ((True, True, True), ()),
        ((False, False, True, False, False, False, False, False), (0, 1)),
        ((True, True), None),
        ((True, True, True, True), None),
    ],
)
def test_bits_say_which_blocks_are_missing(
    bits: tuple[bool, ...], missing: tuple[int, ...] | None
) -> None:
    assert FIRMWARE.missing(Data(Tag.BIT_STRING, bits)) == missing


def test_blocks_are_told_in_bits_and_nothing_else() -> None:
    with pytest.raises(CodecError):
        FIRMWARE.missing(octet_string(b"\xff"))


def test_the_image_to_activate_is_known_by_size_and_name() -> None:
    def told(size: int, name: bytes) -> Data:
        return array((structure(Data(Tag.UINT32, size), octet_string(name), octet_string(b"")),))

    assert FIRMWARE.is_to_activate(told(10, b"fw-2"))
    assert not FIRMWARE.is_to_activate(told(10, b"fw-1"))
    assert not FIRMWARE.is_to_activate(told(11, b"fw-2"))
    assert not FIRMWARE.is_to_activate(array(()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"identifier": b""},
        {"identifier": bytes(65)},
        {"octets": b""},
        {"block_octets": 0},
        {"block_octets": 2**16 + 1},
    ],
)
def test_an_image_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"identifier": b"fw", "octets": b"x", "block_octets": 1}
    with pytest.raises(InvalidValueError):
        Image(**{**right, **wrong})


def test_a_transfers_status_and_block_size_are_believed_within_reason() -> None:
    assert image.read_status(Data(Tag.ENUM, 3)) is TransferStatus.VERIFICATION_SUCCESSFUL
    assert image.read_block_octets(Data(Tag.UINT32, 50)) == 50
    with pytest.raises(CodecError):
        image.read_status(Data(Tag.ENUM, 8))
    with pytest.raises(CodecError):
        image.read_block_octets(Data(Tag.UINT32, 0))


# -- security, push, logical devices -----------------------------------------------------------


def test_a_wrapped_key_is_transferred_under_its_number() -> None:
    key_id = security_setup.KeyId.AUTHENTICATION
    ref, data = security_setup.key_transfer(key_id, bytes(24))
    assert ref == Ref(64, Obis(0, 0, 43, 0, 0), 2)
    assert encode(data).hex() == "0101" + "0202" + "1602" + "0918" + "00" * 24
    assert security_setup.read_key_transfer(data) == ((key_id, bytes(24)),)


@pytest.mark.parametrize(
    "data",
    [
        array(()),
        array([structure(Data(Tag.ENUM, 0), octet_string(b""))] * 5),
        array((structure(Data(Tag.ENUM, 4), octet_string(b"")),)),
    ],
)
def test_no_keys_too_many_and_unknown_ones_are_refused(data: Data) -> None:
    with pytest.raises(CodecError):
        security_setup.read_key_transfer(data)


def test_a_push_goes_where_it_was_told() -> None:
    to = Destination(service=TransportService.UDP, address=b"192.0.2.1:4059")
    assert Destination.read(to.encode()) == to
    with pytest.raises(CodecError):
        Destination.read(structure(Data(Tag.ENUM, 99), octet_string(b""), Data(Tag.ENUM, 0)))


def test_what_is_pushed_is_written_as_what_a_profile_captures() -> None:
    columns = (Column(ref=CLOCK_TIME), Column(ref=names.DEVICE_ID))
    assert read_push_objects(encode_push_objects(columns)) == columns


def test_the_logical_devices_are_read_by_their_address() -> None:
    devices = {1: b"QNCM1", 2: b"GAS"}
    assert sap.read_sap_list(sap.encode_sap_list(devices)) == devices
    with pytest.raises(CodecError):
        sap.read_sap_list(sap.encode_sap_list(dict.fromkeys(range(65), b"")))


# -- the object list ---------------------------------------------------------------------------

REGISTER = ObjectDescription(
    class_id=3,
    version=0,
    obis=Obis(1, 0, 1, 8, 0),
    readable=frozenset({1, 2, 3}),
    writable=frozenset({3, 4}),
    methods=frozenset({1}),
)


def test_an_object_list_is_read_as_it_was_written() -> None:
    silent = ObjectDescription(class_id=8, version=0, obis=Obis(0, 0, 1, 0, 0))
    assert read_object_list(encode_object_list((REGISTER, silent))) == (REGISTER, silent)


def test_an_object_without_rights_told_may_be_tried() -> None:
    silent = ObjectDescription(class_id=8, version=0, obis=Obis(0, 0, 1, 0, 0))
    assert silent.may_read(2)
    assert REGISTER.may_read(2)
    assert not REGISTER.may_read(4)


@pytest.mark.parametrize(("mode", "may_read"), [(0, False), (1, True), (2, False), (5, False)])
def test_access_modes_say_what_may_be_read(mode: int, may_read: bool) -> None:  # noqa: FBT001 - a parameter
    rights = structure(
        array((structure(Data(Tag.INT8, 2), Data(Tag.ENUM, mode), NULL),)),
        array((structure(Data(Tag.INT8, 1), Data(Tag.BOOLEAN, value=True)),)),
    )
    element = structure(
        Data(Tag.UINT16, 3), Data(Tag.UINT8, 0), octet_string(bytes(REGISTER.obis)), rights
    )
    (description,) = read_object_list(array((element,)))
    assert description.may_read(2) is may_read
    assert description.methods == {1}


def test_more_objects_than_a_meter_can_have_are_refused() -> None:
    with pytest.raises(CodecError):
        read_object_list(array((REGISTER.encode(),) * (OBJECTS_MAX + 1)))


# -- names -------------------------------------------------------------------------------------


def test_a_name_has_six_octets() -> None:
    assert names.read_name(octet_string(bytes((1, 0, 1, 8, 0, 255)))) == Obis(1, 0, 1, 8, 0)
    with pytest.raises(CodecError):
        names.read_name(octet_string(bytes(5)))


NAMED = {
    (ClassId.CLOCK, names.CLOCK),
    (ClassId.ASSOCIATION, names.ASSOCIATION),
    (ClassId.IMAGE_TRANSFER, names.IMAGE_TRANSFER),
    (ClassId.PROFILE, names.EVENT_LOG),
    (ClassId.DATA, names.SERIAL_NUMBER.obis),
    (ClassId.DATA, names.DEVICE_ID.obis),
    (ClassId.DATA, names.FIRMWARE_ID.obis),
    (ClassId.DATA, names.EVENT_CODE.obis),
    (ClassId.REGISTER, names.ACTIVE_IMPORT.obis),
}


def _published(public_data: Path) -> list[dict[str, Any]]:
    paths = (public_data / "protocols/dlms/gxf_profiles").glob("dlmsprofile-*.json")
    return [one for path in paths for one in json.loads(path.read_text())["objects"]]


def test_the_names_are_those_of_published_meters(public_data: Path) -> None:
    published = {(one["class-id"], one["obis"]) for one in _published(public_data)}
    assert {
        (int(class_id), ".".join(map(str, bytes(name)))) for class_id, name in NAMED
    } <= published


@pytest.mark.parametrize(
    ("class_id", "attributes"),
    [
        (7, {2: "buffer", 3: "capture objects", 4: "capture period in sec", 5: "sort method"}),
        (8, {2: "time", 3: "time_zone", 4: "status"}),
        (15, {2: "object_list"}),
        (18, {2: "image_block_size", 3: "image_transferred_blocks_status"}),
    ],
)
def test_the_attributes_are_where_published_meters_have_them(
    public_data: Path, class_id: int, attributes: dict[int, str]
) -> None:
    published = {
        (one["class-id"], attribute["id"], attribute["description"])
        for one in _published(public_data)
        for attribute in one["attributes"]
    }
    assert {(class_id, index, name) for index, name in attributes.items()} <= published
