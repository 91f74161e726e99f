from itertools import count

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import (
    CodecError,
    InvalidValueError,
    LocalProtocolError,
    RemoteProtocolError,
)
from quince.protocols.dlms.links.hdlc import RETRANSMISSIONS_MAX, HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import (
    Frame,
    FrameReader,
    HdlcAddress,
    check_sequence,
    decode_frame,
)
from quince.protocols.dlms.links.link import (
    ApduReceived,
    Connected,
    Disconnected,
    LinkEvent,
    Transmit,
)

SERVER, CLIENT = HdlcAddress(upper=1, lower=17), HdlcAddress(upper=16)


# -- frames --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "octets"),
    [
        (HdlcAddress(upper=16), "21"),
        (HdlcAddress(upper=1, lower=17), "0223"),
        (HdlcAddress(upper=0, lower=17), "0023"),
        (HdlcAddress(upper=1, lower=0), "0201"),
        (HdlcAddress(upper=128, lower=17), "02000023"),
        (HdlcAddress(upper=1, lower=200), "00020291"),
        (HdlcAddress(upper=1, lower=17, size=4), "00020023"),
        (HdlcAddress(upper=16_383, lower=16_383), "fefefeff"),
    ],
)
def test_an_address_is_written_in_the_octets_it_needs(address: HdlcAddress, octets: str) -> None:
    assert address.encode() == bytes.fromhex(octets)
    frame = Frame(destination=address, source=CLIENT, control=0x93)
    assert FrameReader().feed(frame.encode())[0].destination == address


def test_128_17_is_not_1_17() -> None:
    frame = Frame(destination=HdlcAddress(upper=128, lower=17), source=CLIENT, control=0x93)
    assert FrameReader().feed(frame.encode())[0].destination != SERVER


@pytest.mark.parametrize(
    ("upper", "lower", "size"),
    [(128, None, 0), (16_384, 1, 0), (1, 16_384, 0), (1, 1, 1), (1, 1, 3)],
)
def test_an_address_that_cannot_be_written_is_refused(
    upper: int, lower: int | None, size: int
) -> None:
    with pytest.raises(InvalidValueError):
        HdlcAddress(upper=upper, lower=lower, size=size)


@pytest.mark.parametrize("destination", ["000203", "000202040203"])
def test_an_address_of_three_or_more_than_four_octets_is_refused(destination: str) -> None:
    body = bytes.fromhex(destination) + bytes.fromhex("2193")
    length = len(body) + 4
    octets = bytes((0xA0, length)) + body
    with pytest.raises(CodecError):
        decode_frame(octets + check_sequence(octets))


def test_a_frame_whose_check_sequence_ends_in_7e_is_read() -> None:
    octets = bytes.fromhex("7ea0102103301ea4e6e7000000008a227e7e")
    (frame,) = FrameReader().feed(octets)
    assert frame.information == bytes.fromhex("e6e7000000008a")
    assert frame.encode() == octets


def test_one_frame_in_256_ends_in_7e_and_all_are_read() -> None:
    information = (number.to_bytes(4, "big") for number in count())
    frames = [
        Frame(destination=SERVER, source=CLIENT, control=0x10, information=next(information))
        for _ in range(2_000)
    ]
    stream = b"".join(frame.encode() for frame in frames)
    assert sum(frame.encode().endswith(b"\x7e\x7e") for frame in frames) > 0
    assert FrameReader().feed(stream) == frames


def test_one_flag_may_close_a_frame_and_open_the_next() -> None:
    octets = Frame(destination=SERVER, source=CLIENT, control=0x93).encode()
    assert len(FrameReader().feed(octets + octets[1:])) == 2


def test_noise_before_a_frame_and_a_broken_frame_are_passed_over() -> None:
    good = Frame(destination=SERVER, source=CLIENT, control=0x10, information=b"hello").encode()
    broken = bytearray(good)
    broken[12] ^= 1
    assert len(FrameReader().feed(b"\x00\x7e\x41" + bytes(broken) + good)) == 1


def test_a_header_check_that_does_not_fit_is_refused() -> None:
    octets = bytearray(
        Frame(destination=SERVER, source=CLIENT, control=0x10, information=b"hello").encode()
    )
    octets[7] ^= 1
    head = bytes(octets[1:-3])
    with pytest.raises(CodecError):
        decode_frame(head + check_sequence(head))


def test_a_frame_longer_than_agreed_is_passed_over() -> None:
    long = Frame(destination=SERVER, source=CLIENT, control=0x10, information=bytes(200)).encode()
    assert FrameReader(frame_octets_max=143).feed(long) == []


def test_a_frame_beyond_the_length_field_is_not_written() -> None:
    with pytest.raises(InvalidValueError):
        Frame(destination=SERVER, source=CLIENT, control=0x10, information=bytes(2_040)).encode()


@settings(max_examples=50)
@given(st.binary(max_size=100), st.binary(min_size=1, max_size=50), st.data())
def test_a_reader_holds_no_more_than_a_frame(
    noise: bytes, information: bytes, data: st.DataObject
) -> None:
    frame = Frame(destination=SERVER, source=CLIENT, control=0x10, information=information)
    reader = FrameReader(frame_octets_max=143)
    cut = data.draw(st.integers(0, len(noise)))
    found = reader.feed(noise[:cut]) + reader.feed(noise[cut:])
    found += reader.feed(bytes(150)) + reader.feed(frame.encode())
    assert frame in found
    assert len(reader._buffer) <= 145


# -- the link ------------------------------------------------------------------------------


def _link(role: Role, octets_max: int = 128) -> HdlcLink:
    client = CLIENT if role is Role.CLIENT else None
    return HdlcLink(role, server=SERVER, client=client, information_octets_max=octets_max)


def _carry(octets: bytes, sender: HdlcLink, receiver: HdlcLink) -> list[LinkEvent]:
    """Carry octets there and back until both are silent; return all events but Transmit."""
    events: list[LinkEvent] = []
    while octets:
        arrived = receiver.receive(octets)
        octets = b"".join(one.octets for one in arrived if isinstance(one, Transmit))
        events += [one for one in arrived if not isinstance(one, Transmit)]
        sender, receiver = receiver, sender
    return events


def _connected(client_octets: int = 128, server_octets: int = 128) -> tuple[HdlcLink, HdlcLink]:
    client, server = _link(Role.CLIENT, client_octets), _link(Role.SERVER, server_octets)
    assert _carry(client.connect(), client, server) == [Connected(), Connected()]
    return client, server


def test_both_sides_say_when_they_are_connected_and_disconnected() -> None:
    client, server = _connected()
    assert client.is_connected
    assert server.is_connected
    assert _carry(client.disconnect(), client, server) == [Disconnected(), Disconnected()]
    assert client.disconnect() == b""


@pytest.mark.parametrize(
    ("client_octets", "server_octets", "frame_octets"),
    [(128, 128, 128), (1024, 1024, 1024), (1024, 256, 256), (64, 1024, 64), (1024, 128, 128)],
)
def test_both_sides_agree_on_the_smaller_frame(
    client_octets: int, server_octets: int, frame_octets: int
) -> None:
    client, server = _connected(client_octets, server_octets)
    for sender in (client, server):
        (frame,) = FrameReader().feed(sender.send(bytes(3_000)))
        assert len(frame.information) == frame_octets


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=2_000))
def test_an_apdu_of_any_length_arrives_whole_both_ways(apdu: bytes) -> None:
    client, server = _connected()
    for _ in range(3):
        assert _carry(client.send(apdu), client, server) == [ApduReceived(apdu=apdu)]
        assert _carry(server.send(apdu), server, client) == [ApduReceived(apdu=apdu)]


def test_a_request_whose_answer_was_lost_is_repeated_and_answered_as_before() -> None:
    client, server = _connected()
    server.receive(client.send(b"\xc0"))
    answer = server.send(b"\xc4")
    assert server.receive(client.retransmit()) == [Transmit(octets=answer)]
    assert client.receive(answer) == [ApduReceived(apdu=b"\xc4")]


def test_a_request_that_was_lost_is_repeated() -> None:
    client, server = _connected()
    client.send(b"\xc0")
    assert server.receive(client.retransmit()) == [ApduReceived(apdu=b"\xc0")]


def test_an_answer_that_comes_twice_counts_once() -> None:
    client, server = _connected()
    server.receive(client.send(b"\xc0"))
    answer = server.send(b"\xc4")
    assert client.receive(answer + answer) == [ApduReceived(apdu=b"\xc4")]


def test_a_receive_ready_for_what_we_sent_before_asks_for_it_again() -> None:
    client, server = _connected()
    lost = client.send(b"\xc0")
    early = Frame(destination=CLIENT, source=SERVER, control=0x11).encode()
    assert client.receive(early) == [Transmit(octets=lost)]
    assert server.receive(lost) == [ApduReceived(apdu=b"\xc0")]


def test_a_length_that_noise_made_does_not_swallow_the_repetition() -> None:
    client, server = _connected()
    server.receive(client.send(b"\xc0"))
    answer = server.send(b"\xc4")
    flipped = answer[:1] + bytes((answer[1] ^ 0x04,)) + answer[2:]
    assert client.receive(flipped) == []
    assert client.receive(b"".join(_octets(server.receive(client.retransmit())))) == [
        ApduReceived(apdu=b"\xc4")
    ]


def _octets(events: list[LinkEvent]) -> list[bytes]:
    return [event.octets for event in events if isinstance(event, Transmit)]


def test_a_meter_that_only_ever_says_ready_is_given_up() -> None:
    client, _server = _connected()
    client.send(b"\xc0")
    ready = Frame(destination=CLIENT, source=SERVER, control=0x31).encode()
    for _ in range(RETRANSMISSIONS_MAX):
        client.retransmit()
        client.receive(ready)
    with pytest.raises(RemoteProtocolError):
        client.retransmit()


def test_a_dead_line_is_given_up() -> None:
    client = _link(Role.CLIENT)
    client.connect()
    for _ in range(RETRANSMISSIONS_MAX):
        client.retransmit()
    with pytest.raises(RemoteProtocolError):
        client.retransmit()


def test_a_keep_alive_is_answered() -> None:
    _client, server = _connected()
    poll = Frame(destination=SERVER, source=CLIENT, control=0x11).encode()
    (answer,) = server.receive(poll)
    assert answer == Transmit(
        octets=Frame(destination=CLIENT, source=SERVER, control=0x11).encode()
    )
    assert _connected()[0].receive(answer.octets) == []


@pytest.mark.parametrize("control", [0x14, 0x30, 0x51, 0x97, 0x19])
def test_a_frame_out_of_count_or_unknown_is_refused(control: int) -> None:
    _client, server = _connected()
    with pytest.raises(RemoteProtocolError):
        server.receive(
            Frame(
                destination=SERVER, source=CLIENT, control=control, information=b"\xe6\xe6\x00"
            ).encode()
        )


def test_an_apdu_without_its_llc_header_is_refused() -> None:
    _client, server = _connected()
    with pytest.raises(CodecError):
        server.receive(
            Frame(destination=SERVER, source=CLIENT, control=0x10, information=b"\xc0").encode()
        )


def test_nothing_is_sent_while_segments_are_left() -> None:
    client, _server = _connected()
    client.send(bytes(200))
    with pytest.raises(LocalProtocolError):
        client.send(b"\xc0")


def test_segments_without_end_are_refused() -> None:
    client, server = _connected(1024, 1024)
    with pytest.raises(RemoteProtocolError):
        _carry(client.send(bytes(70_000)), client, server)


def test_a_server_tells_a_stranger_that_it_is_disconnected() -> None:
    client, server = _connected()
    forgetful = _link(Role.SERVER)
    assert _carry(client.send(b"\xc0"), client, forgetful) == [Disconnected()]
    assert server.is_connected


def test_frames_for_others_are_passed_over() -> None:
    client, server = _connected()
    other = HdlcAddress(upper=1, lower=18)
    assert server.receive(Frame(destination=other, source=CLIENT, control=0x93).encode()) == []
    assert client.receive(Frame(destination=CLIENT, source=other, control=0x73).encode()) == []


def test_a_late_acknowledgement_and_a_frame_before_the_connection_are_passed_over() -> None:
    client, _server = _connected()
    late = Frame(destination=CLIENT, source=SERVER, control=0x73).encode()
    assert client.receive(late) == []
    early = Frame(destination=CLIENT, source=SERVER, control=0x10, information=b"x").encode()
    assert _link(Role.CLIENT).receive(early) == []


@pytest.mark.parametrize("parameters", ["00", "818000ff", "81800305010f", "8180", "818003060101"])
def test_crooked_parameters_are_refused(parameters: str) -> None:
    snrm = Frame(
        destination=SERVER, source=CLIENT, control=0x93, information=bytes.fromhex(parameters)
    )
    with pytest.raises(CodecError):
        _link(Role.SERVER).receive(snrm.encode())


def test_nothing_is_sent_before_the_connection() -> None:
    with pytest.raises(LocalProtocolError):
        _link(Role.CLIENT).send(b"\xc0")
    with pytest.raises(LocalProtocolError):
        _link(Role.SERVER).connect()


def test_a_client_knows_its_address_and_frames_have_a_size() -> None:
    with pytest.raises(InvalidValueError):
        HdlcLink(Role.CLIENT, server=SERVER)
    with pytest.raises(InvalidValueError):
        _link(Role.SERVER, 4)


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=600), st.data())
def test_any_chunks_give_the_same_events(apdu: bytes, data: st.DataObject) -> None:
    client, server = _connected(1024, 1024)
    stream = b"\x7e\x00" + client.send(apdu)
    events: list[LinkEvent] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        events += server.receive(stream[:size])
        stream = stream[size:]
    assert events == [ApduReceived(apdu=apdu)]
