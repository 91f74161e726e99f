"""What two HDLC stations agree on when they connect: frame sizes and windows, the smaller of both.

Tags and the defaults are IEC 62056-46's, from memory; the layout agrees with captured UA frames.
"""

from dataclasses import dataclass

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.encoding.ber import decode_fields, encode_field
from quince.protocols.dlms.encoding.reader import Reader, sized
from quince.protocols.dlms.links.hdlc_frame import FRAME_OCTETS_MAX, OVERHEAD_OCTETS_MAX

# What both sides receive until they have agreed otherwise.
INFORMATION_OCTETS_DEFAULT = 128
WINDOW_DEFAULT = 1
INFORMATION_OCTETS_MAX = FRAME_OCTETS_MAX - OVERHEAD_OCTETS_MAX
# Less would hardly hold the parameters themselves.
INFORMATION_OCTETS_MIN = 16
# Frames count modulo 8: with more than 7 on their way, a new one looks like an old one.
WINDOW_MAX = 7

_FORMAT_AND_GROUP = bytes.fromhex("8180")
_SEND_OCTETS, _RECEIVE_OCTETS, _SEND_WINDOW, _RECEIVE_WINDOW = 5, 6, 7, 8
_ONE_OCTET_MAX = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """One station's view: how much it sends in a frame and in a row, and how much it receives."""

    send_octets: int = INFORMATION_OCTETS_DEFAULT
    receive_octets: int = INFORMATION_OCTETS_DEFAULT
    send_window: int = WINDOW_DEFAULT
    receive_window: int = WINDOW_DEFAULT

    def __post_init__(self) -> None:
        for name in ("send_octets", "receive_octets"):
            octets = getattr(self, name)
            if not INFORMATION_OCTETS_MIN <= octets <= INFORMATION_OCTETS_MAX:
                bounds = f"{INFORMATION_OCTETS_MIN}..{INFORMATION_OCTETS_MAX}"
                raise InvalidValueError(f"hdlc.{name}", octets, bounds)
        for name in ("send_window", "receive_window"):
            window = getattr(self, name)
            if not 1 <= window <= WINDOW_MAX:
                raise InvalidValueError(f"hdlc.{name}", window, f"1..{WINDOW_MAX}")

    def agreed_with(self, peer: "Parameters") -> "Parameters":
        """Return what holds between us: what we send, they receive, and the other way round."""
        return Parameters(
            send_octets=min(self.send_octets, peer.receive_octets),
            receive_octets=min(self.receive_octets, peer.send_octets),
            send_window=min(self.send_window, peer.receive_window),
            receive_window=min(self.receive_window, peer.send_window),
        )

    def propose(self) -> bytes:
        """Write what a SNRM carries: nothing where all is as it is without."""
        return b"" if self == Parameters() else self.encode()

    def encode(self) -> bytes:
        """Write the information field of a SNRM or UA."""
        fields = b""
        for tag, octets in (
            (_SEND_OCTETS, self.send_octets),
            (_RECEIVE_OCTETS, self.receive_octets),
        ):
            fields += encode_field(tag, octets.to_bytes(1 + (octets > _ONE_OCTET_MAX), "big"))
        for tag, window in (
            (_SEND_WINDOW, self.send_window),
            (_RECEIVE_WINDOW, self.receive_window),
        ):
            fields += encode_field(tag, window.to_bytes(4, "big"))
        return _FORMAT_AND_GROUP + sized(fields)


def decode_parameters(information: bytes) -> Parameters:
    """Read the information field of a SNRM or UA; the default where it is silent.

    A peer that sends or receives more than a frame can hold means as much as it can.
    """
    if not information:
        return Parameters()
    reader = Reader(information)
    if reader.take(len(_FORMAT_AND_GROUP)) != _FORMAT_AND_GROUP:
        raise CodecError(f"parameters {information.hex()}")
    fields = decode_fields(reader.sized())
    reader.finish("parameters")
    octets, window = INFORMATION_OCTETS_DEFAULT, WINDOW_DEFAULT
    try:
        return Parameters(
            send_octets=min(_number(fields, _SEND_OCTETS, octets), INFORMATION_OCTETS_MAX),
            receive_octets=min(_number(fields, _RECEIVE_OCTETS, octets), INFORMATION_OCTETS_MAX),
            send_window=_number(fields, _SEND_WINDOW, window),
            receive_window=_number(fields, _RECEIVE_WINDOW, window),
        )
    except InvalidValueError as error:
        raise CodecError(str(error)) from error


def _number(fields: dict[int, bytes], tag: int, default: int) -> int:
    return int.from_bytes(fields[tag], "big") if tag in fields else default
