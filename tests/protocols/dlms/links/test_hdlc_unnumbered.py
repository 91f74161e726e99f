"""UI frames: a real meter's, segmented ones, and others' that are none of ours."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.notification import DataNotification
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import Frame, HdlcAddress
from quince.protocols.dlms.links.hdlc_unnumbered import UnnumberedListener
from quince.protocols.dlms.links.link import UnnumberedReceived

SERVER, CLIENT = HdlcAddress(upper=1, lower=17), HdlcAddress(upper=16)
EVERYBODY = HdlcAddress(upper=127, lower=127)


def _ui(information: bytes, *, segmented: bool = False, source: HdlcAddress = SERVER) -> bytes:
    return Frame(
        destination=CLIENT,
        source=source,
        control=0x13,
        information=information,
        segmented=segmented,
    ).encode()


def _heard(octets: bytes) -> list[bytes]:
    listener = UnnumberedListener()
    listener.receive_data(octets)
    return list(iter(listener.next_apdu, None))


def test_the_list_of_a_real_meter_is_heard(public_data: Path) -> None:
    strings = json.loads((public_data / "protocols/dlms/dlms_cosem_tests_mit.json").read_text())
    (octets,) = (
        bytes.fromhex(one["hex"])
        for one in strings
        if one["test"] == "TestUnnumberedInformationFrame.test_parse"
    )
    (apdu,) = _heard(octets)
    assert isinstance(decode_apdu(apdu), DataNotification)


def test_an_apdu_in_segments_is_heard_whole() -> None:
    octets = _ui(b"\xe6\xe7\x00\x0f", segmented=True) + _ui(b"\x01\x02")
    assert _heard(octets) == [b"\x0f\x01\x02"]


def test_a_segment_of_another_meter_does_not_get_in_between() -> None:
    other = HdlcAddress(upper=1, lower=18)
    first = _ui(b"\xe6\xe7\x00\x0f", segmented=True)
    octets = first + _ui(b"\xe6\xe7\x00\xc2", source=other) + _ui(b"\x01\x02")
    assert _heard(octets) == [b"\xc2"]


def test_segments_without_end_are_not_kept() -> None:
    endless = _ui(b"\xe6\xe7\x00" + bytes(2_000), segmented=True) * 33
    assert _heard(endless + _ui(b"\xe6\xe7\x00\x0f")) == [b"\x0f"]


def test_frames_of_other_kinds_and_other_layers_are_passed_over() -> None:
    ready = Frame(destination=CLIENT, source=SERVER, control=0x11).encode()
    assert _heard(ready + _ui(b"\x0f\x00") + _ui(b"\xe6\xe7\x00\x0f")) == [b"\x0f"]


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_noise_is_no_apdu_and_no_error(noise: bytes) -> None:
    assert _heard(noise) == []
    assert _heard(noise + b"\x7e" + _ui(b"\xe6\xe7\x00\x0f")) == [b"\x0f"]


def _link(role: Role, client: HdlcAddress | None = CLIENT) -> HdlcLink:
    return HdlcLink(role, server=SERVER, client=client)


def test_a_meter_tells_its_client_without_a_connection() -> None:
    assert _link(Role.CLIENT).receive(_link(Role.SERVER).send_unnumbered(b"\x0f\x01")) == [
        UnnumberedReceived(apdu=b"\x0f\x01")
    ]


def test_a_word_to_all_reaches_every_meter_and_none_answers() -> None:
    octets = Frame(
        destination=EVERYBODY, source=CLIENT, control=0x13, information=b"\xe6\xe6\x00\xc1"
    ).encode()
    meter = _link(Role.SERVER, client=None)
    assert meter.receive(octets) == [UnnumberedReceived(apdu=b"\xc1")]


@pytest.mark.parametrize("control", [0x93, 0x10, 0x11, 0x53])
def test_a_command_to_all_is_not_answered(control: int) -> None:
    command = Frame(destination=EVERYBODY, source=CLIENT, control=control).encode()
    assert _link(Role.SERVER).receive(command) == []


def test_a_word_for_another_or_without_a_layer_above_is_passed_over() -> None:
    client = _link(Role.CLIENT)
    for_another = Frame(
        destination=HdlcAddress(upper=17),
        source=SERVER,
        control=0x13,
        information=b"\xe6\xe7\x00\x0f",
    )
    assert client.receive(for_another.encode()) == []
    assert client.receive(_ui(b"\x0f")) == []
    assert _link(Role.SERVER, client=None).receive(for_another.encode()) == []
