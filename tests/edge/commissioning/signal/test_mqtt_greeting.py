"""The few MQTT packets that measure a session."""

from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from quince.edge.commissioning.signal.mqtt_greeting import (
    CONNACK,
    PINGRESP,
    Greeting,
    PacketReader,
    reason_of,
)
from quince.model.errors import CodecError


def test_a_greeting_takes_nothing_from_the_session():
    octets = Greeting(client_id="gw-1", session_expiry_s=604_800).encode()
    assert octets.hex() == "1016" + "00044d515454" + "05" + "00" + "001e" + "051100093a80" + (
        "000467772d31"
    )


def test_a_name_and_a_password_stand_behind_the_client():
    octets = Greeting(client_id="g", session_expiry_s=0, username="u", password="p").encode()
    assert octets[9] == 0xC0
    assert octets.endswith(b"\0\1g\0\1u\0\1p")


def test_a_long_greeting_has_a_length_of_two_octets():
    octets = Greeting(client_id="g" * 200, session_expiry_s=0).encode()
    assert octets[1:3] == bytes((0x80 | (len(octets) - 3) & 0x7F, (len(octets) - 3) >> 7))


def test_packets_are_told_apart_however_they_arrive():
    packets = PacketReader()
    found = []
    for octet in bytes.fromhex("2003000000" + "30020000" + "d000"):
        packets.receive_data(bytes((octet,)))
        found.append(packets.next_packet())
    assert [one for one in found if one] == [(CONNACK, b"\0\0\0"), (3, b"\0\0"), (PINGRESP, b"")]


@pytest.mark.parametrize("octets", [b"\x30\xff\xff\xff\xff\x01", b"\x30\xff\xff\xff\x7f"])
def test_a_length_that_cannot_be_is_refused(octets):
    packets = PacketReader()
    packets.receive_data(octets)
    with pytest.raises(CodecError):
        packets.next_packet()


def test_a_reason_is_the_second_octet():
    assert reason_of(b"\0\x87\0") == 0x87
    with pytest.raises(CodecError):
        reason_of(b"\0")


@given(st.binary(max_size=64))
@settings(max_examples=150)
def test_hostile_octets_end_in_packets_or_in_one_error(octets):
    packets = PacketReader()
    packets.receive_data(octets)
    with suppress(CodecError):
        assert all(len(body) <= 64 for _, body in iter(packets.next_packet, None))
