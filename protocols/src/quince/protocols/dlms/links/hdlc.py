"""The HDLC link of DLMS over serial lines, optical heads and TCP: client and server in one.

Window 1: one frame is on its way at a time, and the peer's next frame acknowledges it. The
client (primary) opens, polls and repeats; the server (secondary) answers, and repeats its answer
when the client repeats its frame.
"""

from collections import deque
from enum import Enum, auto

from quince.model.errors import (
    CodecError,
    InvalidValueError,
    LocalProtocolError,
    RemoteProtocolError,
)
from quince.protocols.dlms.encoding.ber import decode_fields, encode_field
from quince.protocols.dlms.encoding.reader import Reader, sized
from quince.protocols.dlms.links.hdlc_frame import (
    FRAME_OCTETS_MAX,
    OVERHEAD_OCTETS_MAX,
    Frame,
    FrameReader,
    HdlcAddress,
)
from quince.protocols.dlms.links.link import (
    ApduReceived,
    Connected,
    Disconnected,
    LinkEvent,
    Transmit,
)

# What both sides receive until they have agreed otherwise.
INFORMATION_OCTETS_DEFAULT = 128
INFORMATION_OCTETS_MAX = FRAME_OCTETS_MAX - OVERHEAD_OCTETS_MAX
# Less would hardly hold the parameters themselves.
_INFORMATION_OCTETS_MIN = 16
# As much as the wrapper link carries; a meter's blocks are far smaller.
_APDU_OCTETS_MAX = 0xFFFF
# Repetitions of one frame before the line counts as dead.
RETRANSMISSIONS_MAX = 3

_SNRM, _UA, _DISC, _DM = 0x83, 0x63, 0x43, 0x0F
_POLL = 0x10
_UNNUMBERED = 0x03
_RECEIVE_READY, _SUPERVISORY_MASK = 0x01, 0x0F
_SEQUENCE = 8
# By whether it is a command, so sent by the client.
_LLC = {True: bytes.fromhex("e6e600"), False: bytes.fromhex("e6e700")}
_PARAMETERS = bytes.fromhex("8180")
_SEND_OCTETS, _RECEIVE_OCTETS, _SEND_WINDOW, _RECEIVE_WINDOW = 5, 6, 7, 8


class Role(Enum):
    """Who opens the link and polls."""

    CLIENT = auto()
    SERVER = auto()


class _State(Enum):
    DISCONNECTED = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    DISCONNECTING = auto()


class HdlcLink:
    """One side of an HDLC link. A server learns its client's address from the SNRM.

    `information_octets_max` is what this side sends and receives in one frame; the two sides
    agree on the smaller. Frames that do not verify, or are for others, are passed over: the
    client repeats (`retransmit`) when no answer comes.
    """

    def __init__(
        self,
        role: Role,
        *,
        server: HdlcAddress,
        client: HdlcAddress | None = None,
        information_octets_max: int = INFORMATION_OCTETS_DEFAULT,
    ) -> None:
        if role is Role.CLIENT and client is None:
            raise InvalidValueError("hdlc.client", client, "a client knows its own address")
        if not _INFORMATION_OCTETS_MIN <= information_octets_max <= INFORMATION_OCTETS_MAX:
            raise InvalidValueError(
                "information_octets_max",
                information_octets_max,
                f"{_INFORMATION_OCTETS_MIN}..{INFORMATION_OCTETS_MAX}",
            )
        self._role = role
        self._server, self._client = server, client
        self._octets_max = information_octets_max
        frame_octets_max = max(information_octets_max, INFORMATION_OCTETS_DEFAULT)
        self._reader = FrameReader(frame_octets_max + OVERHEAD_OCTETS_MAX)
        self._state = _State.DISCONNECTED
        self._send_octets = INFORMATION_OCTETS_DEFAULT
        self._reset()

    def _reset(self) -> None:
        self._next_sent = self._next_received = 0
        self._segments: deque[bytes] = deque()
        self._assembly = bytearray()
        self._last = b""
        self._repetitions = 0

    @property
    def is_connected(self) -> bool:
        """Whether APDUs may be sent."""
        return self._state is _State.CONNECTED

    # -- what leaves ---------------------------------------------------------------------

    def connect(self) -> bytes:
        """Return the SNRM, with our parameters if they are not the default."""
        self._reset()
        self._state = _State.CONNECTING
        proposal = b""
        if self._octets_max != INFORMATION_OCTETS_DEFAULT:
            proposal = _encode_parameters(self._octets_max, self._octets_max)
        return self._remember(self._frame(_SNRM | _POLL, proposal))

    def send(self, apdu: bytes) -> bytes:
        """Return the first frame of `apdu`; the others follow the peer's acknowledgements."""
        if self._state is not _State.CONNECTED or self._segments:
            raise LocalProtocolError("the link is not connected, or still sending")
        octets = _LLC[self._role is Role.CLIENT] + apdu
        size = self._send_octets
        self._segments.extend(octets[i : i + size] for i in range(0, len(octets), size))
        return self._next_segment()

    def retransmit(self) -> bytes:
        """Return the last frame again; RemoteProtocolError when that was tried enough."""
        if self._repetitions == RETRANSMISSIONS_MAX:
            raise RemoteProtocolError(f"no answer to {RETRANSMISSIONS_MAX} repetitions")
        self._repetitions += 1
        # What began in noise, with a length that noise made, must not swallow the repetition.
        self._reader.clear()
        return self._last

    def disconnect(self) -> bytes:
        """Return the DISC, or nothing if the link is down already."""
        if self._state is _State.DISCONNECTED:
            return b""
        self._reset()
        self._state = _State.DISCONNECTING
        return self._remember(self._frame(_DISC | _POLL))

    def _next_segment(self) -> bytes:
        information = self._segments.popleft()
        control = self._next_received << 5 | _POLL | self._next_sent << 1
        self._next_sent = (self._next_sent + 1) % _SEQUENCE
        return self._remember(self._frame(control, information, segmented=bool(self._segments)))

    def _acknowledge(self) -> bytes:
        return self._remember(self._frame(self._next_received << 5 | _POLL | _RECEIVE_READY))

    def _frame(self, control: int, information: bytes = b"", *, segmented: bool = False) -> bytes:
        if self._client is None:
            raise LocalProtocolError("no client has connected")
        ends = (self._server, self._client)
        destination, source = ends if self._role is Role.CLIENT else ends[::-1]
        return Frame(
            destination=destination,
            source=source,
            control=control,
            information=information,
            segmented=segmented,
        ).encode()

    def _remember(self, frame: bytes) -> bytes:
        self._last = frame
        return frame

    # -- what arrives --------------------------------------------------------------------

    def receive(self, data: bytes) -> list[LinkEvent]:
        """Take octets; RemoteProtocolError if the peer's counting and ours differ."""
        return [event for frame in self._reader.feed(data) for event in self._on_frame(frame)]

    def _on_frame(self, frame: Frame) -> list[LinkEvent]:
        if not self._is_for_us(frame):
            return []
        if self._role is Role.SERVER and frame.control & ~_POLL == _SNRM:
            return self._on_snrm(frame)
        if self._role is Role.SERVER and self._state is not _State.CONNECTED:
            return self._on_stranger(frame)
        if frame.control & _UNNUMBERED == _UNNUMBERED:
            return self._on_unnumbered(frame)
        return self._on_numbered(frame) if self._state is _State.CONNECTED else []

    def _is_for_us(self, frame: Frame) -> bool:
        if self._role is Role.CLIENT:
            return (frame.destination, frame.source) == (self._client, self._server)
        mine = frame.destination == self._server
        return mine and (self._state is not _State.CONNECTED or frame.source == self._client)

    def _on_unnumbered(self, frame: Frame) -> list[LinkEvent]:
        control = frame.control & ~_POLL
        if control == _DISC:
            return self._on_disc()
        if control == _UA:
            return self._on_ua(frame)
        if control == _DM:
            self._state = _State.DISCONNECTED
            return [Disconnected()]
        raise RemoteProtocolError(f"control {frame.control:#04x} is not spoken here")

    def _on_numbered(self, frame: Frame) -> list[LinkEvent]:
        if not frame.control & 1:
            return self._on_information(frame)
        if frame.control & _SUPERVISORY_MASK == _RECEIVE_READY:
            return self._on_receive_ready(frame.control >> 5)
        raise RemoteProtocolError(f"control {frame.control:#04x} is not spoken here")

    def _on_snrm(self, frame: Frame) -> list[LinkEvent]:
        self._reset()
        self._server, self._client = frame.destination, frame.source
        they_send, they_receive = _decode_parameters(frame.information)
        self._send_octets = min(self._octets_max, they_receive)
        self._state = _State.CONNECTED
        agreed = _encode_parameters(self._send_octets, min(self._octets_max, they_send))
        return [Transmit(octets=self._remember(self._frame(_UA | _POLL, agreed))), Connected()]

    def _on_stranger(self, frame: Frame) -> list[LinkEvent]:
        """Tell a client that never connected, or whom we forgot, that we are disconnected."""
        self._client = frame.source
        return [Transmit(octets=self._frame(_DM | _POLL))]

    def _on_disc(self) -> list[LinkEvent]:
        self._state = _State.DISCONNECTED
        return [Transmit(octets=self._frame(_UA | _POLL)), Disconnected()]

    def _on_ua(self, frame: Frame) -> list[LinkEvent]:
        if self._state is _State.DISCONNECTING:
            self._state = _State.DISCONNECTED
            return [Disconnected()]
        if self._state is not _State.CONNECTING:
            return []
        _they_send, they_receive = _decode_parameters(frame.information)
        self._send_octets = min(self._octets_max, they_receive)
        self._state, self._repetitions = _State.CONNECTED, 0
        return [Connected()]

    def _on_information(self, frame: Frame) -> list[LinkEvent]:
        number, acknowledged = frame.control >> 1 & 7, frame.control >> 5
        if (number + 1) % _SEQUENCE == self._next_received:
            return self._on_duplicate()
        if number != self._next_received or acknowledged != self._next_sent or self._segments:
            raise RemoteProtocolError(f"frame {number} acknowledging {acknowledged}")
        self._next_received = (number + 1) % _SEQUENCE
        self._repetitions = 0
        self._assembly += frame.information
        if len(self._assembly) > _APDU_OCTETS_MAX:
            raise RemoteProtocolError(f"an APDU of more than {_APDU_OCTETS_MAX} octets")
        if frame.segmented:
            return [Transmit(octets=self._acknowledge())]
        octets, self._assembly = bytes(self._assembly), bytearray()
        header = _LLC[self._role is Role.SERVER]
        if not octets.startswith(header):
            raise CodecError(f"LLC header {octets[:3].hex()}")
        return [ApduReceived(apdu=octets[len(header) :])]

    def _on_duplicate(self) -> list[LinkEvent]:
        """Answer a repeated frame as before; a client has its answer and lets it pass."""
        if self._role is Role.CLIENT or not self._last:
            return []
        return [Transmit(octets=self._last)]

    def _on_receive_ready(self, acknowledged: int) -> list[LinkEvent]:
        if (acknowledged + 1) % _SEQUENCE == self._next_sent:
            return [Transmit(octets=self.retransmit())]
        if acknowledged != self._next_sent:
            raise RemoteProtocolError(f"acknowledges {acknowledged}, {self._next_sent} is next")
        if self._segments:
            self._repetitions = 0
            return [Transmit(octets=self._next_segment())]
        if self._role is Role.SERVER:
            return [Transmit(octets=self._frame(self._next_received << 5 | _POLL | _RECEIVE_READY))]
        return []


def _encode_parameters(send_octets: int, receive_octets: int) -> bytes:
    fields = b""
    for tag, octets in ((_SEND_OCTETS, send_octets), (_RECEIVE_OCTETS, receive_octets)):
        fields += encode_field(tag, octets.to_bytes(1 if octets < 256 else 2, "big"))  # noqa: PLR2004 - one octet holds it
    for tag in (_SEND_WINDOW, _RECEIVE_WINDOW):
        fields += encode_field(tag, (1).to_bytes(4, "big"))
    return _PARAMETERS + sized(fields)


def _decode_parameters(information: bytes) -> tuple[int, int]:
    """Return how much the peer sends and receives in a frame; the default where it is silent."""
    fields: dict[int, bytes] = {}
    if information:
        reader = Reader(information)
        if reader.take(len(_PARAMETERS)) != _PARAMETERS:
            raise CodecError(f"parameters {information.hex()}")
        fields = decode_fields(reader.sized())
        reader.finish("parameters")
    default = INFORMATION_OCTETS_DEFAULT.to_bytes(1, "big")
    sends, receives = (
        int.from_bytes(fields.get(tag, default), "big") for tag in (_SEND_OCTETS, _RECEIVE_OCTETS)
    )
    if min(sends, receives) < _INFORMATION_OCTETS_MIN:
        raise CodecError(f"frames of {min(sends, receives)} octets")
    return sends, receives
