"""The wrapper of DLMS over TCP and UDP: eight octets that name two ports and a length."""

import struct

from quince.model.errors import CodecError, LocalProtocolError
from quince.protocols.dlms.links.link import ApduReceived, Link, LinkEvent

MANAGEMENT_LOGICAL_DEVICE = 1
_HEADER = struct.Struct(">HHHH")
HEADER_OCTETS = _HEADER.size
_VERSION = 1
# What the length field can say.
_APDU_OCTETS_MAX = 0xFFFF
# Two whole APDUs: what waits here was not taken, which is a driver's mistake.
_BUFFER_OCTETS_MAX = 2 * (HEADER_OCTETS + _APDU_OCTETS_MAX)


class WrapperLink(Link):
    """One side of a wrapper link over a stream.

    `own_port` and `peer_port` are wrapper ports (client 16 is the public one, server 1 the
    management device). None takes the port from the first APDU that arrives, as a server or a
    listener does; every later APDU must name the same ones. A wrong header raises CodecError:
    behind it a stream is lost.
    """

    def __init__(self, *, own_port: int | None = None, peer_port: int | None = None) -> None:
        self._own_port = own_port
        self._peer_port = peer_port
        self._buffer = bytearray()

    @property
    def is_connected(self) -> bool:
        """Whether APDUs may be sent: a wrapper has no handshake."""
        return self._own_port is not None and self._peer_port is not None

    def connect(self) -> bytes:
        """Return nothing: TCP has connected."""
        return b""

    def send(self, apdu: bytes) -> bytes:
        """Return `apdu` behind its header."""
        if self._own_port is None or self._peer_port is None:
            raise LocalProtocolError("the other side's port is not known yet")
        if len(apdu) > _APDU_OCTETS_MAX:
            raise LocalProtocolError(f"an APDU of {len(apdu)} octets")
        return _HEADER.pack(_VERSION, self._own_port, self._peer_port, len(apdu)) + apdu

    def receive_data(self, data: bytes) -> None:
        """Keep octets of the stream."""
        if len(self._buffer) + len(data) > _BUFFER_OCTETS_MAX:
            raise LocalProtocolError("the events before were not taken")
        self._buffer += data

    def next_event(self) -> LinkEvent | None:
        """Return the next whole APDU; CodecError if a header is wrong."""
        apdu = self._take()
        return None if apdu is None else ApduReceived(apdu=apdu)

    def retransmit(self) -> bytes:
        """Return nothing: TCP retransmits."""
        return b""

    def keep_alive(self) -> bytes:
        """Return nothing: TCP has its own."""
        return b""

    def expire(self) -> None:
        """Do nothing: a wrapper link lasts as long as its socket."""

    def disconnect(self) -> bytes:
        """Return nothing: closing the socket closes the link."""
        return b""

    def _take(self) -> bytes | None:
        if len(self._buffer) < HEADER_OCTETS:
            return None
        end = HEADER_OCTETS + self._announced_octets()
        if len(self._buffer) < end:
            return None
        apdu = bytes(self._buffer[HEADER_OCTETS:end])
        del self._buffer[:end]
        return apdu

    def _announced_octets(self) -> int:
        version, source, destination, length = _HEADER.unpack_from(self._buffer)
        if version != _VERSION or length == 0:
            raise CodecError(f"a wrapper of version {version} for {length} octets")
        expected = self._peer_port or source, self._own_port or destination
        if (source, destination) != expected:
            raise CodecError(f"wrapper ports {source} to {destination}")
        self._peer_port, self._own_port = expected
        return int(length)


class DatagramWrapperLink(WrapperLink):
    """One side of a wrapper link over UDP; `receive_data` takes one datagram at a time.

    A datagram holds one APDU, several, or a part of one whose rest follows in the next. What does
    not fit is dropped with its datagram, and nothing else is. A lost datagram is not sent again
    here: an APDU under protection must not travel twice under one counter, and a plain request
    repeated by the network would be acted on twice. The visit is repeated instead.
    """

    def receive_data(self, data: bytes) -> None:
        """Keep one datagram, behind the part of an APDU that waits for its rest, if any."""
        if self._begins(data):
            self._buffer.clear()  # what waited has lost its rest
        if len(self._buffer) + len(data) > _BUFFER_OCTETS_MAX:
            raise LocalProtocolError("the events before were not taken")
        self._buffer += data

    def next_event(self) -> LinkEvent | None:
        """Return the next whole APDU; what is wrong is forgotten with its datagram."""
        try:
            return super().next_event()
        except CodecError:
            self._buffer.clear()
            return None

    def _begins(self, data: bytes) -> bool:
        if len(data) < HEADER_OCTETS:
            return False
        version, source, destination, length = _HEADER.unpack_from(data)
        ports = self._peer_port or source, self._own_port or destination
        return bool(version == _VERSION and length and (source, destination) == ports)
