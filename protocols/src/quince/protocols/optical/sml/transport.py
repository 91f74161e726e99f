"""The SML transport: files cut out of a stream of octets, each whole and checked.

`1b1b1b1b 01010101`, the content, `1b1b1b1b 1a`, how many zeros fill it up to four, and a check of
all that, low octet first. Four 1b in a row inside the content stand there twice.

Law: what is no whole file raises CodecError once and is gone; the next file is read. How the
octets are cut into pieces on their way changes nothing.
Source: the form is what recordings of 25 meters show; version 2's other escapes are refused.
"""

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.crc import crc_kermit, crc_x25

_ESCAPE = b"\x1b" * 4
_START = _ESCAPE + b"\x01" * 4
_END = 0x1A
# The longest recorded file has 528 octets; meters with a load profile in theirs send a few more.
FILE_BYTES_MAX = 8192
_FILL_MAX = 3


class FileReader:
    """Gives the content of each file in a stream; what stands between files is noise."""

    def __init__(self) -> None:
        # Never more than one longest file and what came with its end.
        self._buffer = bytearray()
        # How much of the file is known to hold no end: nothing is looked through twice.
        self._position = len(_START)

    def receive_data(self, octets: bytes) -> None:
        """Take what the line gave."""
        self._buffer += octets

    def next_file(self) -> bytes | None:
        """Return the next file's content, None when more octets are needed.

        CodecError for a file that is cut short, too long, or whose check is wrong.
        """
        start = self._buffer.find(_START)
        if start < 0:
            del self._buffer[: max(0, len(self._buffer) - len(_START) + 1)]
            return None
        del self._buffer[:start]
        end = self._end()
        return None if end is None else _content(self._take(end))

    def _end(self) -> int | None:
        """Return the length of the file the buffer begins with, None if it is to come."""
        while True:
            escape = self._buffer.find(_ESCAPE, self._position, FILE_BYTES_MAX)
            if escape < 0:
                self._look_on()
                return None
            meaning = self._buffer[escape + 4 : escape + 8]
            if len(meaning) < len(_ESCAPE):
                return None
            if meaning[0] == _END:
                return escape + 8
            if meaning == _ESCAPE:
                self._position = escape + 8
            elif meaning[0] == _ESCAPE[0]:  # the content before this escape ends with 1b
                self._position = escape + 1
            else:
                self._take(escape)
                raise CodecError("a file that is cut short")

    def _look_on(self) -> None:
        """Wait for more, but not for more than a file has."""
        if len(self._buffer) >= FILE_BYTES_MAX:
            self._take(len(_START))
            raise CodecError(f"a file of more than {FILE_BYTES_MAX} octets")
        self._position = max(self._position, len(self._buffer) - len(_ESCAPE) + 1)

    def _take(self, length: int) -> bytes:
        octets = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._position = len(_START)
        return octets


def render_file(content: bytes) -> bytes:
    """Return what a meter sends: `content` filled up, escaped, framed and checked (X-25)."""
    fill = -len(content) % 4
    escaped = (content + bytes(fill)).replace(_ESCAPE, _ESCAPE * 2)
    octets = _START + escaped + _ESCAPE + bytes((_END, fill))
    if len(octets) + 2 > FILE_BYTES_MAX:
        raise InvalidValueError("file", len(octets), f"at most {FILE_BYTES_MAX} octets")
    return octets + crc_x25(octets).to_bytes(2, "little")


def _content(octets: bytes) -> bytes:
    """Return the content; Holley meters check by Kermit instead of X-25, and are believed.

    Source for them: the libsml project's issue 75.
    """
    body, check = octets[:-2], int.from_bytes(octets[-2:], "little")
    if check not in (crc_x25(body), crc_kermit(body)):
        raise CodecError(f"check {check:#06x}; the file gives {crc_x25(body):#06x}")
    content = body[len(_START) : -6].replace(_ESCAPE * 2, _ESCAPE)
    fill = body[-1]
    if fill > _FILL_MAX or any(content[len(content) - fill :]):
        raise CodecError(f"{fill} octets of filling")
    return content[: len(content) - fill]
