"""The client's end of a session: what it may say, what it may hear, when it asks again.

Give `receive_data` the seven-bit characters of the line, take events until `next_event` gives
None; every other method returns the characters to send. The baud is the driver's to switch: to
`Identification.baud` after the characters of `select` have left (or, where the meter goes on by
itself, at once), back to 300 after `leave`.

A half-duplex head gives back every character sent through it. It gives itself away at the sign-on,
because no meter says `/?…!`: from then on as many characters as were sent are dropped. Guessing
later would not do: a meter's answer may be, letter for letter, what it was told.
"""

from dataclasses import dataclass
from enum import Enum, auto

from quince.model.errors import (
    CodecError,
    InvalidValueError,
    LocalProtocolError,
    RemoteProtocolError,
)
from quince.protocols.optical.iec62056_21.datasets import DataSet, Value
from quince.protocols.optical.iec62056_21.messages import (
    BLOCK_BYTES_MAX,
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

# One lamp switched on spoils one message; three in a row are a head that does not sit right.
RETRIES_MAX = 3


class State(Enum):
    """Where the session stands."""

    SILENT = auto()
    SIGNING_ON = auto()
    IDENTIFIED = auto()
    READING_OUT = auto()
    HANDING_OVER = auto()
    ENTERING = auto()
    LOCKED = auto()
    UNLOCKING = auto()
    OPEN = auto()
    READING = auto()
    WRITING = auto()


_EXPECTED: dict[State, tuple[type[Message], ...]] = {
    State.SIGNING_ON: (Identification, Request),
    State.READING_OUT: (DataBlock,),
    State.HANDING_OVER: (OptionSelect, DataBlock),
    State.ENTERING: (Command,),
    State.UNLOCKING: (Acknowledge, RepeatRequest, Command, DataBlock),
    State.READING: (DataBlock, RepeatRequest, Command),
    State.WRITING: (Acknowledge, RepeatRequest, Command, DataBlock),
}
_SELECTED = {
    Mode.READ_OUT: State.READING_OUT,
    Mode.PROGRAMMING: State.ENTERING,
    Mode.HDLC: State.HANDING_OVER,
}
_ENTERED = (State.OPEN, State.LOCKED)


@dataclass(frozen=True, slots=True)
class Block:
    """The text of a read-out or of an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """The answer goes on: `go_on` asks for the rest, and one Block will hold all of it."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """The meter is in programming mode and waits for the password."""

    data: str


@dataclass(frozen=True, slots=True)
class Unlocked:
    """The meter took the password."""


@dataclass(frozen=True, slots=True)
class Written:
    """The meter took the value."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The meter speaks HDLC now, at the baud it offered, in eight bits without parity."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The meter ended the session, or answered what this state does not allow."""

    reason: str


@dataclass(frozen=True, slots=True)
class Damaged:
    """What was heard is no message: `retry` asks the meter for it again."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """The meter did not understand: `retry` says it again."""


Event = (
    Identification
    | Block
    | Part
    | Challenge
    | Unlocked
    | Written
    | HandedOver
    | Refused
    | Damaged
    | NotUnderstood
)


class Client:
    """One client; it may sign on again and again."""

    def __init__(self) -> None:
        """Begin in silence."""
        self._reader = MessageReader()
        self._said = b""
        self.head_echoes = False
        self._echo_length = 0  # characters of ours that the head has yet to give back
        self._parts = ""  # of an answer that goes on
        self._retries = 0
        self._offer = Identification(maker="XXX", baud_character="0", name="")
        self.state = State.SILENT

    # --- what the client says -----------------------------------------------------------

    def sign_on(self, device_address: str) -> bytes:
        """Ask the meter of this address (or any, if empty) to identify itself."""
        return self._say(State.SIGNING_ON, Request(address=device_address), State.SILENT)

    def select(self, mode: Mode) -> bytes:
        """Take the offered baud and name the mode; mode A and B meters are not asked."""
        self._require("OptionSelect", State.IDENTIFIED)  # which has a baud that can be selected
        option = OptionSelect(baud_character=self._offer.baud_character, mode=mode)
        return self._say(_SELECTED[mode], option, State.IDENTIFIED)

    def unlock(self, password: str, command: str = "P1") -> bytes:
        """Give the password, in the clear; some meters take it as P2."""
        try:
            data = str(DataSet("", (Value(password),)))
        except InvalidValueError:  # which tells the value: a password is not told
            raise InvalidValueError("password", "***", "printable, without ( ) *") from None
        return self._say(State.UNLOCKING, Command(name=command, data=data), State.LOCKED)

    def read(self, address: str, argument: str, command: str = "R5") -> bytes:
        """Ask for one address; some meters answer without a password."""
        data = str(DataSet(address, (Value(argument),)))
        return self._say(State.READING, Command(name=command, data=data), *_ENTERED)

    def write(self, address: str, value: str, command: str = "W5") -> bytes:
        """Set the value of one address."""
        data = str(DataSet(address, (Value(value),)))
        return self._say(State.WRITING, Command(name=command, data=data), *_ENTERED)

    def go_on(self) -> bytes:
        """Ask for the rest of an answer."""
        if not self._parts:
            raise LocalProtocolError("nothing goes on")
        return self._send(bytes(Acknowledge()))

    def leave(self) -> bytes:
        """End the session; from here on the meter listens at 300 baud."""
        self.state = State.SILENT
        self._reader.clear()
        return bytes(Command(name="B0"))

    def retry(self, event: Damaged | NotUnderstood | None = None) -> bytes:
        """Return what to send after `event`, or after a silence (None).

        A repeat request for what was damaged, or after silence where our words did arrive, as
        the meter's baud shows; the same words again otherwise. After silence inside an answer
        that goes on nobody knows which part comes next: it is asked for from its beginning.
        RemoteProtocolError after RETRIES_MAX: then the head does not sit right or the meter is
        dark.
        """
        if self._retries == RETRIES_MAX:
            raise RemoteProtocolError(f"no answer in {self.state.name} after {RETRIES_MAX} retries")
        self._retries += 1
        self._reader.clear()
        arrived = self.state in (State.READING_OUT, State.ENTERING)
        damaged = isinstance(event, Damaged) and self.state is not State.SIGNING_ON
        if arrived or damaged:
            return self._send(bytes(RepeatRequest()))
        self._parts = ""
        return self._send(self._said)

    # --- what the client hears ----------------------------------------------------------

    def receive_data(self, characters: bytes) -> None:
        """Take seven-bit characters from the line."""
        dropped = min(self._echo_length, len(characters))
        self._echo_length -= dropped
        self._reader.receive_data(characters[dropped:])

    def next_event(self) -> Event | None:
        """Return what happened, or None when more characters are needed."""
        try:
            message = self._reader.next_message(*self._expected())
            while isinstance(message, Request):
                self.head_echoes = True
                message = self._reader.next_message(*self._expected())
        except CodecError as error:
            return Damaged(str(error))
        return None if message is None else self._hear(message)

    def _expected(self) -> tuple[type[Message], ...]:
        expected = _EXPECTED.get(self.state, ())
        plain = self.state is State.READING_OUT and self._offer.protocol is not Protocol.C
        return (*expected, PlainBlock) if plain else expected

    def _hear(self, message: Message) -> Event:
        event: Event
        match message:
            case Identification():
                self._offer = message
                selects = message.protocol is Protocol.C
                after, event = State.IDENTIFIED if selects else State.READING_OUT, message
            case RepeatRequest():
                after, event = self.state, NotUnderstood()
            case Acknowledge():
                is_password = self.state is State.UNLOCKING
                after, event = State.OPEN, Unlocked() if is_password else Written()
            case Command(name="P0") if self.state is State.ENTERING:
                after, event = State.LOCKED, Challenge(message.data or "")
            case OptionSelect():
                after, event = State.SILENT, HandedOver()
            case PlainBlock():
                after, event = State.SILENT, Block(message.text)
            case DataBlock():
                after, event = self._block(message)
            case _:
                after, event = _refusal(message, self.state)
        self.state = after
        return event

    def _block(self, block: DataBlock) -> tuple[State, Event]:
        match self.state:
            case State.READING_OUT if block.is_last:
                return State.SILENT, Block(block.text)
            case State.READING | State.WRITING if block.is_last:
                return State.OPEN, Block(self._parts + block.text)
            # A part that adds nothing has no end.
            case State.READING if 0 < len(block.text) <= BLOCK_BYTES_MAX - len(self._parts):
                self._parts += block.text
                return State.READING, Part()
            case _:
                return _refusal(block, self.state)

    # --- saying -------------------------------------------------------------------------

    def _say(self, after: State, message: Message, *allowed: State) -> bytes:
        self._require(type(message).__name__, *allowed)
        self._reader.clear()
        self._said = bytes(message)
        self._parts = ""
        self._retries = 0
        self.state = after
        return self._send(self._said)

    def _require(self, what: str, *allowed: State) -> None:
        if self.state not in allowed:
            raise LocalProtocolError(f"{what} cannot be sent in {self.state.name}")

    def _send(self, characters: bytes) -> bytes:
        echoes = self.head_echoes and self.state is not State.SIGNING_ON
        self._echo_length = len(characters) if echoes else 0
        return characters


def _refusal(message: Message, state: State) -> tuple[State, Event]:
    """Say what came, but not its text: an echoed command carries the password."""
    return State.SILENT, Refused(f"{type(message).__name__} while {state.name}")
