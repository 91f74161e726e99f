"""How a session with a DLMS meter begins and ends: its line, its link, and who we say we are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from quince.edge.errors import TransportError
from quince.edge.readers.counters import CounterStore, key_id
from quince.edge.readers.dlms import DlmsReader
from quince.edge.transports import open_transport
from quince.model.errors import RemoteProtocolError
from quince.model.rng import Rng
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.session import MeterSession
from quince.protocols.dlms.association.states import Authentication, Password
from quince.protocols.dlms.errors import ServiceRefusedError
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.links.link import Link
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.protection import Gmac
from quince.protocols.dlms.security.suite import Keys

log = structlog.get_logger()

HDLC_SCHEME = "hdlc+tcp://"


class Authenticate(Protocol):
    """How a session proves who we are."""

    def begin(self) -> Authentication:
        """Return what one session needs."""
        ...

    def heed(self, refusal: ServiceRefusedError) -> None:
        """Take what a refused session taught."""
        ...


@dataclass(frozen=True, slots=True)
class WithPassword:
    """Low-level security: the same password every time."""

    password: Password

    def begin(self) -> Authentication:
        """Return the password."""
        return self.password

    def heed(self, refusal: ServiceRefusedError) -> None:
        """Learn nothing: a password does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithGmac:
    """High-level security: the keys, and counters of its own for each session."""

    counters: CounterStore
    system_title: bytes
    keys: Keys

    def begin(self) -> Authentication:
        """Return the keys with a fresh block of counters."""
        counters = self.counters.of(self._key_id)
        return Gmac(system_title=self.system_title, keys=self.keys, counters=counters)

    def heed(self, refusal: ServiceRefusedError) -> None:
        """Go on from the counter the meter expects: ours were lost, or another gateway's."""
        expected = refusal.expected_counter
        if expected is not None and self.counters.catch_up(self._key_id, expected):
            log.warning("invocation_counter_caught_up", expected=expected)

    @property
    def _key_id(self) -> bytes:
        return key_id(self.system_title, self.keys.encryption)


@dataclass(frozen=True, slots=True, kw_only=True)
class DlmsLine:
    """Where a meter is: `tcp://…` (wrapper) or `hdlc+tcp://…`, and its addresses there."""

    url: str
    client_sap: int
    server_sap: int
    physical_address: int | None = None
    address_octets: int | None = None

    def link(self) -> Link:
        """Return the client's end of the link; InvalidValueError if an address cannot be."""
        if not self.url.startswith(HDLC_SCHEME):
            return WrapperLink(own_port=self.client_sap, peer_port=self.server_sap)
        server = HdlcAddress(
            upper=self.server_sap, lower=self.physical_address, size=self.address_octets or 0
        )
        return HdlcLink(
            Role.CLIENT,
            client=HdlcAddress(upper=self.client_sap),
            server=server,
            information_octets_max=1024,
        )


@asynccontextmanager
async def open_dlms(
    line: DlmsLine, *, meter_id: str, authenticate: Authenticate, utc_offset_min: int, rng: Rng
) -> AsyncIterator[DlmsReader]:
    """Open an association with the meter on `line`."""
    link = line.link()
    transport = await open_transport(line.url.replace(HDLC_SCHEME, "tcp://", 1))
    session = MeterSession(link, ClientAssociation(authenticate.begin(), rng=rng))
    reader = DlmsReader(transport, session, meter_id=meter_id, utc_offset_min=utc_offset_min)
    try:
        await reader.associate()
        yield reader
        with suppress(TransportError, RemoteProtocolError):
            await reader.release()
    except ServiceRefusedError as refusal:
        authenticate.heed(refusal)
        raise
    finally:
        await transport.aclose()
