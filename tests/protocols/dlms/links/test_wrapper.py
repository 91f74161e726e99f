import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, LocalProtocolError
from quince.protocols.dlms.links.link import ApduReceived
from quince.protocols.dlms.links.wrapper import DatagramWrapperLink, WrapperLink

FRAME = bytes.fromhex("0001 0010 0001 0003 c001c1")


def test_an_apdu_travels_behind_version_ports_and_length() -> None:
    client = WrapperLink(own_port=16, peer_port=1)
    assert client.is_connected
    assert client.connect() + client.send(bytes.fromhex("c001c1")) + client.disconnect() == FRAME


def test_a_stream_needs_no_repetition_and_no_keep_alive_and_does_not_expire() -> None:
    client = WrapperLink(own_port=16, peer_port=1)
    client.expire()
    assert client.retransmit() + client.keep_alive() == b""
    assert client.is_connected


def test_a_server_answers_the_port_that_asked() -> None:
    server = WrapperLink(own_port=1)
    assert server.receive(FRAME) == [ApduReceived(apdu=bytes.fromhex("c001c1"))]
    assert server.send(b"\xc4") == bytes.fromhex("0001 0001 0010 0001 c4")


@settings(max_examples=50)
@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), st.data())
def test_any_chunks_give_the_same_apdus(apdus: list[bytes], data: st.DataObject) -> None:
    client, server = WrapperLink(own_port=16, peer_port=1), WrapperLink(own_port=1)
    stream = b"".join(client.send(apdu) for apdu in apdus)
    events = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        events += server.receive(stream[:size])
        stream = stream[size:]
    assert events == [ApduReceived(apdu=apdu) for apdu in apdus]


WRONG_HEADERS = ["0002001000010003", "0001001000010000", "0001001000020003", "0001001100010003"]


@pytest.mark.parametrize("header", WRONG_HEADERS)
def test_a_wrong_version_length_or_port_is_refused(header: str) -> None:
    server = WrapperLink(own_port=1, peer_port=16)
    with pytest.raises(CodecError):
        server.receive(bytes.fromhex(header))


def test_nothing_is_sent_to_an_unknown_port() -> None:
    server = WrapperLink(own_port=1)
    assert not server.is_connected
    with pytest.raises(LocalProtocolError):
        server.send(b"\xc4")


def test_an_apdu_beyond_the_length_field_is_not_sent() -> None:
    with pytest.raises(LocalProtocolError):
        WrapperLink(own_port=16, peer_port=1).send(bytes(65_536))


def test_a_whole_apdu_before_a_wrong_header_is_given_first() -> None:
    listener = WrapperLink()
    listener.receive_data(WrapperLink(own_port=1, peer_port=16).send(b"\xc2") + b"\xff" * 8)
    assert listener.next_event() == ApduReceived(apdu=b"\xc2")
    with pytest.raises(CodecError):
        listener.next_event()


@pytest.mark.parametrize("link", [WrapperLink(own_port=1), DatagramWrapperLink(own_port=1)])
def test_octets_that_nobody_takes_are_refused_at_the_door(link: WrapperLink) -> None:
    link.receive_data(bytes(131_086))
    with pytest.raises(LocalProtocolError):
        link.receive_data(b"\x00")


# -- datagrams -----------------------------------------------------------------------------


def test_a_datagram_may_hold_several_apdus() -> None:
    server = DatagramWrapperLink(own_port=1)
    assert server.receive(FRAME + FRAME) == [ApduReceived(apdu=bytes.fromhex("c001c1"))] * 2


def test_an_apdu_may_need_several_datagrams() -> None:
    server = DatagramWrapperLink(own_port=1)
    assert server.receive(FRAME[:9]) == []
    assert server.receive(FRAME[9:]) == [ApduReceived(apdu=bytes.fromhex("c001c1"))]


def test_a_part_whose_rest_is_lost_is_forgotten_with_the_next_apdu() -> None:
    server = DatagramWrapperLink(own_port=1)
    server.receive(FRAME[:9])
    assert server.receive(FRAME) == [ApduReceived(apdu=bytes.fromhex("c001c1"))]


@pytest.mark.parametrize("wrong", [*WRONG_HEADERS, "00", "ffffffffffffffffff"])
def test_a_wrong_datagram_is_dropped_alone(wrong: str) -> None:
    server = DatagramWrapperLink(own_port=1, peer_port=16)
    assert server.receive(bytes.fromhex(wrong)) == []
    assert server.receive(FRAME) == [ApduReceived(apdu=bytes.fromhex("c001c1"))]


def test_what_is_wrong_behind_a_whole_apdu_is_dropped_alone() -> None:
    server = DatagramWrapperLink(own_port=1, peer_port=16)
    assert len(server.receive(FRAME + bytes.fromhex(WRONG_HEADERS[0]))) == 1
    assert len(server.receive(FRAME)) == 1


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_no_datagram_is_an_error_or_outlives_the_next_good_one(datagrams: list[bytes]) -> None:
    server = DatagramWrapperLink(own_port=1, peer_port=16)
    for datagram in datagrams:
        server.receive(datagram)
    assert server.receive(FRAME) == [ApduReceived(apdu=bytes.fromhex("c001c1"))]


def test_a_lost_datagram_is_not_sent_again() -> None:
    client = DatagramWrapperLink(own_port=16, peer_port=1)
    client.send(b"\xc0")
    assert client.retransmit() == b""
