"""Both ends of a mode C session, against each other in memory."""

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from quince.model.errors import InvalidValueError, LocalProtocolError, RemoteProtocolError
from quince.protocols.optical import client as clients, server as servers
from quince.protocols.optical.client import (
    RETRIES_MAX,
    Block,
    Challenge,
    Client,
    Damaged,
    NotUnderstood,
    Refused,
    Unlocked,
)
from quince.protocols.optical.messages import Command, DataBlock, Identification, Mode
from quince.protocols.optical.server import Asked, Left, PasswordGiven, Selected, Server, SignedOn

PASSWORD = "secret"
METER = Identification(maker="QUI", baud_character="5", name="TEST")


class Meter:
    """A server that gives the read-out `1.8.0(1*kWh)` and answers every read with its argument."""

    def __init__(self) -> None:
        self.server = Server(METER, "12345678")
        self.heard: list[servers.Event] = []

    def hear(self, characters: bytes) -> bytes:
        self.server.receive_data(characters)
        while (event := self.server.next_event()) is not None:
            self.heard.append(event)
            self._answer(event)
        return self.server.data_to_send()

    def _answer(self, event: servers.Event) -> None:
        match event:
            case Selected(mode=Mode.READ_OUT):
                self.server.read_out("1.8.0(1*kWh)\r\n!\r\n")
            case Selected():
                self.server.challenge("(12345678)")
            case PasswordGiven(password="secret"):
                self.server.accept()
            case PasswordGiven():
                self.server.refuse()
            case Asked(argument=argument):
                self.server.answer(f"P.01({argument})")
            case SignedOn() | Left():
                pass


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


@pytest.mark.parametrize("mode", list(Mode))
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
        (Command(name="R5", data="P.01(;)"), "P.01(;)"),
        (Command(name="R1", data="1.8.0()"), "(ERROR)"),
        (Command(name="W1", data="1.8.0(0)"), "(ERROR)"),
    ],
)
def test_the_open_meter_answers_formatted_reads_alone(command: Command, answer: str) -> None:
    _, meter, _ = open_session()
    assert meter.hear(bytes(command)) == bytes(DataBlock(text=answer))


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
