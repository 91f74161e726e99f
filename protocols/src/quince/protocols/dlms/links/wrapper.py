"""The wrapper of DLMS over TCP and UDP: eight octets that name two ports and a length."""

import struct

from quince.model.errors import CodecError, LocalProtocolError
from quince.protocols.dlms.links.link import ApduReceived, LinkEvent

MANAGEMENT_LOGICAL_DEVICE = 1
PUBLIC_CLIENT = 16
_HEADER = struct.Struct(">HHHH")
_VERSION = 1
# What the length field can say.
_APDU_OCTETS_MAX = 0xFFFF


class WrapperLink:
    """One side of a wrapper link, over a stream or over whole datagrams.

    `own_port` and `peer_port` are wrapper ports (client 16 is the public one, server 1 the
    management device). None takes the port from the first APDU that arrives, as a server or a
    listener does; every later APDU must name the same ones.
    """

    def __init__(self, *, own_port: int | None = None, peer_port: int | None = None) -> None:
        self._own_port = own_port
        self._peer_port = peer_port
        # No more than one header and one APDU stay here.
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

    def receive(self, data: bytes) -> list[LinkEvent]:
        """Take octets; CodecError, behind which a stream is lost, if a header is wrong.

        Whole APDUs before the wrong header are given first: the error comes with the next call.
        """
        self._buffer += data
        events: list[LinkEvent] = []
        try:
            while (apdu := self._take()) is not None:
                events.append(ApduReceived(apdu=apdu))
        except CodecError:
            if not events:
                raise
        return events

    def retransmit(self) -> bytes:
        """Return nothing: TCP retransmits."""
        return b""

    def disconnect(self) -> bytes:
        """Return nothing: closing the socket closes the link."""
        return b""

    def _take(self) -> bytes | None:
        if len(self._buffer) < _HEADER.size:
            return None
        version, source, destination, length = _HEADER.unpack_from(self._buffer)
        if version != _VERSION or length == 0:
            raise CodecError(f"a wrapper of version {version} for {length} octets")
        self._check_ports(source, destination)
        end = _HEADER.size + length
        if len(self._buffer) < end:
            return None
        apdu = bytes(self._buffer[_HEADER.size : end])
        del self._buffer[:end]
        return apdu

    def _check_ports(self, source: int, destination: int) -> None:
        if self._own_port is None:
            self._own_port = destination
        if self._peer_port is None:
            self._peer_port = source
        if (source, destination) != (self._peer_port, self._own_port):
            raise CodecError(f"wrapper ports {source} to {destination}")
