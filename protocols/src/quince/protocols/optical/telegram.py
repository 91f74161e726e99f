"""What mode D meters and P1 ports push: telegrams of an identification and data sets.

`/identification CR LF`, data sets, `!`, four digits of a check or none, CR LF.

Law: what is no whole telegram raises CodecError once and is gone; the next one is read. How the
characters are cut into pieces on their way changes nothing.
"""

import re
from dataclasses import dataclass

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.crc import crc_arc
from quince.protocols.optical.iec62056_21.datasets import DataSet, parse_data_sets

# The longest recorded telegram has 1.1 kB; a P1 message to the customer adds up to 2 kB.
TELEGRAM_BYTES_MAX = 16_384
# A recorded one has a control character in it.
_IDENTIFICATION = r"[\x01-\x09\x0b\x0c\x0e-.0-\x7f]{3,64}"
_FORM = re.compile(
    rf"/({_IDENTIFICATION})\r?\n(?:\r?\n)?([ -~\r\n]*)!([0-9A-Fa-f]{{0,4}})\r?\n".encode()
)
# The next telegram inside one that lost its end.
_BEGIN = re.compile(rb"/[A-Za-z]{3}[^()!/\r\n]*\r?\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Telegram:
    """One of them; `is_checked` if a check came with it (only from DSMR 4 on)."""

    identification: str
    data_sets: tuple[DataSet, ...]
    is_checked: bool

    def __post_init__(self) -> None:
        if re.fullmatch(_IDENTIFICATION, self.identification) is None:
            raise InvalidValueError(
                "telegram.identification", self.identification, "3..64 characters, no /, CR, LF"
            )

    def __bytes__(self) -> bytes:
        lines = "".join(f"{data_set}\r\n" for data_set in self.data_sets)
        octets = f"/{self.identification}\r\n\r\n{lines}!".encode()
        return octets + (b"%04X" % crc_arc(octets) if self.is_checked else b"") + b"\r\n"

    @classmethod
    def parse(cls, octets: bytes) -> "Telegram":
        """Read one telegram; CodecError otherwise, and if its check is wrong."""
        match = _FORM.fullmatch(octets)
        if match is None:
            raise CodecError(f"not a telegram: {octets[:40]!r}")
        identification, text, check = match.groups()
        expected = crc_arc(octets[: match.end(2) + 1])
        if check and int(check, 16) != expected:
            raise CodecError(f"check {check.decode()}; the telegram gives {expected:04X}")
        return cls(
            identification=identification.decode(),
            data_sets=tuple(parse_data_sets(text.decode())),
            is_checked=bool(check),
        )

    def find(self, address: str) -> DataSet | None:
        """Return the data set of this address, with or without its `*255`."""
        matching = (one for one in self.data_sets if one.address.removesuffix("*255") == address)
        return next(matching, None)


class TelegramReader:
    """Gives each telegram of a stream; what stands between them is noise."""

    def __init__(self) -> None:
        # Never more than one longest telegram and what came with its end.
        self._buffer = bytearray()

    def receive_data(self, characters: bytes) -> None:
        """Take what the line gave."""
        self._buffer += characters

    def next_telegram(self) -> Telegram | None:
        """Return the next telegram, None when more characters are needed.

        CodecError for one that is cut short, too long, or whose check is wrong.
        """
        begin = self._buffer.find(b"/")
        del self._buffer[: len(self._buffer) if begin < 0 else begin]
        end = self._end()
        if end is None:
            if len(self._buffer) >= TELEGRAM_BYTES_MAX:
                del self._buffer[:1]
                raise CodecError(f"no end in {TELEGRAM_BYTES_MAX} characters")
            return None
        octets = bytes(self._buffer[:end])
        later = [match.start() for match in _BEGIN.finditer(octets, 1)]
        if later:
            del self._buffer[: later[-1]]
            raise CodecError(f"a telegram that is cut short: {octets[:40]!r}")
        del self._buffer[:end]
        return Telegram.parse(octets)

    def _end(self) -> int | None:
        """Return the length of the telegram the buffer begins with, None if it is to come."""
        line = self._buffer.find(b"\n", 0, TELEGRAM_BYTES_MAX)
        mark = self._buffer.find(b"!", line, TELEGRAM_BYTES_MAX) if line >= 0 else -1
        last = self._buffer.find(b"\n", mark, TELEGRAM_BYTES_MAX) if mark >= 0 else -1
        return None if last < 0 else last + 1
