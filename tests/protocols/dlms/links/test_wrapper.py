import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, LocalProtocolError
from quince.protocols.dlms.links.link import ApduReceived
from quince.protocols.dlms.links.wrapper import WrapperLink

FRAME = bytes.fromhex("0001 0010 0001 0003 c001c1")


def test_an_apdu_travels_behind_version_ports_and_length() -> None:
    client = WrapperLink(own_port=16, peer_port=1)
    assert client.is_connected
    assert client.connect() + client.send(bytes.fromhex("c001c1")) + client.disconnect() == FRAME
    assert client.retransmit() == b""


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


@pytest.mark.parametrize(
    "header", ["0002001000010003", "0001001000010000", "0001001000020003", "0001001100010003"]
)
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
    good = WrapperLink(own_port=1, peer_port=16).send(b"\xc2")
    listener = WrapperLink()
    assert listener.receive(good + b"\xff" * 8) == [ApduReceived(apdu=b"\xc2")]
    with pytest.raises(CodecError):
        listener.receive(b"")
