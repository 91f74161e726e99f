"""One client and one server: connecting, asking and answering, and what goes wrong between."""

from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import (
    CodecError,
    InvalidValueError,
    LocalProtocolError,
    RemoteProtocolError,
)
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import Frame, FrameReader, HdlcAddress
from quince.protocols.dlms.links.hdlc_patience import RETRANSMISSIONS_MAX, WAITS_MAX
from quince.protocols.dlms.links.link import (
    ApduReceived,
    Connected,
    Disconnected,
    LinkEvent,
    Transmit,
)

SERVER, CLIENT = HdlcAddress(upper=1, lower=17), HdlcAddress(upper=16)
# Control octets with the poll bit; N(R), where there is one, is 0.
SNRM, UA, DISC, DM, FRMR = 0x93, 0x73, 0x53, 0x1F, 0x97
RR, RNR, REJ = 0x11, 0x15, 0x19


def _link(role: Role, octets_max: int = 128, window: int = 1) -> HdlcLink:
    client = CLIENT if role is Role.CLIENT else None
    return HdlcLink(
        role, server=SERVER, client=client, information_octets_max=octets_max, window=window
    )


def _to_server(control: int, information: bytes = b"") -> bytes:
    return Frame(
        destination=SERVER, source=CLIENT, control=control, information=information
    ).encode()


def _to_client(control: int, information: bytes = b"") -> bytes:
    return Frame(
        destination=CLIENT, source=SERVER, control=control, information=information
    ).encode()


def _controls(octets: bytes) -> list[int]:
    return [frame.control for frame in FrameReader().feed(octets)]


def _written(events: list[LinkEvent]) -> bytes:
    return b"".join(event.octets for event in events if isinstance(event, Transmit))


def _connected(
    client_octets: int = 128, server_octets: int = 128, window: int = 1
) -> tuple[HdlcLink, HdlcLink]:
    client = _link(Role.CLIENT, client_octets, window)
    server = _link(Role.SERVER, server_octets, window)
    answer = _written(server.receive(client.connect()))
    assert client.receive(answer) == [Connected()]
    return client, server


def _serve(
    server: HdlcLink, octets: bytes, answers: dict[bytes, bytes]
) -> tuple[bytes, list[bytes]]:
    """Let `server` act on each event before the next; return what it writes and what it heard."""
    written, heard = b"", []
    server.receive_data(octets)
    while (event := server.next_event()) is not None:
        match event:
            case ApduReceived(apdu=apdu):
                heard.append(apdu)
                written += server.send(answers[apdu])
            case Transmit(octets=more):
                written += more
            case _:
                raise AssertionError(event)
    return written, heard


def _ask(client: HdlcLink, server: HdlcLink, request: bytes, answer: bytes) -> list[LinkEvent]:
    """Carry one request and its answer; return what the client was told."""
    told: list[LinkEvent] = []
    octets = client.send(request)
    while octets:
        back, _heard = _serve(server, octets, {request: answer})
        events = client.receive(back)
        told += [event for event in events if not isinstance(event, Transmit)]
        octets = _written(events)
    return told


# -- connecting ----------------------------------------------------------------------------


def test_both_sides_say_when_they_are_connected_and_disconnected() -> None:
    client, server = _connected()
    assert (client.is_connected, server.is_connected) == (True, True)
    events = server.receive(client.disconnect())
    assert events[1] == Disconnected()
    assert client.receive(_written(events)) == [Disconnected()]
    assert (client.is_connected, server.is_connected) == (False, False)
    assert client.disconnect() == b""


@pytest.mark.parametrize(
    ("client_octets", "server_octets", "frame_octets"),
    [(128, 128, 128), (1024, 1024, 1024), (1024, 256, 256), (64, 1024, 64), (1024, 128, 128)],
)
def test_both_sides_agree_on_the_smaller_frame(
    client_octets: int, server_octets: int, frame_octets: int
) -> None:
    client, server = _connected(client_octets, server_octets)
    (request,) = FrameReader().feed(client.send(bytes(3_000)))
    assert len(request.information) == frame_octets
    server.send(bytes(3_000))
    (answer,) = FrameReader().feed(_written(server.receive(_to_server(RR))))
    assert len(answer.information) == frame_octets


def test_a_client_that_wants_nothing_special_proposes_nothing() -> None:
    assert _link(Role.CLIENT).connect() == bytes.fromhex("7ea00802232193bd647e")


def test_a_connection_begun_again_counts_from_the_start() -> None:
    client, server = _connected()
    assert _ask(client, server, b"\xc0", b"\xc4") == [ApduReceived(apdu=b"\xc4")]
    client.receive(_written(server.receive(client.connect())))
    assert _ask(client, server, b"\xc0", b"\xc4") == [ApduReceived(apdu=b"\xc4")]


def test_a_lost_ua_is_asked_for_again_and_coming_twice_counts_once() -> None:
    client, server = _link(Role.CLIENT), _link(Role.SERVER)
    ua = _written(server.receive(client.connect()))
    assert client.retransmit() == client.connect()
    assert client.receive(ua + ua) == [Connected()]


def test_a_meter_that_refuses_the_connection_says_so() -> None:
    client = _link(Role.CLIENT)
    client.connect()
    assert client.receive(_to_client(DM)) == [Disconnected()]
    assert client.receive(_to_client(DM)) == []
    assert client.retransmit() == b""


def test_a_server_tells_a_stranger_that_it_is_disconnected() -> None:
    client, server = _connected()
    forgetful = _link(Role.SERVER)
    assert client.receive(_written(forgetful.receive(client.send(b"\xc0")))) == [Disconnected()]
    assert server.is_connected


def test_a_stranger_who_does_not_poll_is_not_answered() -> None:
    assert _link(Role.SERVER).receive(_to_server(0x00, b"\xe6\xe6\x00\xc0")) == []


def test_a_server_that_heard_nothing_for_long_is_disconnected() -> None:
    client, server = _connected()
    server.expire()
    client.expire()
    assert client.is_connected
    assert not server.is_connected
    assert _controls(_written(server.receive(client.send(b"\xc0")))) == [DM]


def test_a_keep_alive_is_answered_and_says_nothing() -> None:
    client, server = _connected()
    answer = _written(server.receive(client.keep_alive()))
    assert _controls(answer) == [RR]
    assert client.receive(answer) == []


def test_only_an_idle_client_keeps_alive() -> None:
    client, server = _connected()
    client.send(b"\xc0")
    assert client.keep_alive() == b""
    assert server.keep_alive() == b""
    assert _link(Role.CLIENT).keep_alive() == b""


def test_a_request_behind_a_keep_alive_waits_for_its_answer() -> None:
    client, server = _connected()
    answer = _written(server.receive(client.keep_alive()))
    assert client.send(b"\xc0") == b""
    assert _controls(_written(client.receive(answer))) == [0x10]


# -- asking and answering ------------------------------------------------------------------


@settings(max_examples=50)
@given(st.binary(min_size=1, max_size=2_000), st.integers(1, 7))
def test_an_apdu_of_any_length_arrives_whole_both_ways(apdu: bytes, window: int) -> None:
    client, server = _connected(window=window)
    for _ in range(3):
        assert _ask(client, server, apdu, apdu[::-1]) == [ApduReceived(apdu=apdu[::-1])]


def test_a_window_of_frames_goes_out_with_the_poll_on_the_last() -> None:
    client, server = _connected(window=3)
    flight = client.send(bytes(500))
    assert _controls(flight) == [0x00, 0x02, 0x14]
    assert _controls(_written(server.receive(flight))) == [0x71]


def test_a_request_whose_answer_was_lost_is_repeated_and_answered_as_before() -> None:
    client, server = _connected()
    answer, _ = _serve(server, client.send(b"\xc0"), {b"\xc0": b"\xc4"})
    again, heard = _serve(server, client.retransmit(), {})
    assert (again, heard) == (answer, [])
    assert client.receive(again) == [ApduReceived(apdu=b"\xc4")]


def test_a_request_that_was_lost_is_repeated() -> None:
    client, server = _connected()
    client.send(b"\xc0")
    assert server.receive(client.retransmit())[0] == ApduReceived(apdu=b"\xc0")


def test_a_request_and_its_repetition_in_one_read_are_answered_alike() -> None:
    client, server = _connected()
    octets = client.send(b"\xc0") + client.retransmit()
    written, heard = _serve(server, octets, {b"\xc0": b"\xc4"})
    assert heard == [b"\xc0"]
    assert _controls(written) == [0x30, 0x30]
    assert client.receive(written) == [ApduReceived(apdu=b"\xc4")]


def test_an_answer_that_comes_twice_counts_once() -> None:
    client, server = _connected()
    answer, _ = _serve(server, client.send(b"\xc0"), {b"\xc0": b"\xc4"})
    assert client.receive(answer + answer) == [ApduReceived(apdu=b"\xc4")]


def test_a_server_that_is_given_no_answer_gives_the_turn_back() -> None:
    client, server = _connected()
    events = server.receive(client.send(b"\xc0"))
    assert events[0] == ApduReceived(apdu=b"\xc0")
    assert _controls(_written(events)) == [0x31]


def test_an_answer_that_took_time_goes_out_at_the_next_poll() -> None:
    client, server = _connected()
    assert client.receive(_written(server.receive(client.send(b"\xc0")))) == []
    assert server.send(b"\xc4") == b""
    answer = _written(server.receive(client.retransmit()))
    assert client.receive(answer) == [ApduReceived(apdu=b"\xc4")]


def test_a_receive_ready_for_what_we_sent_before_asks_for_it_again() -> None:
    client, server = _connected()
    lost = client.send(b"\xc0")
    assert client.receive(_to_client(RR)) == [Transmit(octets=lost)]
    assert server.receive(lost)[0] == ApduReceived(apdu=b"\xc0")


def test_frames_from_the_rejected_one_on_are_sent_again() -> None:
    client, _server = _connected(window=3)
    client.send(bytes(300))
    rejected_1 = REJ | 1 << 5
    assert _controls(_written(client.receive(_to_client(rejected_1)))) == [0x02, 0x14]


def test_a_server_rejects_what_comes_behind_a_lost_frame() -> None:
    client, server = _connected(window=3)
    first, second, third = (frame.encode() for frame in FrameReader().feed(client.send(bytes(300))))
    assert _controls(_written(server.receive(first + third))) == [REJ | 1 << 5]
    assert server.receive(second + third)[0] == ApduReceived(apdu=bytes(300))


def test_a_client_asks_for_what_was_lost_of_a_flight() -> None:
    client, server = _connected(window=3)
    flight, _ = _serve(server, client.send(b"\xc0"), {b"\xc0": bytes(300)})
    _first, second, third = (frame.encode() for frame in FrameReader().feed(flight))
    asked = _written(client.receive(second + third))
    assert _controls(asked) == [RR]
    assert client.receive(_written(server.receive(asked))) == [ApduReceived(apdu=bytes(300))]


def test_a_whole_flight_that_comes_twice_counts_once() -> None:
    client, server = _connected(window=7)
    flight = client.send(bytes(850))
    events = server.receive(flight + flight)
    assert events.count(ApduReceived(apdu=bytes(850))) == 1
    assert _controls(_written(events)) == [0xF1, 0xF1]


def test_a_length_that_noise_made_does_not_swallow_the_repetition() -> None:
    client, server = _connected()
    answer, _ = _serve(server, client.send(b"\xc0"), {b"\xc0": b"\xc4"})
    flipped = answer[:1] + bytes((answer[1] ^ 0x04,)) + answer[2:]
    assert client.receive(flipped) == []
    again, _ = _serve(server, client.retransmit(), {})
    assert client.receive(again) == [ApduReceived(apdu=b"\xc4")]


@settings(max_examples=50)
@given(st.binary(min_size=1, max_size=600), st.data())
def test_any_chunks_give_the_same_events(apdu: bytes, data: st.DataObject) -> None:
    client, server = _connected(128, 128, 7)
    stream = b"\x7e\x00" + client.send(apdu)
    events: list[LinkEvent] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        events += server.receive(stream[:size])
        stream = stream[size:]
    assert [event for event in events if not isinstance(event, Transmit)] == [
        ApduReceived(apdu=apdu)
    ]


# -- not ready -----------------------------------------------------------------------------


def test_a_busy_meter_holds_its_client_until_it_is_ready() -> None:
    client, server = _connected()
    server.is_busy = True
    not_ready = _written(server.receive(client.send(b"\xc0")))
    assert _controls(not_ready) == [RNR]
    assert client.receive(not_ready) == []
    assert _controls(client.retransmit()) == [RR]
    server.is_busy = False
    again = _written(client.receive(_written(server.receive(_to_server(RR)))))
    assert server.receive(again)[0] == ApduReceived(apdu=b"\xc0")


def test_a_client_that_is_not_ready_is_sent_nothing() -> None:
    _client, server = _connected()
    server.send(b"\xc2")
    assert _controls(_written(server.receive(_to_server(RNR)))) == [RR]
    assert _controls(_written(server.receive(_to_server(RR)))) == [0x10]


@pytest.mark.parametrize("answer", [RNR | 1 << 5, RR | 1 << 5, RNR])
def test_a_meter_that_answers_with_nothing_for_ever_is_given_up(answer: int) -> None:
    client, _server = _connected()
    client.send(b"\xc0")

    def poll() -> None:
        for _ in range(WAITS_MAX + 2):
            client.receive(_to_client(answer))
            client.retransmit()

    with pytest.raises(RemoteProtocolError, match="polls"):
        poll()


def test_a_meter_that_never_takes_a_frame_is_given_up() -> None:
    client, _server = _connected()
    client.send(b"\xc0")
    for _ in range(RETRANSMISSIONS_MAX):
        client.receive(_to_client(REJ))
    with pytest.raises(RemoteProtocolError, match="repetitions"):
        client.receive(_to_client(REJ))


def test_a_dead_line_is_given_up() -> None:
    client = _link(Role.CLIENT)
    client.connect()
    for _ in range(RETRANSMISSIONS_MAX):
        client.retransmit()
    with pytest.raises(RemoteProtocolError, match="repetitions"):
        client.retransmit()


def test_a_server_speaks_only_when_it_is_polled() -> None:
    _client, server = _connected()
    assert server.send(b"\xc2") == b""
    assert server.retransmit() == b""


# -- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "reason"), [(0x30, "300008"), (0x51, "510008"), (UA, "730001"), (0xF3, "f30001")]
)
def test_a_server_rejects_what_no_repetition_mends(control: int, reason: str) -> None:
    _client, server = _connected()
    (event,) = server.receive(_to_server(control))
    assert event == Transmit(octets=_to_client(FRMR, bytes.fromhex(reason)))
    assert not server.is_connected


def test_a_rejection_tells_how_far_both_sides_had_counted() -> None:
    client, server = _connected()
    _serve(server, client.send(b"\xc0"), {b"\xc0": b"\xc4"})
    (event,) = server.receive(_to_server(0x52))
    assert event == Transmit(octets=_to_client(FRMR, bytes.fromhex("522208")))


def test_a_server_that_rejected_says_so_until_it_is_connected_anew() -> None:
    client, server = _connected()
    rejection = server.receive(_to_server(0x30))
    assert server.receive(_to_server(RR)) == rejection
    assert server.receive(_to_server(0x00)) == []
    assert client.receive(_written(server.receive(client.connect()))) == [Connected()]


def test_a_client_whose_frame_is_rejected_gives_up() -> None:
    client, _server = _connected()
    with pytest.raises(RemoteProtocolError, match="rejects"):
        client.receive(_to_client(FRMR, bytes.fromhex("300008")))
    assert not client.is_connected


@pytest.mark.parametrize("control", [0x30, 0x51, SNRM, DISC])
def test_a_client_refuses_what_no_repetition_mends(control: int) -> None:
    client, _server = _connected()
    with pytest.raises(RemoteProtocolError):
        client.receive(_to_client(control))


def test_an_apdu_without_its_llc_header_is_refused() -> None:
    _client, server = _connected()
    with pytest.raises(CodecError):
        server.receive(_to_server(0x10, b"\xc0"))


def test_crooked_parameters_are_refused() -> None:
    with pytest.raises(CodecError):
        _link(Role.SERVER).receive(_to_server(SNRM, b"\x00"))


def test_apdus_in_a_row_arrive_in_their_order() -> None:
    client, server = _connected(window=2)
    octets, heard = client.send(bytes(200)) + client.send(b"\xc1") + client.send(b"\xc2"), []
    while octets:
        events = server.receive(octets)
        heard += [event.apdu for event in events if isinstance(event, ApduReceived)]
        octets = _written(client.receive(_written(events)))
    assert heard == [bytes(200), b"\xc1", b"\xc2"]


def test_no_more_apdus_wait_than_a_window_of_blocks() -> None:
    client, _server = _connected()
    for _ in range(64):
        client.send(b"\xe0")
    with pytest.raises(LocalProtocolError):
        client.send(b"\xe0")


def test_an_apdu_of_more_than_64_kib_is_not_sent() -> None:
    client, _server = _connected()
    with pytest.raises(LocalProtocolError):
        client.send(bytes(65_536))


def test_segments_without_end_are_refused() -> None:
    _client, server = _connected(1024, 1024)
    segments = (
        Frame(
            destination=SERVER,
            source=CLIENT,
            control=number % 8 << 1,
            information=bytes(1024),
            segmented=True,
        )
        for number in range(65)
    )
    with pytest.raises(RemoteProtocolError):
        [server.receive(segment.encode()) for segment in segments]


def test_frames_for_others_are_passed_over() -> None:
    client, server = _connected()
    other = HdlcAddress(upper=1, lower=18)
    assert server.receive(Frame(destination=other, source=CLIENT, control=SNRM).encode()) == []
    assert client.receive(Frame(destination=CLIENT, source=other, control=UA).encode()) == []


def test_another_client_does_not_get_between() -> None:
    _client, server = _connected()
    other = Frame(destination=SERVER, source=HdlcAddress(upper=1), control=SNRM)
    assert server.receive(other.encode()) == []


def test_a_late_acknowledgement_and_a_frame_before_the_connection_are_passed_over() -> None:
    client, _server = _connected()
    assert client.receive(_to_client(UA)) == []
    assert _link(Role.CLIENT).receive(_to_client(0x10, b"x")) == []


def test_nothing_is_sent_before_the_connection() -> None:
    with pytest.raises(LocalProtocolError):
        _link(Role.CLIENT).send(b"\xc0")
    with pytest.raises(LocalProtocolError):
        _link(Role.SERVER).connect()


@pytest.mark.parametrize(
    ("server", "client"),
    [(SERVER, None), (HdlcAddress(upper=1, lower=127), CLIENT), (SERVER, HdlcAddress(upper=127))],
)
def test_a_station_has_an_address_of_its_own(
    server: HdlcAddress, client: HdlcAddress | None
) -> None:
    with pytest.raises(InvalidValueError):
        HdlcLink(Role.CLIENT, server=server, client=client)


@pytest.mark.parametrize(("octets_max", "window"), [(4, 1), (2_033, 1), (128, 0), (128, 8)])
def test_frames_have_a_size_and_windows_a_width(octets_max: int, window: int) -> None:
    with pytest.raises(InvalidValueError):
        _link(Role.SERVER, octets_max, window)


FRAMES = st.builds(
    _to_server, st.integers(0, 255), st.one_of(st.binary(max_size=20), st.just(b"\xe6\xe6\x00\xc0"))
)
ANSWERS = st.builds(
    _to_client, st.integers(0, 255), st.one_of(st.binary(max_size=20), st.just(b"\xe6\xe7\x00\xc4"))
)


@settings(max_examples=150)
@given(st.lists(st.one_of(FRAMES, st.binary(max_size=20)), max_size=12))
def test_hostile_frames_are_events_or_typed_errors_to_a_server(frames: list[bytes]) -> None:
    _client, server = _connected(window=3)
    for frame in frames:
        _only_typed(server, frame)


@settings(max_examples=150)
@given(st.lists(st.one_of(ANSWERS, st.binary(max_size=20)), max_size=12), st.binary(max_size=400))
def test_hostile_frames_are_events_or_typed_errors_to_a_client(
    frames: list[bytes], request: bytes
) -> None:
    client, _server = _connected(window=3)
    client.send(request)
    for frame in frames:
        _only_typed(client, frame)


def _only_typed(link: HdlcLink, octets: bytes) -> None:
    with suppress(CodecError, RemoteProtocolError):
        assert len(link.receive(octets)) <= 4
