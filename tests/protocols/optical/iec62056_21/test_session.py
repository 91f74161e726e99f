"""Both ends of a mode C session, against each other in memory."""

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from quince.model.errors import InvalidValueError, LocalProtocolError, RemoteProtocolError
from quince.protocols.optical.iec62056_21 import client as clients, server as servers
from quince.protocols.optical.iec62056_21.client import (
    RETRIES_MAX,
    Block,
    Challenge,
    Client,
    Damaged,
    HandedOver,
    NotUnderstood,
    Part,
    Refused,
    Unlocked,
    Written,
)
from quince.protocols.optical.iec62056_21.messages import (
    BLOCK_BYTES_MAX,
    Acknowledge,
    Command,
    DataBlock,
    Identification,
    Message,
    Mode,
)
from quince.protocols.optical.iec62056_21.server import (
    Asked,
    Left,
    PasswordGiven,
    Selected,
    Server,
    SignedOn,
    Told,
)

PASSWORD = "secret"
METER = Identification(maker="QUI", baud_character="5", name="TEST")


class Meter:
    """A server that gives the read-out `1.8.0(1*kWh)` and answers every read with its argument.

    What is asked for in parts is answered in as many as the argument has.
    """

    def __init__(self, offer: Identification = METER, *, speaks_hdlc: bool = True) -> None:
        self.server = Server(offer, "12345678", speaks_hdlc=speaks_hdlc)
        self.heard: list[servers.Event] = []

    def hear(self, characters: bytes) -> bytes:
        self.server.receive_data(characters)
        while (event := self.server.next_event()) is not None:
            self.heard.append(event)
            self._answer(event)
        return self.server.data_to_send()

    def _answer(self, event: servers.Event) -> None:
        match event:
            case Selected(mode=mode):
                self._begin(mode)
            case PasswordGiven(password="secret"):
                self.server.accept()
            case PasswordGiven():
                self.server.refuse()
            case Asked(argument=argument, in_parts=True):
                self.server.answer(*argument.split(";"))
            case Asked(argument=argument):
                self.server.answer(f"P.01({argument})")
            case Told(address="0.9.1"):
                self.server.accept()
            case Told():
                self.server.answer("(ERROR)")
            case SignedOn() | Left():
                pass

    def _begin(self, mode: Mode) -> None:
        match mode:
            case Mode.READ_OUT:
                self.server.read_out("1.8.0(1*kWh)\r\n!\r\n")
            case Mode.PROGRAMMING:
                self.server.challenge("(12345678)")
            case Mode.HDLC:
                self.server.hand_over()


def say(client: Client, meter: Meter, characters: bytes) -> clients.Event | None:
    client.receive_data(meter.hear(characters))
    return client.next_event()


def open_session(password: str = PASSWORD) -> tuple[Client, Meter, clients.Event | None]:
    client, meter = Client(), Meter()
    say(client, meter, client.sign_on("12345678"))
    say(client, meter, client.select(Mode.PROGRAMMING))
    return client, meter, say(client, meter, client.unlock(password))


def test_a_read_out_follows_the_sign_on() -> None:
    client, meter = Client(), Meter()
    assert say(client, meter, client.sign_on("")) == METER
    assert say(client, meter, client.select(Mode.READ_OUT)) == Block("1.8.0(1*kWh)\r\n!\r\n")
    assert meter.heard == [SignedOn(), Selected(9600, Mode.READ_OUT)]


def test_programming_mode_opens_with_the_password() -> None:
    client, meter = Client(), Meter()
    say(client, meter, client.sign_on("12345678"))
    assert say(client, meter, client.select(Mode.PROGRAMMING)) == Challenge("(12345678)")
    assert say(client, meter, client.unlock("secret")) == Unlocked()
    assert say(client, meter, client.read("P.01", "a;b")) == Block("P.01(a;b)")
    assert say(client, meter, client.leave()) is None
    assert meter.heard[-2:] == [Asked("P.01", "a;b"), Left()]


def test_a_wrong_password_ends_the_session() -> None:
    client, _, answer = open_session("guess")
    assert isinstance(answer, Refused)
    assert client.state is clients.State.SILENT


def test_a_password_is_told_by_no_event() -> None:
    _, meter, _ = open_session("guess")
    assert "guess" not in repr(meter.heard)


def test_a_password_that_cannot_be_sent_is_not_told_either() -> None:
    client, meter = Client(), Meter()
    say(client, meter, client.sign_on(""))
    say(client, meter, client.select(Mode.PROGRAMMING))
    with pytest.raises(InvalidValueError, match="password = ") as caught:
        client.unlock("(guess)")
    assert "guess" not in str(caught.value)


def test_an_echoed_password_is_not_told_as_a_refusal() -> None:
    client, meter = Client(), Meter()
    say(client, meter, client.sign_on(""))
    say(client, meter, client.select(Mode.PROGRAMMING))
    client.receive_data(b"\x00" + client.unlock("secret"))
    assert client.next_event() == Refused("Command while UNLOCKING")


def test_a_request_for_another_meter_is_not_answered() -> None:
    client, meter = Client(), Meter()
    assert say(client, meter, client.sign_on("87654321")) is None
    assert meter.heard == []


def test_an_echoing_head_disturbs_nothing() -> None:
    client, meter = Client(), Meter()
    request = client.sign_on("")
    client.receive_data(request)
    assert say(client, meter, request) == METER
    option = client.select(Mode.PROGRAMMING)
    client.receive_data(option)
    assert say(client, meter, option) == Challenge("(12345678)")


def test_a_flipped_bit_in_an_answer_is_asked_for_again() -> None:
    client, meter, _ = open_session()
    answer = bytearray(meter.hear(client.read("P.01", "a;b")))
    answer[6] ^= 0x01
    client.receive_data(bytes(answer))
    damaged = client.next_event()
    assert isinstance(damaged, Damaged)
    assert client.retry(damaged) == b"\x15"
    assert say(client, meter, b"\x15") == Block("P.01(a;b)")


def test_a_flipped_bit_in_a_command_is_asked_for_again() -> None:
    client, meter, _ = open_session()
    command = client.read("P.01", "a;b")
    not_understood = say(client, meter, command.replace(b"a", b"c"))
    assert not_understood == NotUnderstood()
    assert say(client, meter, client.retry(not_understood)) == Block("P.01(a;b)")


def test_what_was_not_heard_is_said_again() -> None:
    client, meter, _ = open_session()
    client.read("P.01", "a;b")
    assert say(client, meter, client.retry()) == Block("P.01(a;b)")


@pytest.mark.parametrize("mode", [Mode.READ_OUT, Mode.PROGRAMMING])
def test_a_lost_answer_at_the_new_baud_is_asked_for_again(mode: Mode) -> None:
    client, meter = Client(), Meter()
    say(client, meter, client.sign_on(""))
    meter.hear(client.select(mode))
    assert isinstance(say(client, meter, client.retry()), Block | Challenge)


def test_a_damaged_identification_is_requested_again() -> None:
    client, meter = Client(), Meter()
    request = client.sign_on("")
    meter.hear(request)
    client.receive_data(b"/Q\x1aI5TEST\r\n")
    damaged = client.next_event()
    assert isinstance(damaged, Damaged)
    assert client.retry(damaged) == request
    assert say(client, meter, request) == METER


def test_the_client_gives_up_after_its_retries() -> None:
    client = Client()
    client.sign_on("")
    for _ in range(RETRIES_MAX):
        client.retry()
    with pytest.raises(RemoteProtocolError, match="SIGNING_ON"):
        client.retry()


def test_every_new_command_has_its_own_retries() -> None:
    client, meter, _ = open_session()
    for argument in "abcd":
        client.read("P.01", argument)
        assert say(client, meter, client.retry()) == Block(f"P.01({argument})")


@pytest.mark.parametrize(
    "speak",
    [
        lambda client: client.select(Mode.READ_OUT),
        lambda client: client.unlock("secret"),
        lambda client: client.read("P.01", ""),
    ],
)
def test_the_client_does_not_speak_out_of_turn(speak: Callable[[Client], bytes]) -> None:
    with pytest.raises(LocalProtocolError, match="SILENT"):
        speak(Client())


@pytest.mark.parametrize(
    "speak",
    [
        lambda server: server.read_out(""),
        lambda server: server.challenge(""),
        lambda server: server.accept(),
        lambda server: server.hand_over(),
        lambda server: server.refuse(),
        lambda server: server.answer(""),
    ],
)
def test_the_meter_does_not_speak_out_of_turn(speak: Callable[[Server], None]) -> None:
    with pytest.raises(LocalProtocolError, match="SILENT"):
        speak(Server(METER, ""))


def test_a_meter_that_breaks_off_is_a_refusal() -> None:
    client, _, _ = open_session()
    client.read("P.01", "")
    client.receive_data(bytes(Command(name="B0")))
    assert isinstance(client.next_event(), Refused)


def test_a_password_answered_by_a_block_is_a_refusal() -> None:
    client, meter = Client(), Meter()
    say(client, meter, client.sign_on(""))
    say(client, meter, client.select(Mode.PROGRAMMING))
    client.unlock("secret")
    client.receive_data(bytes(DataBlock(text="(ERROR)")))
    assert isinstance(client.next_event(), Refused)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (Command(name="R5", data="P.01(;)"), DataBlock(text="P.01(;)")),
        (Command(name="R1", data="P.01(;)"), DataBlock(text="P.01(;)")),
        (Command(name="R6", data="P.01(a)"), DataBlock(text="a")),
        (Command(name="W5", data="0.9.1(120000)"), Acknowledge()),
        (Command(name="W1", data="1.8.0(0)"), DataBlock(text="(ERROR)")),
        (Command(name="E2", data="1(0)"), DataBlock(text="(ERROR)")),
    ],
)
def test_the_open_meter_answers_what_it_knows(command: Command, answer: Message) -> None:
    _, meter, _ = open_session()
    assert meter.hear(bytes(command)) == bytes(answer)


def test_a_value_is_written_or_refused() -> None:
    client, meter, _ = open_session()
    assert say(client, meter, client.write("0.9.1", "120000")) == Written()
    assert say(client, meter, client.write("1.8.0", "0")) == Block("(ERROR)")
    assert meter.heard[-2:] == [Told("0.9.1", "120000"), Told("1.8.0", "0")]


def test_a_value_that_arrived_damaged_is_written_again() -> None:
    client, meter, _ = open_session()
    damaged = client.write("0.9.1", "120000").replace(b"12", b"13")
    not_understood = say(client, meter, damaged)
    assert not_understood == NotUnderstood()
    assert say(client, meter, client.retry(not_understood)) == Written()


def test_the_second_password_is_given_by_its_own_command() -> None:
    client, meter = Client(), Meter()
    say(client, meter, client.sign_on(""))
    say(client, meter, client.select(Mode.PROGRAMMING))
    command = client.unlock("secret", "P2")
    assert command.startswith(b"\x01P2\x02(secret)\x03")
    assert say(client, meter, command) == Unlocked()


# --- answers in parts -----------------------------------------------------------------------


def ask_in_parts(argument: str) -> tuple[Client, Meter, clients.Event | None]:
    client, meter, _ = open_session()
    return client, meter, say(client, meter, client.read("P.01", argument, "R6"))


def test_an_answer_in_parts_is_one_block() -> None:
    client, meter, event = ask_in_parts("1;2;3")
    assert event == Part()
    assert say(client, meter, client.go_on()) == Part()
    assert say(client, meter, client.go_on()) == Block("123")


def test_a_damaged_part_is_asked_for_again() -> None:
    client, meter, _ = ask_in_parts("1;2;3")
    damaged = bytearray(meter.hear(client.go_on()))
    damaged[1] ^= 0x01
    client.receive_data(bytes(damaged))
    event = client.next_event()
    assert isinstance(event, Damaged)
    assert say(client, meter, client.retry(event)) == Part()
    assert say(client, meter, client.go_on()) == Block("123")


def test_after_silence_inside_an_answer_it_is_asked_for_from_its_beginning() -> None:
    client, meter, _ = ask_in_parts("1;2")
    meter.hear(client.go_on())  # and its answer is lost
    assert say(client, meter, client.retry()) == Part()
    assert say(client, meter, client.go_on()) == Block("12")


@pytest.mark.parametrize("text", ["", "1" * BLOCK_BYTES_MAX])
def test_an_answer_that_grows_without_end_or_not_at_all_is_refused(text: str) -> None:
    client, _, _ = open_session()
    client.read("P.01", "", "R6")
    client.receive_data(bytes(DataBlock(text="1", is_last=False)))
    assert client.next_event() == Part()
    client.receive_data(bytes(DataBlock(text=text, is_last=False)))
    assert isinstance(client.next_event(), Refused | Damaged)


def test_nothing_goes_on_before_a_part_came() -> None:
    client, _, _ = open_session()
    with pytest.raises(LocalProtocolError, match="goes on"):
        client.go_on()


def test_a_read_out_has_no_parts() -> None:
    client, meter = Client(), Meter()
    say(client, meter, client.sign_on(""))
    client.select(Mode.READ_OUT)
    client.receive_data(bytes(DataBlock(text="1.8.0(1)", is_last=False)))
    assert isinstance(client.next_event(), Refused)


# --- modes A, B and E -----------------------------------------------------------------------


@pytest.mark.parametrize(("character", "baud"), [("X", 300), ("E", 9600)])
def test_meters_of_modes_a_and_b_go_on_by_themselves(character: str, baud: int) -> None:
    client = Client()
    meter = Meter(Identification(maker="QUI", baud_character=character, name=""))
    client.receive_data(meter.hear(client.sign_on("")))
    assert isinstance(client.next_event(), Identification)
    assert client.next_event() == Block("1.8.0(1*kWh)\r\n!\r\n")
    assert meter.heard == [SignedOn(), Selected(baud, Mode.READ_OUT)]


def test_a_mode_a_read_out_may_have_no_frame() -> None:
    client = Client()
    client.sign_on("")
    client.receive_data(b"/QUIXOLD\r\n6.8(0029.055*MWh)\r\n!\r\n")
    assert isinstance(client.next_event(), Identification)
    assert client.next_event() == Block("6.8(0029.055*MWh)\r\n!\r\n")


def test_a_mode_c_read_out_has_a_frame() -> None:
    client, meter = Client(), Meter()
    say(client, meter, client.sign_on(""))
    client.select(Mode.READ_OUT)
    client.receive_data(b"6.8(0029.055*MWh)\r\n!\r\n")
    assert client.next_event() is None


def test_a_mode_b_meter_is_not_told_what_to_select() -> None:
    client = Client()
    meter = Meter(Identification(maker="QUI", baud_character="E", name=""))
    say(client, meter, client.sign_on(""))
    with pytest.raises(LocalProtocolError, match="READING_OUT"):
        client.select(Mode.PROGRAMMING)


def test_a_meter_hands_over_to_hdlc() -> None:
    client, meter = Client(), Meter()
    say(client, meter, client.sign_on(""))
    assert say(client, meter, client.select(Mode.HDLC)) == HandedOver()
    assert meter.server.state is servers.State.HANDED_OVER
    assert meter.hear(b"/?!\r\n") == b""


def test_a_meter_without_hdlc_gives_its_read_out() -> None:
    client, meter = Client(), Meter(speaks_hdlc=False)
    say(client, meter, client.sign_on(""))
    assert isinstance(say(client, meter, client.select(Mode.HDLC)), Refused)


def test_a_head_that_echoes_does_not_pass_for_the_meters_consent() -> None:
    client, meter = Client(), Meter()
    client.receive_data(client.sign_on(""))
    say(client, meter, b"/?!\r\n")
    assert client.head_echoes
    client.receive_data(client.select(Mode.HDLC))
    assert client.next_event() is None


def test_the_echo_of_an_earlier_session_is_noise() -> None:
    client, meter = Client(), Meter()
    request = client.sign_on("")
    client.receive_data(bytes(Command(name="B0")) + request)
    assert say(client, meter, request) == METER


@given(st.lists(st.integers(1, 7), max_size=40))
def test_how_the_characters_are_cut_changes_nothing(cuts: list[int]) -> None:
    client, meter, _ = ask_in_parts("1;2")
    answer, events = meter.hear(client.go_on()), list[clients.Event]()
    for cut in (*cuts, len(answer)):
        piece, answer = answer[:cut], answer[cut:]
        client.receive_data(piece)
        events += filter(None, [client.next_event()])
    assert events == [Block("12")]


@pytest.mark.parametrize("data", [None, "", "a(1)b(2)", "x"])
def test_a_command_about_nothing_or_two_things_is_not_understood(data: str | None) -> None:
    _, meter, _ = open_session()
    assert meter.hear(bytes(Command(name="R5", data=data))) == b"\x15"


def test_the_locked_meter_answers_no_read() -> None:
    client, meter = Client(), Meter()
    say(client, meter, client.sign_on(""))
    say(client, meter, client.select(Mode.PROGRAMMING))
    assert meter.hear(bytes(Command(name="R5", data="P.01(;)"))) == bytes(DataBlock(text="(ERROR)"))


def test_after_a_read_out_commands_are_ignored_until_the_break() -> None:
    client, meter = Client(), Meter()
    say(client, meter, client.sign_on(""))
    say(client, meter, client.select(Mode.READ_OUT))
    assert meter.hear(bytes(Command(name="R5", data="P.01(;)"))) == b""
    meter.hear(client.leave())
    assert say(client, meter, client.sign_on("")) == METER


def test_a_meter_hung_up_on_listens_for_the_next_sign_on() -> None:
    client, meter, _ = open_session()
    meter.server.hang_up()
    client.leave()
    assert say(client, meter, client.sign_on("")) == METER


@given(st.binary(max_size=60), st.sampled_from([0, 1, 2]))
def test_arbitrary_characters_never_break_the_meter(noise: bytes, step: int) -> None:
    client, meter = Client(), Meter()
    for characters in (lambda: client.sign_on(""), lambda: client.select(Mode.PROGRAMMING))[:step]:
        say(client, meter, characters())
    meter.hear(noise)
    meter.server.hang_up()
    assert meter.hear(b"/?!\r\n") == bytes(METER)


@given(st.binary(max_size=60))
def test_arbitrary_characters_never_break_the_client(noise: bytes) -> None:
    client, _, _ = open_session()
    client.read("P.01", "")
    client.receive_data(noise)
    assert isinstance(client.next_event(), Block | Damaged | NotUnderstood | Refused | None)
