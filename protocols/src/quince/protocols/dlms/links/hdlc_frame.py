"""HDLC frames (IEC 62056-46, frame format type 3): addresses, check sequences, delimiting.

Law: a frame is delimited by its length field, never by the next 7E, which may stand in any
octet, the check sequence included. Whatever does not verify is passed over up to the next 7E.
"""

from dataclasses import dataclass, field

from quince.model.errors import CodecError, InvalidValueError, LocalProtocolError
from quince.protocols.crc import crc_x25
from quince.protocols.dlms.encoding.reader import Reader

_FLAG = 0x7E
_FLAG_OCTET = b"\x7e"
_FORMAT, _FORMAT_MASK, _SEGMENTED = 0xA000, 0xF000, 0x0800
_LENGTH_MASK = 0x07FF
_CHECK_OCTETS = 2
# Format, two addresses of one octet, control, check sequence.
_FRAME_OCTETS_MIN = 7
# All that the eleven bits of the length field allow.
FRAME_OCTETS_MAX = _LENGTH_MASK
# A frame's octets around its information, with two addresses of four octets.
OVERHEAD_OCTETS_MAX = 15
# Of these, what is in front of the information.
_HEADER_OCTETS_MAX = OVERHEAD_OCTETS_MAX - _CHECK_OCTETS
# A whole read of a driver; what waits here was not taken, which is a driver's mistake.
_BUFFER_OCTETS_MAX = 0x20000
_ADDRESS_SIZES = frozenset({1, 2, 4})
_SEVEN_BITS, _FOURTEEN_BITS = 0x7F, 0x3FFF
# Reserved in a half of an address, by the address's octets (IEC 62056-46, from memory): a frame to
# all stations reaches each of them, and none answers it. The number below is the CALLING device.
_ALL_STATIONS = {1: _SEVEN_BITS, 2: _SEVEN_BITS, 4: _FOURTEEN_BITS}


@dataclass(frozen=True, slots=True, kw_only=True)
class HdlcAddress:
    """Upper (logical device) and lower (physical) address; a client has an upper one alone.

    `size` is the octets it is written in: 1, 2 or 4, the fewest that hold it where 0 is given.
    128/17 needs 4.
    """

    upper: int
    lower: int | None = None
    size: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.upper <= _FOURTEEN_BITS:
            raise InvalidValueError("hdlc.upper", self.upper, "14 bits")
        if self.lower is not None and not 0 <= self.lower <= _FOURTEEN_BITS:
            raise InvalidValueError("hdlc.lower", self.lower, "14 bits")
        fewest = self._fewest_octets()
        if self.size == 0:
            object.__setattr__(self, "size", fewest)
        elif self.size not in _ADDRESS_SIZES or self.size < fewest:
            raise InvalidValueError("hdlc.size", self.size, f"at least {fewest}: 1, 2 or 4")
        if self.size > 1 and self.lower is None:  # it is written as 0, and comes back so
            object.__setattr__(self, "lower", 0)

    def _fewest_octets(self) -> int:
        if self.lower is None:
            if self.upper > _SEVEN_BITS:
                raise InvalidValueError("hdlc.lower", None, "an upper address above 127 needs one")
            return 1
        return 2 if max(self.upper, self.lower) <= _SEVEN_BITS else 4

    def reaches(self, station: "HdlcAddress") -> bool:
        """Whether a frame to this address is for `station`, alone or with all others."""
        everyone = _ALL_STATIONS[self.size]
        upper = self.upper in (everyone, station.upper)
        lower = self.lower in (everyone, station.lower) or self.lower is None
        return upper and lower

    @property
    def is_one_station(self) -> bool:
        """Whether one station can be called so: neither "all" nor "calling"."""
        everyone = _ALL_STATIONS[self.size]
        return self.upper != everyone and self.lower not in (everyone, everyone - 1)

    def encode(self) -> bytes:
        """Write the address: seven bits an octet, the lowest bit marks the last one."""
        lower = self.lower or 0
        if self.size == 1:
            parts = [self.upper]
        elif self.size == 2:  # noqa: PLR2004 - one octet for each half
            parts = [self.upper, lower]
        else:
            parts = [self.upper >> 7, self.upper & 0x7F, lower >> 7, lower & 0x7F]
        octets = bytearray(part << 1 for part in parts)
        octets[-1] |= 1
        return bytes(octets)


def read_address(reader: Reader) -> HdlcAddress:
    """Read an address of 1, 2 or 4 octets."""
    parts = []
    more = True
    while more:
        octet = reader.octet()
        parts.append(octet >> 1)
        more = not octet & 1
        if len(parts) > max(_ADDRESS_SIZES):
            raise CodecError("an address without an end")
    match parts:
        case [upper]:
            return HdlcAddress(upper=upper)
        case [upper, lower]:
            return HdlcAddress(upper=upper, lower=lower)
        case [high, low, lower_high, lower_low]:
            return HdlcAddress(upper=high << 7 | low, lower=lower_high << 7 | lower_low, size=4)
        case _:
            raise CodecError(f"an address of {len(parts)} octets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame; `control` is the raw octet."""

    destination: HdlcAddress
    source: HdlcAddress
    control: int
    information: bytes = b""
    segmented: bool = False

    def encode(self) -> bytes:
        """Write the frame between its flags."""
        head = self.destination.encode() + self.source.encode() + bytes((self.control,))
        length = 2 + len(head) + _CHECK_OCTETS
        if self.information:
            length += len(self.information) + _CHECK_OCTETS
        if length > FRAME_OCTETS_MAX:
            raise InvalidValueError("frame", length, f"at most {FRAME_OCTETS_MAX} octets")
        form = _FORMAT | (_SEGMENTED if self.segmented else 0) | length
        octets = form.to_bytes(2, "big") + head
        if self.information:
            octets += check_sequence(octets) + self.information
        return _FLAG_OCTET + octets + check_sequence(octets) + _FLAG_OCTET


def check_sequence(octets: bytes) -> bytes:
    """Return the CRC-16/X-25 of `octets` as it travels."""
    return crc_x25(octets).to_bytes(_CHECK_OCTETS, "little")


def decode_frame(octets: bytes) -> Frame:
    """Read the octets between two flags; CodecError if anything in them does not fit."""
    if check_sequence(octets[:-_CHECK_OCTETS]) != octets[-_CHECK_OCTETS:]:
        raise CodecError("the frame check sequence does not fit")
    reader = Reader(octets[:-_CHECK_OCTETS])
    form = reader.uint(2)
    if form & _FORMAT_MASK != _FORMAT or form & _LENGTH_MASK != len(octets):
        raise CodecError(f"format {form:#06x} for {len(octets)} octets")
    destination, source, control = read_address(reader), read_address(reader), reader.octet()
    if reader.remaining:
        head = octets[: len(octets) - _CHECK_OCTETS - reader.remaining]
        if reader.take(_CHECK_OCTETS) != check_sequence(head):
            raise CodecError("the header check sequence does not fit")
    return Frame(
        destination=destination,
        source=source,
        control=control,
        information=reader.rest(),
        segmented=bool(form & _SEGMENTED),
    )


class FrameReader:
    """Finds frames in a stream, noise and all; what it keeps when all are taken is below a frame.

    A header is checked as soon as it is there: a length that noise made must not make us wait for
    octets that never come, and swallow the repetitions meanwhile.
    """

    def __init__(self, frame_octets_max: int = FRAME_OCTETS_MAX) -> None:
        self._frame_octets_max = frame_octets_max
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take octets, return the good frames among them."""
        self.receive_data(data)
        return list(iter(self.next_frame, None))

    def receive_data(self, data: bytes) -> None:
        """Keep octets; take the frames before the next."""
        if len(self._buffer) + len(data) > _BUFFER_OCTETS_MAX:
            raise LocalProtocolError("the frames before were not taken")
        self._buffer += data

    def next_frame(self) -> Frame | None:
        """Return the next good frame; None when more octets are needed."""
        while self._find_flag():
            length = self._length()
            if length is None:
                return None
            frame = self._decode(length)
            # The closing flag stays: it may open the next frame.
            del self._buffer[: length + 1 if frame else 1]
            if frame:
                return frame
        return None

    def clear(self) -> None:
        """Forget what has arrived of a frame."""
        self._buffer.clear()

    def _find_flag(self) -> bool:
        start = self._buffer.find(_FLAG)
        del self._buffer[: len(self._buffer) if start < 0 else start]
        return start >= 0

    def _length(self) -> int | None:
        """Return the length a frame here would have, 0 for none, None to wait for more."""
        if len(self._buffer) < 1 + 2:
            return None
        form = int.from_bytes(self._buffer[1:3], "big")
        length = form & _LENGTH_MASK
        fits = _FRAME_OCTETS_MIN <= length <= self._frame_octets_max
        if form & _FORMAT_MASK != _FORMAT or not fits:
            return 0
        if len(self._buffer) >= length + 2:
            return length
        return None if self._may_begin(length) else 0

    def _may_begin(self, length: int) -> bool:
        """Whether what is there of a header can be one of a frame of `length` octets."""
        reader = Reader(bytes(self._buffer[1 : 1 + _HEADER_OCTETS_MAX]))
        try:
            reader.take(2)
            destination, source = read_address(reader), read_address(reader)
            reader.take(1)
            head_octets = 3 + destination.size + source.size
            if length == head_octets + _CHECK_OCTETS:
                return True  # nothing behind the header, which so has no check of its own
            checked = bytes(self._buffer[1 : 1 + head_octets])
            return reader.take(_CHECK_OCTETS) == check_sequence(checked)
        except CodecError:
            return len(self._buffer) <= _HEADER_OCTETS_MAX

    def _decode(self, length: int) -> Frame | None:
        if length == 0 or self._buffer[length + 1] != _FLAG:
            return None
        try:
            return decode_frame(bytes(self._buffer[1 : length + 1]))
        except CodecError:
            return None
