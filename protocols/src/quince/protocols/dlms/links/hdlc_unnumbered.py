"""UI frames: APDUs that nobody asked for and nobody acknowledges, from meters that push."""

from quince.protocols.dlms.links.hdlc_control import UI, unnumbered_kind
from quince.protocols.dlms.links.hdlc_frame import Frame, FrameReader, HdlcAddress

# By whether it is a command, so sent by the client.
LLC = {True: bytes.fromhex("e6e600"), False: bytes.fromhex("e6e700")}
_LLC_OCTETS = 3
# A consumer's port pushes some hundred octets; what is longer than the wrapper's field is noise.
_OCTETS_MAX = 0xFFFF


class UnnumberedAssembly:
    """Puts the segments of UI frames together, of one sender at a time."""

    def __init__(self) -> None:
        self._source: HdlcAddress | None = None
        self._octets = b""

    def take(self, frame: Frame) -> bytes | None:
        """Return the APDU that `frame` completes; None if more is to come, or it is none."""
        octets = frame.information
        if frame.source == self._source:
            octets = self._octets + octets
        self._source, self._octets = None, b""
        if len(octets) > _OCTETS_MAX:
            return None
        if frame.segmented:
            self._source, self._octets = frame.source, octets
            return None
        return octets[_LLC_OCTETS:] if octets[:_LLC_OCTETS] in LLC.values() else None


class UnnumberedListener:
    """Hears the UI frames of anybody in a stream: a head-end's ear, or a consumer's port."""

    def __init__(self) -> None:
        self._reader = FrameReader()
        self._assembly = UnnumberedAssembly()

    def receive_data(self, data: bytes) -> None:
        """Keep octets; take the APDUs before the next."""
        self._reader.receive_data(data)

    def next_apdu(self) -> bytes | None:
        """Return the next whole APDU; None when more octets are needed."""
        while (frame := self._reader.next_frame()) is not None:
            if unnumbered_kind(frame.control) != UI:
                continue
            if (apdu := self._assembly.take(frame)) is not None:
                return apdu
        return None
