from itertools import count

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError, LocalProtocolError
from quince.protocols.dlms.encoding.reader import Reader
from quince.protocols.dlms.links.hdlc_frame import (
    Frame,
    FrameReader,
    HdlcAddress,
    check_sequence,
    decode_frame,
    read_address,
)

SERVER, CLIENT = HdlcAddress(upper=1, lower=17), HdlcAddress(upper=16)


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


@pytest.mark.parametrize(
    "destination",
    [
        SERVER,
        HdlcAddress(upper=127, lower=127),
        HdlcAddress(upper=1, lower=127),
        HdlcAddress(upper=127, lower=17),
        HdlcAddress(upper=127),
        HdlcAddress(upper=16_383, lower=16_383),
    ],
)
def test_a_frame_to_all_stations_reaches_each(destination: HdlcAddress) -> None:
    assert destination.reaches(SERVER)


@pytest.mark.parametrize(
    "destination",
    [
        HdlcAddress(upper=1, lower=18),
        HdlcAddress(upper=2, lower=17),
        HdlcAddress(upper=127, lower=127, size=4),
        HdlcAddress(upper=1, lower=126),
    ],
)
def test_a_frame_to_another_station_does_not_reach_us(destination: HdlcAddress) -> None:
    assert not destination.reaches(SERVER)


@pytest.mark.parametrize(
    "address",
    [
        HdlcAddress(upper=127),
        HdlcAddress(upper=1, lower=127),
        HdlcAddress(upper=1, lower=126),
        HdlcAddress(upper=1, lower=16_383),
        HdlcAddress(upper=1, lower=16_382),
        HdlcAddress(upper=16_383, lower=17),
    ],
)
def test_all_and_calling_are_nobodys_own_address(address: HdlcAddress) -> None:
    assert not address.is_one_station
    assert SERVER.is_one_station
    assert HdlcAddress(upper=127, lower=127, size=4).is_one_station


def test_a_length_that_noise_made_does_not_swallow_the_frame_behind_it() -> None:
    good = Frame(destination=SERVER, source=CLIENT, control=0x10, information=b"hello").encode()
    longer = good[:1] + bytes((good[1] ^ 0x04,)) + good[2:]
    assert len(FrameReader().feed(longer + good)) == 1


def test_a_short_frame_that_noise_made_long_is_not_waited_for() -> None:
    ready = Frame(destination=SERVER, source=CLIENT, control=0x11).encode()
    longer = ready[:2] + bytes((ready[2] ^ 0x40,)) + ready[3:]
    assert len(FrameReader().feed(longer + ready + ready)) == 2


def test_addresses_without_an_end_are_not_waited_for() -> None:
    good = Frame(destination=SERVER, source=CLIENT, control=0x93).encode()
    assert len(FrameReader().feed(bytes.fromhex("7ea7ff") + bytes(12) + good)) == 1


def test_a_frame_that_arrives_octet_by_octet_is_read() -> None:
    reader = FrameReader()
    octets = Frame(
        destination=HdlcAddress(upper=1, lower=200), source=CLIENT, control=0x10, information=b"hi"
    ).encode()
    found = [frame for octet in octets for frame in reader.feed(bytes((octet,)))]
    assert [frame.information for frame in found] == [b"hi"]


def test_frames_that_nobody_takes_are_refused_at_the_door() -> None:
    reader = FrameReader()
    reader.receive_data(bytes(0x20000))
    with pytest.raises(LocalProtocolError):
        reader.receive_data(b"\x7e")


@pytest.mark.parametrize("size", [2, 4])
def test_an_address_written_with_a_lower_half_is_the_one_that_is_read(size: int) -> None:
    address = HdlcAddress(upper=1, size=size)
    assert read_address(Reader(address.encode())) == address
