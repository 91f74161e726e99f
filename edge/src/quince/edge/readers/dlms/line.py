"""How a session with a DLMS meter begins and ends: its line, its link, its association."""

from collections.abc import AsyncIterator, Container, MutableMapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from quince.edge.readers.dlms.dialogue import Heard, pass_over
from quince.edge.readers.dlms.login import Login
from quince.edge.readers.dlms.reader import DlmsReader
from quince.edge.readers.optical.session import Session
from quince.edge.transports import open_transport
from quince.model.errors import QuinceError
from quince.model.rng import Rng
from quince.protocols.dlms.apdu.initiate import PDU_OCTETS_MAX
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.session import MeterSession
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.links.hdlc_parameters import INFORMATION_OCTETS_DEFAULT, WINDOW_DEFAULT
from quince.protocols.dlms.links.link import Link
from quince.protocols.dlms.links.wrapper import DatagramWrapperLink, WrapperLink

# What one frame holds where TCP carries it; on a serial line noise makes long ones dear, and old
# meters stumble over a proposal, so there all stays at the default.
_INFORMATION_OCTETS_OVER_TCP = 1024
_STREAMS = ("tcp:", "hdlc+tcp:")
_PDU_OCTETS_ON_BAD_LINES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DlmsLine:
    """Where a meter is, and its addresses there.

    `tcp://…` and `udp://…` carry the wrapper; `hdlc+tcp://…`, `serial:…` and `optical:…` carry
    HDLC, which sends `window` frames in a row if the meter agrees. An optical head is signed on
    to first, by `optical_address` if several meters are behind it.
    """

    url: str
    client_sap: int
    server_sap: int
    physical_address: int | None = None
    address_octets: int | None = None
    window: int = WINDOW_DEFAULT
    optical_address: str = ""

    @property
    def is_optical(self) -> bool:
        """Whether the line has to be signed on to before HDLC is heard."""
        return self.url.startswith("optical:")

    @property
    def pdu_octets_max(self) -> int:
        """The largest APDU to ask for: all that TCP carries, so that the meter cuts as it likes.

        A datagram, and a line where noise makes long APDUs dear, want short ones.
        """
        return PDU_OCTETS_MAX if self.url.startswith(_STREAMS) else _PDU_OCTETS_ON_BAD_LINES

    def link(self) -> Link:
        """Return the client's end of the link; InvalidValueError if an address cannot be."""
        match self.url.partition(":")[0]:
            case "tcp":
                return WrapperLink(own_port=self.client_sap, peer_port=self.server_sap)
            case "udp":
                return DatagramWrapperLink(own_port=self.client_sap, peer_port=self.server_sap)
            case "hdlc+tcp":
                return self._hdlc_link(_INFORMATION_OCTETS_OVER_TCP)
            case _:
                return self._hdlc_link(INFORMATION_OCTETS_DEFAULT)

    def _hdlc_link(self, information_octets_max: int) -> HdlcLink:
        server = HdlcAddress(
            upper=self.server_sap, lower=self.physical_address, size=self.address_octets or 0
        )
        return HdlcLink(
            Role.CLIENT,
            client=HdlcAddress(upper=self.client_sap),
            server=server,
            information_octets_max=information_octets_max,
            window=self.window,
        )


@asynccontextmanager
async def open_dlms(  # noqa: PLR0913 - what a session stands on
    line: DlmsLine,
    *,
    meter_id: str,
    login: Login,
    utc_offset_min: int,
    rng: Rng,
    quirks: Container[str] = (),
    layouts: MutableMapping[str, str] | None = None,
    heard: Heard = pass_over,
) -> AsyncIterator[DlmsReader]:
    """Open an association with the meter on `line`; DlmsReader says what the rest is."""
    association = ClientAssociation(login.begin(), rng=rng, pdu_octets_max=line.pdu_octets_max)
    session = MeterSession(line.link(), association)
    transport = await open_transport(line.url)
    reader = DlmsReader(
        transport,
        session,
        meter_id=meter_id,
        utc_offset_min=utc_offset_min,
        quirks=quirks,
        layouts=layouts,
        keys=login.key_ring,
        heard=heard,
    )
    try:
        if line.is_optical:
            await Session(transport, line.optical_address).hand_over()
        await reader.associate()
        login.settle()
        yield reader
        with suppress(QuinceError):  # what was asked and told stands, whatever is said now
            await reader.release()
    except QuinceError as failure:
        login.heed(failure)
        raise
    finally:
        await transport.aclose()
