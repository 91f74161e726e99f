"""The few MQTT packets that measure a session: CONNECT, CONNACK, PINGREQ, PINGRESP.

Law: nothing that waits in the session is taken. What the broker sends meanwhile is passed over and
never acknowledged, so that it is sent again to the gateway it is for.
Source: MQTT 5.0, 2.1.4 (lengths), 3.1 and 3.2, from memory.
"""

from dataclasses import dataclass

from quince.model.errors import CodecError

PINGREQ = b"\xc0\x00"
CONNACK, PINGRESP = 2, 13
_VERSION_5 = 5
_USERNAME, _PASSWORD = 0x80, 0x40
_KEEPALIVE_S = 30
_SESSION_EXPIRY = 0x11
_LENGTH_OCTETS_MAX = 4
# A broker may have a week of commands waiting; none of them is needed here.
PACKET_OCTETS_MAX = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """Who greets; an existing session is kept for `session_expiry_s`."""

    client_id: str
    session_expiry_s: int
    username: str | None = None
    password: str | None = None

    def encode(self) -> bytes:
        """Return the CONNECT, without a will and without a clean start."""
        flags = (_USERNAME if self.username is not None else 0) | (
            _PASSWORD if self.password is not None else 0
        )
        properties = bytes((_SESSION_EXPIRY,)) + self.session_expiry_s.to_bytes(4, "big")
        body = _text("MQTT") + bytes((_VERSION_5, flags)) + _KEEPALIVE_S.to_bytes(2, "big")
        body += bytes((len(properties),)) + properties + _text(self.client_id)
        for text in (self.username, self.password):
            body += b"" if text is None else _text(text)
        return b"\x10" + _length(len(body)) + body


class PacketReader:
    """Gives the kind and the body of each packet."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive_data(self, octets: bytes) -> None:
        """Take what the line gave."""
        self._buffer += octets

    def next_packet(self) -> tuple[int, bytes] | None:
        """Return the next packet; None when more is needed, CodecError if it cannot be one."""
        length, begin = 0, 1
        for begin in range(1, len(self._buffer)):
            octet = self._buffer[begin]
            length |= (octet & 0x7F) << 7 * (begin - 1)
            if octet < 0x80:  # noqa: PLR2004 - the bit that announces another octet
                break
            if begin == _LENGTH_OCTETS_MAX:
                raise CodecError("a packet length of more than four octets")
        else:
            return None
        if length > PACKET_OCTETS_MAX:
            raise CodecError(f"a packet of {length} octets")
        end = begin + 1 + length
        if len(self._buffer) < end:
            return None
        kind, body = self._buffer[0] >> 4, bytes(self._buffer[begin + 1 : end])
        del self._buffer[:end]
        return kind, body


def reason_of(connack: bytes) -> int:
    """Return the reason code of a CONNACK's body: 0 is welcome, from 0x80 on a refusal."""
    if len(connack) < 2:  # noqa: PLR2004 - flags and reason
        raise CodecError("a CONNACK that is cut short")
    return connack[1]


def _text(text: str) -> bytes:
    octets = text.encode()
    return len(octets).to_bytes(2, "big") + octets


def _length(number: int) -> bytes:
    octets = bytearray()
    while True:
        number, seven = number >> 7, number & 0x7F
        octets.append(seven | (0x80 if number else 0))
        if not number:
            return bytes(octets)
