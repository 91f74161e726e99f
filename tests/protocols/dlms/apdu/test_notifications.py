"""Pushed lists: ours there and back, and real ones from consumers' ports."""

import json

import pytest

from quince.model.errors import CodecError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.notification import DataNotification
from quince.protocols.dlms.encoding.axdr import Data, decode, octet_string, structure
from quince.protocols.dlms.encoding.date_time import decode_date_time
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.links.hdlc_frame import FrameReader

LIST = structure(octet_string(b"\x01\x00\x01\x07\x00\xff"), Data(Tag.UINT32, 1500))
TIME = bytes.fromhex("07e40119060d091eff800000")


@pytest.mark.parametrize("date_time", [None, TIME])
def test_a_pushed_list_is_read_back(date_time):
    notification = DataNotification(date_time=date_time, data=LIST)
    assert decode_apdu(notification.encode()) == notification


def test_a_time_marked_as_a_value_is_read_too():
    octets = b"\x0f" + bytes(4) + b"\x09\x0c" + TIME + b"\x11\x05"
    notification = decode_apdu(octets)
    assert notification == DataNotification(date_time=TIME, data=Data(Tag.UINT8, 5))


@pytest.mark.parametrize("head", ["0f00000000", "0f0000000005", "0f00000000090c07e4", "0f0000"])
def test_a_list_that_is_cut_or_has_half_a_time_is_refused(head):
    with pytest.raises(CodecError):
        decode_apdu(bytes.fromhex(head))


@pytest.fixture(scope="session")
def captures(public_data):
    frames = json.loads((public_data / "protocols/han/amshan_frames.json").read_text())
    return {frame["name"]: bytes.fromhex(frame["hex"]) for frame in frames}


def test_the_lists_of_real_consumers_ports_are_data(captures):
    bodies = [octets for name, octets in captures.items() if name.startswith("NOTIFICATION_BODY")]
    lists = [decode(body) for body in bodies]
    assert len(lists) == 8
    assert all(len(one.as_items()) > 0 for one in lists)


def test_the_first_aidon_list_is_the_power_drawn(captures):
    (entry,) = decode(captures["NOTIFICATION_BODY_NO_LIST_1"]).as_items()
    name, power_w, _scale = entry.as_items()
    assert Obis.from_bytes(name.as_octets()) == Obis(1, 0, 1, 7, 0)
    assert power_w.as_int() == 0x118


def test_real_frames_from_a_port_are_cut_checked_and_read(captures):
    framed = [octets for name, octets in captures.items() if name.startswith("FRAME_WITH")]
    stream = b"\x7e" + b"\x7e".join(framed) + b"\x7e"
    frames = FrameReader().feed(stream)
    notifications = [decode_apdu(frame.information[3:]) for frame in frames]
    assert len(notifications) == 2
    times = [one.date_time for one in notifications if isinstance(one, DataNotification)]
    assert times[0] is None
    assert decode_date_time(times[1] or b"", fallback_offset_min=60).at_utc.year == 2020
