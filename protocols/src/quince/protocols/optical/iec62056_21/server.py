"""The meter's end of a session: it hears requests and commands, and answers in turn.

Give `receive_data` the seven-bit characters of the line, take events until `next_event` gives
None, answer them, and send what `data_to_send` gives: first what is there when an event is taken,
then, after the switch of baud it asks for, the answer to it. Repeats are answered here. The baud
is back at 300 at `Left`, or when `hang_up` is called.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from quince.model.errors import CodecError, LocalProtocolError
from quince.protocols.optical.iec62056_21.datasets import parse_data_sets
from quince.protocols.optical.iec62056_21.messages import (
    Acknowledge,
    Command,
    DataBlock,
    Identification,
    Message,
    MessageReader,
    Mode,
    OptionSelect,
    Protocol,
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
    HANDED_OVER = auto()


_EXPECTED: dict[State, tuple[type[Message], ...]] = {
    State.SILENT: (Request,),
    State.IDENTIFIED: (Request, OptionSelect),
    State.READ_OUT: (RepeatRequest, Command, Request),
    State.LOCKED: (RepeatRequest, Command),
    State.OPEN: (RepeatRequest, Command, Acknowledge),
    State.HANDED_OVER: (),
}
_SELECTED = {
    Mode.READ_OUT: State.READ_OUT,
    Mode.PROGRAMMING: State.LOCKED,
    Mode.HDLC: State.HANDED_OVER,
}
_READS, _READS_IN_PARTS = ("R1", "R2", "R5"), ("R3", "R4", "R6")
_WRITES = ("W1", "W2", "W5")


@dataclass(frozen=True, slots=True)
class SignedOn:
    """A request for this meter was answered with its identification."""


@dataclass(frozen=True, slots=True)
class Selected:
    """The client took `baud`, and waits for the read-out, the challenge or the handing over.

    A mode A or B meter goes on with its read-out by itself.
    """

    baud: int
    mode: Mode


@dataclass(frozen=True, slots=True)
class PasswordGiven:
    """The client gave a password: `accept` or `refuse` it."""

    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """The client asks for `address`: `answer`, with several texts only if `in_parts`."""

    address: str
    argument: str
    in_parts: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """The client sets `address` to `value`: `accept`, or `answer` why not."""

    address: str
    value: str


@dataclass(frozen=True, slots=True)
class Left:
    """The client ended the session."""


Event = SignedOn | Selected | PasswordGiven | Asked | Told | Left


class Server:
    """One meter: `device_address` is what it is called by, besides the empty address."""

    def __init__(
        self, identification: Identification, device_address: str, *, speaks_hdlc: bool = False
    ) -> None:
        """Begin in silence."""
        self._identification = identification
        self._device_address = device_address
        self._speaks_hdlc = speaks_hdlc
        self._reader = MessageReader()
        self._said = b""
        self._output = bytearray()
        self._goes_on_by_itself = False
        self._parts: list[str] = []  # of the answer, still to be asked for
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
        self._goes_on_by_itself = False
        self._parts = []
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

    def hand_over(self) -> None:
        """Agree to speak HDLC from here on."""
        self._require(State.HANDED_OVER)
        character = self._identification.baud_character
        self._say(OptionSelect(baud_character=character, mode=Mode.HDLC))

    def accept(self) -> None:
        """Take the password, or the value."""
        self._require(State.LOCKED, State.OPEN)
        self.state = State.OPEN
        self._say(Acknowledge())

    def refuse(self) -> None:
        """Refuse the password: the session ends."""
        self._require(State.LOCKED)
        self.state = State.SILENT
        self._say(Command(name="B0"))

    def answer(self, *texts: str) -> None:
        """Answer a command; of several texts each is sent when the one before has arrived."""
        self._require(State.OPEN)
        self._parts = list(texts)
        self._say_part()

    # --- what the meter hears -----------------------------------------------------------

    def next_event(self) -> Event | None:
        """Return what happened, or None when more characters are needed."""
        if self._goes_on_by_itself:
            self._goes_on_by_itself = False
            self.state = State.READ_OUT
            return Selected(self._identification.baud, Mode.READ_OUT)
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
                self._goes_on_by_itself = self._identification.protocol is not Protocol.C
                self._say(self._identification)
                return SignedOn()
            case OptionSelect():
                return self._select(message)
            case RepeatRequest():
                self._output += self._said
            case Acknowledge() if self._parts:
                self._say_part()
            case Command(name="B0"):
                self.state = State.SILENT
                return Left()
            case Command() if self.state is not State.READ_OUT:
                return self._obey(message)
            case _:
                pass
        return None

    def _select(self, option: OptionSelect) -> Event:
        """Follow the client; a meter without HDLC gives its read-out, as real ones do."""
        without = option.mode is Mode.HDLC and not self._speaks_hdlc
        mode = Mode.READ_OUT if without else option.mode
        self.state = _SELECTED[mode]
        return Selected(option.baud, mode)

    def _obey(self, command: Command) -> Event | None:
        data_sets = parse_data_sets(command.data or "")
        if len(data_sets) != 1:
            raise CodecError(f"a command about {len(data_sets)} data sets")
        self._parts = []
        address, value = data_sets[0].address, data_sets[0].values[0].text
        match command.name:
            case "P1" | "P2":
                self.state = State.LOCKED
                return PasswordGiven(value)
            case name if self.state is State.OPEN and name in _READS:
                return Asked(address, value)
            case name if self.state is State.OPEN and name in _READS_IN_PARTS:
                return Asked(address, value, in_parts=True)
            case name if self.state is State.OPEN and name in _WRITES:
                return Told(address, value)
            case _:
                self._say(DataBlock(text="(ERROR)"))
                return None

    def _require(self, *states: State) -> None:
        if self.state not in states:
            names = " or ".join(state.name for state in states)
            raise LocalProtocolError(f"not in {self.state.name}, but in {names} alone")

    def _say_part(self) -> None:
        text = self._parts.pop(0)
        self._say(DataBlock(text=text, is_last=not self._parts))

    def _say(self, message: Message) -> None:
        self._said = bytes(message)
        self._output += self._said
