"""The meter's end of a mode C session: it hears requests and commands, and answers in turn.

Give `receive_data` the seven-bit characters of the line, take events until `next_event` gives
None, answer them, and send what `data_to_send` gives. Repeats are answered here. The baud is the
driver's to switch: to `Selected.baud` at once, back to 300 at `Left` or when `hang_up` is called.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from quince.model.errors import CodecError, LocalProtocolError
from quince.protocols.optical.datasets import parse_data_sets
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


class State(Enum):
    """Where the session stands."""

    SILENT = auto()
    IDENTIFIED = auto()
    READ_OUT = auto()
    LOCKED = auto()
    OPEN = auto()


_EXPECTED: dict[State, tuple[type[Message], ...]] = {
    State.SILENT: (Request,),
    State.IDENTIFIED: (Request, OptionSelect),
    State.READ_OUT: (RepeatRequest, Command),
    State.LOCKED: (RepeatRequest, Command),
    State.OPEN: (RepeatRequest, Command),
}


@dataclass(frozen=True, slots=True)
class SignedOn:
    """A request for this meter was answered with its identification."""


@dataclass(frozen=True, slots=True)
class Selected:
    """The client took `baud` and waits for the read-out or the challenge at it."""

    baud: int
    mode: Mode


@dataclass(frozen=True, slots=True)
class PasswordGiven:
    """The client gave a password: `accept` or `refuse` it."""

    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """The client asks for `address`: `answer`."""

    address: str
    argument: str


@dataclass(frozen=True, slots=True)
class Left:
    """The client ended the session."""


Event = SignedOn | Selected | PasswordGiven | Asked | Left


class Server:
    """One meter: `device_address` is what it is called by, besides the empty address."""

    def __init__(self, identification: Identification, device_address: str) -> None:
        """Begin in silence."""
        self._identification = identification
        self._device_address = device_address
        self._reader = MessageReader()
        self._said = b""
        self._output = bytearray()
        self.state = State.SILENT

    def receive_data(self, characters: bytes) -> None:
        """Take seven-bit characters from the line."""
        self._reader.receive_data(characters)

    def data_to_send(self) -> bytes:
        """Return, once, the characters to send."""
        output = bytes(self._output)
        self._output.clear()
        return output

    def hang_up(self) -> None:
        """Forget the session: the line was silent too long, or the mains is gone."""
        self.state = State.SILENT
        self._reader.clear()
        self._output.clear()

    # --- answers ------------------------------------------------------------------------

    def read_out(self, text: str) -> None:
        """Send the read-out."""
        self._require(State.READ_OUT)
        self._say(DataBlock(text=text))

    def challenge(self, data: str) -> None:
        """Ask for the password."""
        self._require(State.LOCKED)
        self._say(Command(name="P0", data=data))

    def accept(self) -> None:
        """Take the password."""
        self._require(State.LOCKED)
        self.state = State.OPEN
        self._say(Acknowledge())

    def refuse(self) -> None:
        """Refuse the password: the session ends."""
        self._require(State.LOCKED)
        self.state = State.SILENT
        self._say(Command(name="B0"))

    def answer(self, text: str) -> None:
        """Answer a read command."""
        self._require(State.OPEN)
        self._say(DataBlock(text=text))

    # --- what the meter hears -----------------------------------------------------------

    def next_event(self) -> Event | None:
        """Return what happened, or None when more characters are needed."""
        while True:
            try:
                message = self._reader.next_message(*_EXPECTED[self.state])
                if message is None:
                    return None
                event = self._hear(message)
            except CodecError:
                event = None
                if self.state in (State.LOCKED, State.OPEN):
                    self._output += bytes(RepeatRequest())
            if event is not None:
                return event

    def _hear(self, message: Message) -> Event | None:
        match message:
            case Request(address=address) if address in ("", self._device_address):
                self.state = State.IDENTIFIED
                self._say(self._identification)
                return SignedOn()
            case OptionSelect():
                read_out = message.mode is Mode.READ_OUT
                self.state = State.READ_OUT if read_out else State.LOCKED
                return Selected(message.baud, message.mode)
            case RepeatRequest():
                self._output += self._said
                return None
            case Command(name="B0"):
                self.state = State.SILENT
                return Left()
            case Command() if self.state is not State.READ_OUT:
                return self._obey(message)
            case _:
                return None

    def _obey(self, command: Command) -> Event | None:
        data_sets = parse_data_sets(command.data or "")
        if len(data_sets) != 1:
            raise CodecError(f"a command about {len(data_sets)} data sets")
        address, value = data_sets[0].address, data_sets[0].values[0].text
        match command.name, self.state:
            case "P1", _:
                self.state = State.LOCKED
                return PasswordGiven(value)
            case "R5", State.OPEN:
                return Asked(address, value)
            case _:
                self._say(DataBlock(text="(ERROR)"))
                return None

    def _require(self, state: State) -> None:
        if self.state is not state:
            raise LocalProtocolError(f"not in {self.state.name}, but in {state.name} alone")

    def _say(self, message: Message) -> None:
        self._said = bytes(message)
        self._output += self._said
