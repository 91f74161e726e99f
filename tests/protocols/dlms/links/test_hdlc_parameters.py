import pytest

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.links.hdlc_frame import FrameReader
from quince.protocols.dlms.links.hdlc_parameters import Parameters, decode_parameters

# A UA of a real meter: 154 octets each way, one frame in a row.
REAL_UA = bytes.fromhex("7ea01f21022373e6c781801205019a06019a070400000001080400000001cca27e")


def test_a_real_meters_parameters_are_read_and_written() -> None:
    (frame,) = FrameReader().feed(REAL_UA)
    parameters = decode_parameters(frame.information)
    assert parameters == Parameters(send_octets=154, receive_octets=154)
    assert parameters.encode() == frame.information


@pytest.mark.parametrize(
    ("octets", "parameters"),
    [
        ("", Parameters()),
        ("818000", Parameters()),
        ("81800406020400", Parameters(receive_octets=1024)),
        ("818003050140", Parameters(send_octets=64)),
        ("8180040602ffff", Parameters(receive_octets=2032)),
        ("818003080105", Parameters(receive_window=5)),
        ("81800c070400000007080400000003", Parameters(send_window=7, receive_window=3)),
    ],
)
def test_what_is_not_said_is_the_default(octets: str, parameters: Parameters) -> None:
    assert decode_parameters(bytes.fromhex(octets)) == parameters


def test_nothing_is_proposed_where_all_is_as_it_is_without() -> None:
    assert Parameters().propose() == b""
    assert decode_parameters(Parameters(send_window=2).propose()) == Parameters(send_window=2)


def test_each_direction_is_the_smaller_of_what_one_sends_and_the_other_receives() -> None:
    ours = Parameters(send_octets=512, receive_octets=64, send_window=7, receive_window=1)
    theirs = Parameters(send_octets=128, receive_octets=256, send_window=5, receive_window=3)
    assert ours.agreed_with(theirs) == Parameters(
        send_octets=256, receive_octets=64, send_window=3, receive_window=1
    )


@pytest.mark.parametrize(
    "octets",
    ["00", "818000ff", "81800305010f", "8180", "818003060101", "818003070108", "818003080100"],
)
def test_crooked_parameters_are_refused(octets: str) -> None:
    with pytest.raises(CodecError):
        decode_parameters(bytes.fromhex(octets))


@pytest.mark.parametrize(
    "wrong", [{"send_octets": 15}, {"receive_octets": 2033}, {"send_window": 0}]
)
def test_parameters_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidValueError):
        Parameters(**wrong)
