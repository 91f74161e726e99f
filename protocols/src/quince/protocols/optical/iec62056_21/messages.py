"""The messages of IEC 62056-21 modes A, B, C and E: renderers, parsers, a bounded reader.

Law: octets that are not exactly one message raise CodecError and nothing else.
Each message knows its first character; `bytes(message)` is what goes on the line.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import xor
from typing import Any, ClassVar, Self

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.optical.line import (
    BAUD_BY_CHARACTER,
    BAUD_BY_LETTER,
    REACTION_S_MIN,
    REACTION_SHORT_S_MIN,
    SIGN_ON_BAUD,
)

SOH, STX, ACK, NAK = 0x01, 0x02, 0x06, 0x15
# The longest line is an identification: '/', maker, baud, 16 characters and escapes, CR LF.
LINE_BYTES_MAX = 64
# Two months of quarter-hours asked at once are 110 kB; the longest public read-out has 9.5 kB.
BLOCK_BYTES_MAX = 131_072


class Mode(StrEnum):
    """What the client asks for after the identification."""

    READ_OUT = "0"
    PROGRAMMING = "1"
    HDLC = "2"  # mode E: the line is handed over to DLMS


class Protocol(StrEnum):
    """Which of the modes a meter's identification announces."""

    A = "A"  # the read-out follows at 300 baud
    B = "B"  # the read-out follows at the offered baud
    C = "C"  # the client selects baud and mode; mode E among them


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`/?address!`: the meter of this address, or any meter if it is empty, shall identify."""

    address: str = ""

    firsts: ClassVar[bytes] = b"/"
    _form: ClassVar[re.Pattern[bytes]] = re.compile(rb"/\?([0-9A-Za-z ]{0,32})!\r\n")

    def __post_init__(self) -> None:
        _require("request.address", self.address, r"[0-9A-Za-z ]{0,32}")

    def __bytes__(self) -> bytes:
        return f"/?{self.address}!\r\n".encode()

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Read one request; CodecError otherwise."""
        (address,) = _match(cls._form, octets, "a request")
        return cls(address=address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    r"""`/XXXZ…`: the maker, the baud the meter offers, and its name, escapes included.

    Z is 0..6 in mode C (and E, whose name begins with `\2`), A..F in mode B, and any other
    printable character in mode A. 7..9 and G..I are reserved.
    """

    maker: str
    baud_character: str
    name: str

    firsts: ClassVar[bytes] = b"/"
    _form: ClassVar[re.Pattern[bytes]] = re.compile(
        rb"/([A-Za-z]{3})([ \"-.0-6:-FJ-~])([ -~]{0,32})\r\n"
    )

    def __post_init__(self) -> None:
        _require("identification.maker", self.maker, r"[A-Za-z]{3}")
        _require("identification.baud_character", self.baud_character, r"[ \"-.0-6:-FJ-~]")
        _require("identification.name", self.name, r"[ -~]{0,32}")

    def __bytes__(self) -> bytes:
        return f"/{self.maker}{self.baud_character}{self.name}\r\n".encode()

    @property
    def protocol(self) -> Protocol:
        """The mode the baud character announces."""
        if self.baud_character in BAUD_BY_CHARACTER:
            return Protocol.C
        return Protocol.B if self.baud_character in BAUD_BY_LETTER else Protocol.A

    @property
    def baud(self) -> int:
        """The offered baud."""
        known = {**BAUD_BY_CHARACTER, **BAUD_BY_LETTER}
        return known.get(self.baud_character, SIGN_ON_BAUD)

    @property
    def reaction_s_min(self) -> float:
        """How long to wait before answering: a lower-case third letter promises a quick meter."""
        return REACTION_SHORT_S_MIN if self.maker[2].islower() else REACTION_S_MIN

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Read one identification; CodecError otherwise."""
        maker, baud_character, name = _match(cls._form, octets, "an identification")
        return cls(maker=maker, baud_character=baud_character, name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSelect:
    """`ACK V Z Y`: the client takes the baud Z and names the mode Y; V is 2 for HDLC, else 0.

    A meter that hands over to HDLC answers with the same.
    """

    baud_character: str
    mode: Mode

    firsts: ClassVar[bytes] = bytes((ACK,))
    _form: ClassVar[re.Pattern[bytes]] = re.compile(rb"\x06(0[0-6][01]|2[0-6]2)\r\n")

    def __post_init__(self) -> None:
        _require("option.baud_character", self.baud_character, r"[0-6]")

    def __bytes__(self) -> bytes:
        procedure = "2" if self.mode is Mode.HDLC else "0"
        return f"\x06{procedure}{self.baud_character}{self.mode}\r\n".encode()

    @property
    def baud(self) -> int:
        """The baud both sides switch to."""
        return BAUD_BY_CHARACTER[self.baud_character]

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Read one option select for read-out, programming or HDLC; CodecError otherwise."""
        (option,) = _match(cls._form, octets, "an option select")
        return cls(baud_character=option[1], mode=Mode(option[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataBlock:
    """`STX text ETX BCC`: a read-out, or the answer to a read command.

    An answer that goes on in another block ends with EOT instead of ETX.
    """

    text: str
    is_last: bool = True

    firsts: ClassVar[bytes] = bytes((STX,))
    _form: ClassVar[re.Pattern[bytes]] = re.compile(rb"\x02([ -~\r\n]*)([\x03\x04])([\x00-\x7f])")

    def __post_init__(self) -> None:
        _require("block.text", self.text, r"[ -~\r\n]*")
        if len(self.text) > BLOCK_BYTES_MAX:
            raise InvalidValueError("block.text", len(self.text), f"at most {BLOCK_BYTES_MAX}")

    def __bytes__(self) -> bytes:
        return _seal(b"\x02" + self.text.encode() + (b"\x03" if self.is_last else b"\x04"))

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Read one block; CodecError if it is none or its check character is wrong."""
        text, end, check = _match(cls._form, octets, "a data block")
        _verify(octets, check)
        return cls(text=text, is_last=end == "\x03")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainBlock:
    """`text ! CR LF`: a read-out without a frame and a check, as meters of mode A may send it."""

    text: str

    firsts: ClassVar[bytes] = bytes((*b"\r\n", *range(0x20, 0x7F)))
    _form: ClassVar[re.Pattern[bytes]] = re.compile(rb"([ \"-~\r\n]*!\r\n)")

    def __post_init__(self) -> None:
        _require("block.text", self.text, r"[ \"-~\r\n]*!\r\n")

    def __bytes__(self) -> bytes:
        return self.text.encode()

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Read one block; CodecError otherwise."""
        (text,) = _match(cls._form, octets, "a plain block")
        return cls(text=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`SOH CD [STX data] ETX BCC`: P0/P1/P2 password, R read, W write, B0 break.

    R and W are numbered: 1 as the standard has it, 2 its "formatted" way, 5 as German utilities
    agreed; 3, 4 and 6 are these three in parts.
    """

    name: str
    data: str | None = None

    firsts: ClassVar[bytes] = bytes((SOH,))
    _form: ClassVar[re.Pattern[bytes]] = re.compile(
        rb"\x01([BEPRW][0-9])(?:\x02([ -~\r\n]*))?\x03([\x00-\x7f])"
    )

    def __post_init__(self) -> None:
        _require("command.name", self.name, r"[BEPRW][0-9]")
        _require("command.data", self.data or "", r"[ -~\r\n]*")

    def __bytes__(self) -> bytes:
        data = b"" if self.data is None else b"\x02" + self.data.encode()
        return _seal(b"\x01" + self.name.encode() + data + b"\x03")

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Read one command; CodecError if it is none or its check character is wrong."""
        name, data, check = _match(cls._form, octets, "a command")
        _verify(octets, check)
        return cls(name=name, data=data)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """`ACK`: understood."""

    firsts: ClassVar[bytes] = bytes((ACK,))

    def __bytes__(self) -> bytes:
        return b"\x06"

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Read one acknowledgement; CodecError otherwise."""
        if octets != b"\x06":
            raise CodecError(f"not an acknowledgement: {octets!r}")
        return cls()


@dataclass(frozen=True, slots=True)
class RepeatRequest:
    """`NAK`: say that again."""

    firsts: ClassVar[bytes] = bytes((NAK,))

    def __bytes__(self) -> bytes:
        return b"\x15"

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Read one repeat request; CodecError otherwise."""
        if octets != b"\x15":
            raise CodecError(f"not a repeat request: {octets!r}")
        return cls()


Message = (
    Request
    | Identification
    | OptionSelect
    | DataBlock
    | PlainBlock
    | Command
    | Acknowledge
    | RepeatRequest
)
_BLOCK_ENDS, _LINE_ENDS, _PLAIN_ENDS = (b"\x03", b"\x04"), (b"\n",), (b"!\r\n",)


class MessageReader:
    """Cuts a stream of seven-bit characters into the messages one side may expect now.

    What comes before a message is noise (optical heads hear lamps): it is skipped. The buffer
    never holds more than one longest block and what came with its end.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive_data(self, characters: bytes) -> None:
        """Take what the line gave."""
        self._buffer += characters

    def clear(self) -> None:
        """Forget what was heard."""
        self._buffer.clear()

    def next_message(self, *expected: type[Message]) -> Message | None:
        """Return the next message of the `expected` kinds, or None when it is not yet complete.

        A damaged message is consumed and raises CodecError.
        """
        self._skip_to(b"".join(kind.firsts for kind in expected))
        if not self._buffer:
            return None
        # Kinds that begin alike are lines of equal length: a request and an identification.
        kinds = [kind for kind in expected if self._buffer[0] in kind.firsts]
        length = self._length_of(kinds[0])
        if length is None:
            return None
        octets = bytes(self._buffer[:length])
        del self._buffer[:length]
        return _parse_any(kinds, octets)

    def _skip_to(self, firsts: bytes) -> None:
        begin = next((i for i, char in enumerate(self._buffer) if char in firsts), None)
        del self._buffer[:begin]

    def _length_of(self, kind: type[Message]) -> int | None:
        if kind is Acknowledge or kind is RepeatRequest:
            return 1
        if kind is DataBlock or kind is Command:
            return self._length_to(_BLOCK_ENDS, after=1, length_max=BLOCK_BYTES_MAX)
        if kind is PlainBlock:
            return self._length_to(_PLAIN_ENDS, after=0, length_max=BLOCK_BYTES_MAX)
        return self._length_to(_LINE_ENDS, after=0, length_max=LINE_BYTES_MAX)

    def _length_to(self, ends: tuple[bytes, ...], *, after: int, length_max: int) -> int | None:
        """Return the length to one of `ends` and `after` more, None if they are to come."""
        found = [self._buffer.find(end, 0, length_max) for end in ends]
        first = min((begin for begin in found if begin >= 0), default=None)
        if first is None:
            if len(self._buffer) >= length_max:
                del self._buffer[:length_max]
                raise CodecError(f"a message of more than {length_max} characters")
            return None
        length = first + len(ends[0]) + after
        return None if length > len(self._buffer) else length


def _parse_any(kinds: list[type[Message]], octets: bytes) -> Message:
    *others, last = kinds
    for kind in others:
        with suppress(CodecError):
            return kind.parse(octets)
    return last.parse(octets)


def _seal(octets: bytes) -> bytes:
    return octets + bytes((_check_of(octets),))


def _check_of(octets: bytes) -> int:
    """Return the check character: everything after the first, the ETX included, by exclusive or."""
    return reduce(xor, octets[1:], 0)


def _verify(octets: bytes, check: str) -> None:
    expected = _check_of(octets[:-1])
    if ord(check) != expected:
        raise CodecError(f"check character {ord(check):#04x}; the text gives {expected:#04x}")


def _match(form: re.Pattern[bytes], octets: bytes, what: str) -> list[Any]:
    """Return the groups as text, None for one that is not there."""
    match = form.fullmatch(octets)
    if match is None:
        raise CodecError(f"not {what}: {octets[:LINE_BYTES_MAX]!r}")
    return [group if group is None else group.decode() for group in match.groups()]


def _require(field: str, value: str, form: str) -> None:
    if re.fullmatch(form, value) is None:
        raise InvalidValueError(field, value, f"expected {form}")
