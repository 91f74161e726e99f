"""The client's end of a mode C session: what it may say, what it may hear, when it asks again.

Give `receive_data` the seven-bit characters of the line, take events until `next_event` gives
None; every other method returns the characters to send. The baud is the driver's to switch: to
`Identification.baud` after the characters of `select` have left, back to 300 after `leave`.
"""

from dataclasses import dataclass
from enum import Enum, auto

from quince.model.errors import (
    CodecError,
    InvalidValueError,
    LocalProtocolError,
    RemoteProtocolError,
)
from quince.protocols.optical.datasets import DataSet, Value
from quince.protocols.optical.messages import (
    Acknowledge,
    Command,
    DataBlock,
    Identification,
    Message,
    MessageReader,
    Mode,
    OptionSelect,
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
    ENTERING = auto()
    LOCKED = auto()
    UNLOCKING = auto()
    OPEN = auto()
    READING = auto()


_EXPECTED: dict[State, tuple[type[Message], ...]] = {
    State.SIGNING_ON: (Identification,),
    State.READING_OUT: (DataBlock,),
    State.ENTERING: (Command,),
    State.UNLOCKING: (Acknowledge, RepeatRequest, Command, DataBlock),
    State.READING: (DataBlock, RepeatRequest, Command),
}


@dataclass(frozen=True, slots=True)
class Block:
    """The text of a read-out or of an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """The meter is in programming mode and waits for the password."""

    data: str


@dataclass(frozen=True, slots=True)
class Unlocked:
    """The meter took the password."""


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


Event = Identification | Block | Challenge | Unlocked | Refused | Damaged | NotUnderstood


class Client:
    """One client; it may sign on again and again."""

    def __init__(self) -> None:
        """Begin in silence."""
        self._reader = MessageReader()
        self._said = b""
        self._on_line = b""  # what an echoing head may give back
        self._retries = 0
        self._offered_baud = "0"  # every meter speaks at 300 baud
        self.state = State.SILENT

    # --- what the client says -----------------------------------------------------------

    def sign_on(self, device_address: str) -> bytes:
        """Ask the meter of this address (or any, if empty) to identify itself."""
        return self._say(State.SIGNING_ON, Request(address=device_address), State.SILENT)

    def select(self, mode: Mode) -> bytes:
        """Take the offered baud and name the mode."""
        after = State.READING_OUT if mode is Mode.READ_OUT else State.ENTERING
        option = OptionSelect(baud_character=self._offered_baud, mode=mode)
        return self._say(after, option, State.IDENTIFIED)

    def unlock(self, password: str) -> bytes:
        """Give the password, in the clear as P1 does."""
        try:
            data = str(DataSet("", (Value(password),)))
        except InvalidValueError:  # which tells the value: a password is not told
            raise InvalidValueError("password", "***", "printable, without ( ) *") from None
        return self._say(State.UNLOCKING, Command(name="P1", data=data), State.LOCKED)

    def read(self, address: str, argument: str) -> bytes:
        """Ask for one address, formatted (R5)."""
        data = str(DataSet(address, (Value(argument),)))
        return self._say(State.READING, Command(name="R5", data=data), State.OPEN)

    def leave(self) -> bytes:
        """End the session; from here on the meter listens at 300 baud."""
        self.state = State.SILENT
        self._reader.clear()
        return bytes(Command(name="B0"))

    def retry(self, event: Damaged | NotUnderstood | None = None) -> bytes:
        """Return what to send after `event`, or after a silence (None).

        A repeat request for what was damaged, or after silence where our words did arrive, as
        the meter's baud shows; the same words again otherwise. RemoteProtocolError after
        RETRIES_MAX: then the head does not sit right or the meter is dark.
        """
        if self._retries == RETRIES_MAX:
            raise RemoteProtocolError(f"no answer in {self.state.name} after {RETRIES_MAX} retries")
        self._retries += 1
        self._reader.clear()
        arrived = self.state in (State.READING_OUT, State.ENTERING)
        damaged = isinstance(event, Damaged) and self.state is not State.SIGNING_ON
        self._on_line = bytes(RepeatRequest()) if arrived or damaged else self._said
        return self._on_line

    # --- what the client hears ----------------------------------------------------------

    def receive_data(self, characters: bytes) -> None:
        """Take seven-bit characters from the line."""
        self._reader.receive_data(characters)

    def next_event(self) -> Event | None:
        """Return what happened, or None when more characters are needed."""
        self._reader.drop_echo(self._on_line)
        try:
            message = self._reader.next_message(*_EXPECTED.get(self.state, ()))
        except CodecError as error:
            return Damaged(str(error))
        return None if message is None else self._hear(message)

    def _hear(self, message: Message) -> Event:
        event: Event
        match message:
            case Identification():
                self._offered_baud = message.baud_character
                after, event = State.IDENTIFIED, message
            case RepeatRequest():
                after, event = self.state, NotUnderstood()
            case Acknowledge():
                after, event = State.OPEN, Unlocked()
            case Command(name="P0") if self.state is State.ENTERING:
                after, event = State.LOCKED, Challenge(message.data or "")
            case DataBlock() if self.state is State.READING:
                after, event = State.OPEN, Block(message.text)
            case DataBlock() if self.state is State.READING_OUT:
                after, event = State.SILENT, Block(message.text)
            case _:  # its text is not told: an echoed command carries the password
                reason = f"{type(message).__name__} while {self.state.name}"
                after, event = State.SILENT, Refused(reason)
        self.state = after
        return event

    def _say(self, after: State, message: Message, allowed: State) -> bytes:
        if self.state is not allowed:
            raise LocalProtocolError(
                f"{type(message).__name__} cannot be sent in {self.state.name}"
            )
        self._reader.clear()
        self._said = self._on_line = bytes(message)
        self._retries = 0
        self.state = after
        return self._said
