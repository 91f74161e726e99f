"""From a pusher's octets to APDUs: wrapper, HDLC, or nothing around them, whole or in blocks."""

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.block_transfer import GENERAL_BLOCK_TRANSFER, read_general_block
from quince.protocols.dlms.association.general_blocks import BlockTransfer
from quince.protocols.dlms.encoding.reader import Reader
from quince.protocols.dlms.links.hdlc_unnumbered import UnnumberedListener
from quince.protocols.dlms.links.link import ApduReceived
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.envelopes import decode_envelope

# A push is 60 octets, a list with protection some hundreds: few fit, so that nobody floods.
PUSHED_OCTETS_MAX = 4096
# How often an APDU with nothing around it is tried as it grows; then it has to end by itself.
_TRIES_MAX = 16
_HDLC, _WRAPPER = b"\x7e", b"\x00"


class PushStream:
    """The octets of one connection; what is around the APDUs is seen by the first."""

    def __init__(self) -> None:
        self._octets = 0
        self._first = b""
        self._wrapper = WrapperLink()
        self._hdlc = UnnumberedListener()
        self._bare = b""
        self._tries = 0

    def receive_data(self, data: bytes) -> None:
        """Keep octets; CodecError beyond PUSHED_OCTETS_MAX."""
        self._octets += len(data)
        if self._octets > PUSHED_OCTETS_MAX:
            raise CodecError(f"more than {PUSHED_OCTETS_MAX} octets in one connection")
        self._first = self._first or data[:1]
        if self._first == _WRAPPER:
            self._wrapper.receive_data(data)
        elif self._first == _HDLC:
            self._hdlc.receive_data(data)
        else:
            self._bare += data
            self._tries += 1

    def next_apdu(self) -> bytes | None:
        """Return the next whole APDU; CodecError behind which the stream is lost."""
        if self._first == _WRAPPER:
            event = self._wrapper.next_event()
            return event.apdu if isinstance(event, ApduReceived) else None
        if self._first == _HDLC:
            return self._hdlc.next_apdu()
        if self._bare and self._tries <= _TRIES_MAX and _is_whole(self._bare):
            return self.rest()
        return None

    def rest(self) -> bytes:
        """Return what had nothing around it and was not taken yet: its end was the stream's."""
        rest, self._bare = self._bare, b""
        return rest


def datagram_apdus(datagram: bytes) -> list[bytes]:
    """Return the APDUs of one datagram; CodecError if it begins with a wrapper and is none."""
    if datagram[:1] != _WRAPPER:
        return [datagram]
    events = WrapperLink().receive(datagram)
    if not events:
        raise CodecError("a wrapper without its APDU")
    return [event.apdu for event in events if isinstance(event, ApduReceived)]


def _is_whole(octets: bytes) -> bool:
    try:
        return decode_envelope(octets) is not None or decode_apdu(octets) is not None
    except CodecError:
        return False


class Joiner:
    """Puts one pusher's general blocks together; APDUs that come whole pass through."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._transfer = BlockTransfer(pdu_octets_max=PUSHED_OCTETS_MAX, window=0)
        self._octets = 0

    def join(self, apdu: bytes) -> bytes | None:
        """Return the APDU that `apdu` is, or completes; CodecError if it grows beyond all pushes.

        Blocks are not acknowledged: a meter that pushes does not wait.
        """
        if apdu[:1] != bytes((GENERAL_BLOCK_TRANSFER,)):
            return apdu
        reader = Reader(apdu[1:])
        block = read_general_block(reader)
        reader.finish("block")
        if block.number == 1:  # what was not completed before must not be completed by this one
            self._begin()
        self._octets += len(apdu)
        if self._octets > PUSHED_OCTETS_MAX:
            raise CodecError(f"more than {PUSHED_OCTETS_MAX} octets in blocks")
        joined = self._transfer.receive(block).apdu
        if joined is not None:
            self._begin()  # the next push counts its blocks from the start
        return joined
