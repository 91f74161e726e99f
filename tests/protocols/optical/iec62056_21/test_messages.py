"""Messages of IEC 62056-21: rendered and parsed back, cut from a stream, refused when damaged."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.optical.iec62056_21.messages import (
    BLOCK_BYTES_MAX,
    LINE_BYTES_MAX,
    Acknowledge,
    Command,
    DataBlock,
    Identification,
    Message,
    MessageReader,
    Mode,
    OptionSelect,
    PlainBlock,
    Protocol,
    RepeatRequest,
    Request,
)

KINDS: tuple[type[Message], ...] = (
    Request,
    Identification,
    OptionSelect,
    DataBlock,
    PlainBlock,
    Command,
    Acknowledge,
    RepeatRequest,
)
LETTERS = "ABCXYZabcxyz"
PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Request, address=st.text("0123456789AZaz ", max_size=32)),
    st.builds(
        Identification,
        maker=st.text(LETTERS, min_size=3, max_size=3),
        baud_character=st.sampled_from("0123456ABCDEFXz:"),
        name=st.text(PRINTABLE, max_size=32),
    ),
    st.builds(OptionSelect, baud_character=st.sampled_from("0123456"), mode=st.sampled_from(Mode)),
    st.builds(DataBlock, text=st.text(PRINTABLE | st.sampled_from("\r\n")), is_last=st.booleans()),
    st.builds(
        Command,
        name=st.sampled_from(("P0", "P1", "R1", "R5", "R6", "W5", "B0")),
        data=st.none() | st.text(PRINTABLE),
    ),
    st.builds(Acknowledge),
    st.builds(RepeatRequest),
)


@given(MESSAGES)
def test_a_message_comes_back_from_its_octets(message: Message) -> None:
    assert type(message).parse(bytes(message)) == message


@given(MESSAGES, st.binary(max_size=8))
def test_a_message_is_found_behind_noise(message: Message, noise: bytes) -> None:
    reader = MessageReader()
    quiet = noise.translate(None, message.firsts)
    for character in quiet + bytes(message):
        reader.receive_data(bytes((character,)))
    assert reader.next_message(type(message)) == message


@settings(max_examples=200)
@given(st.sampled_from(KINDS), st.binary(max_size=80))
def test_arbitrary_octets_raise_codec_error_and_nothing_else(
    kind: type[Message], octets: bytes
) -> None:
    reader = MessageReader()
    reader.receive_data(kind.firsts[:1] + octets)
    try:
        message = reader.next_message(kind)
    except CodecError:
        return
    assert message is None or isinstance(message, kind)


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"/ISk5MT174-0001\r\n", ("ISk", 9600, 0.02, "MT174-0001")),
        (b"/LGZ5\\2ZMD4104407.B31\r\n", ("LGZ", 9600, 0.2, "\\2ZMD4104407.B31")),
        (b"/ACE0\\3k260V01.18\r\n", ("ACE", 300, 0.2, "\\3k260V01.18")),
        (b"/SIE32WR5\r\n", ("SIE", 2400, 0.2, "2WR5")),
    ],
)
def test_identifications_of_real_meters_are_read(
    octets: bytes, message: tuple[str, int, float, str]
) -> None:
    identification = Identification.parse(octets)
    assert message == (
        identification.maker,
        identification.baud,
        identification.reaction_s_min,
        identification.name,
    )


@pytest.mark.parametrize(
    ("octets", "protocol", "baud"),
    [
        (b"/ELS5\\@V9.30 \r\n", Protocol.C, 9600),
        (b"/ABCE1234\r\n", Protocol.B, 9600),
        (b"/ABCA1234\r\n", Protocol.B, 600),
        (b"/SECX2WR5\r\n", Protocol.A, 300),
    ],
)
def test_the_baud_character_tells_the_mode(octets: bytes, protocol: Protocol, baud: int) -> None:
    identification = Identification.parse(octets)
    assert (identification.protocol, identification.baud) == (protocol, baud)


def test_an_option_select_for_hdlc_has_its_own_procedure() -> None:
    option = OptionSelect(baud_character="5", mode=Mode.HDLC)
    assert bytes(option) == b"\x06252\r\n"
    with pytest.raises(CodecError):
        OptionSelect.parse(b"\x06052\r\n")


def test_a_block_that_goes_on_ends_with_eot() -> None:
    part = DataBlock(text="(0.001)", is_last=False)
    assert bytes(part)[-2] == 0x04
    assert DataBlock.parse(bytes(part)) == part


def test_a_read_out_without_a_frame_is_read() -> None:
    reader = MessageReader()
    reader.receive_data(b"6.8(0029.055*MWh)6.26(01589.28*m3)!\r\n/")
    plain = PlainBlock(text="6.8(0029.055*MWh)6.26(01589.28*m3)!\r\n")
    assert reader.next_message(DataBlock, PlainBlock) == plain
    assert PlainBlock.parse(bytes(plain)) == plain


@pytest.mark.parametrize(
    "octets",
    [
        b"\x023:171.0(0)\x03\x12",
        b"\x023:14(314*kWh)4:15(415*kWh)\r\n\x03\x04",
        b'\x023:14(314*kWh)4:15(415*kWh)\r\n!\r\n\x03"',
    ],
)
def test_blocks_with_their_check_character_are_read(octets: bytes) -> None:
    assert bytes(DataBlock.parse(octets)) == octets


@pytest.mark.parametrize(
    "octets",
    [b"\x023:171.0(0)\x03\x11", b"\x023:14(314*kWh)4:15(415*kWh)\r\n!\r\n\x03x"],
)
def test_blocks_with_a_wrong_check_character_are_refused(octets: bytes) -> None:
    with pytest.raises(CodecError, match="check character"):
        DataBlock.parse(octets)


def test_commands_are_read() -> None:
    password = Command.parse(b"\x01P0\x02(1234567)\x03P")
    read = Command.parse(b"\x01R1\x021.8.0(1)\x03k")
    assert password == Command(name="P0", data="(1234567)")
    assert read == Command(name="R1", data="1.8.0(1)")


def test_a_command_with_a_wrong_check_character_is_refused() -> None:
    with pytest.raises(CodecError, match="check character"):
        Command.parse(b"\x01P0\x02(1234567)\x03X")


def test_every_recorded_block_decodes_or_has_a_wrong_check_character(public_data: Path) -> None:
    path = public_data / "protocols" / "iec62056-21" / "pwitab_messages.json"
    messages = [bytes.fromhex(text) for text in json.loads(path.read_text())]
    sealed = [message for message in messages if message[0] in b"\x01\x02"]
    outcomes = [_reads_or_damaged(message) for message in sealed]
    assert outcomes == [True, False, False, True, False, True, True, True, False]


def _reads_or_damaged(octets: bytes) -> bool:
    reader = MessageReader()
    reader.receive_data(octets + b"\x00")
    try:
        return reader.next_message(DataBlock, Command) is not None
    except CodecError:
        return False


def test_a_damaged_message_is_consumed_and_the_next_one_read() -> None:
    reader = MessageReader()
    reader.receive_data(b"\x02\x1a.8.0(1)\x03\x00" + bytes(DataBlock(text="1.8.0(1)")))
    with pytest.raises(CodecError):
        reader.next_message(DataBlock)
    assert reader.next_message(DataBlock) == DataBlock(text="1.8.0(1)")


def test_a_block_without_an_end_is_given_up_at_its_bound() -> None:
    reader = MessageReader()
    reader.receive_data(b"\x02" + b"7" * BLOCK_BYTES_MAX)
    with pytest.raises(CodecError, match="more than"):
        reader.next_message(DataBlock)
    assert reader.next_message(DataBlock) is None


def test_a_line_whose_end_comes_too_late_is_given_up() -> None:
    reader = MessageReader()
    reader.receive_data(b"/" + b"A" * LINE_BYTES_MAX + b"\r\n")
    with pytest.raises(CodecError, match="more than"):
        reader.next_message(Identification)


def test_a_block_waits_for_its_check_character() -> None:
    reader = MessageReader()
    reader.receive_data(b"\x021.8.0(1)\x03")
    assert reader.next_message(DataBlock) is None


@pytest.mark.parametrize(
    "build",
    [
        lambda: Request(address="a!"),
        lambda: Identification(maker="Q", baud_character="5", name=""),
        lambda: Identification(maker="QUI", baud_character="9", name=""),
        lambda: Identification(maker="QUI", baud_character="G", name=""),
        lambda: Identification(maker="QUI", baud_character="5", name="\n"),
        lambda: OptionSelect(baud_character="9", mode=Mode.READ_OUT),
        lambda: DataBlock(text="\x03"),
        lambda: PlainBlock(text="1.8.0(1)\r\n"),
        lambda: DataBlock(text=" " * (BLOCK_BYTES_MAX + 1)),
        lambda: Command(name="Q0"),
        lambda: Command(name="P1", data="\x03"),
    ],
)
def test_messages_refuse_what_they_cannot_carry(build: Callable[[], Message]) -> None:
    with pytest.raises(InvalidValueError):
        build()


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_takes_two_characters_of_noise(kind: type[Message]) -> None:
    with pytest.raises(CodecError):
        kind.parse(b"\x15\x06")
