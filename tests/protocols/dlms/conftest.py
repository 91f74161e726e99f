"""A client and a meter joined in memory, and the meter's shelf of objects."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import pytest

from quince.model.errors import RemoteProtocolError
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.session import MeterSession, ServerSession, SessionEvent
from quince.protocols.dlms.association.states import Associated, Reply
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.links.link import Link
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Authentication, Gmac, NoSecurity, Password
from quince.protocols.dlms.security.suite import Keys

E = TypeVar("E", bound=SessionEvent)
KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(0xD0, 0xE0)))


@dataclass
class Shelf:
    """Attributes by reference; it remembers what was asked of it."""

    attributes: dict[Ref, Data] = field(default_factory=dict)
    selections: list[Access | None] = field(default_factory=list)

    def get(self, ref: Ref, access: Access | None) -> Data | AccessResult:
        self.selections.append(access)
        return self.attributes.get(ref, AccessResult.OBJECT_UNDEFINED)

    def set(self, ref: Ref, data: Data) -> AccessResult:
        self.attributes[ref] = data
        return AccessResult.SUCCESS

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        return AccessResult.SUCCESS, self.attributes.get(ref, data)


def authentication(name: str, title: bytes, keys: Keys = KEYS) -> Authentication:
    """Return one side's security by its name."""
    if name == "gmac":
        return Gmac(system_title=title, keys=keys, counters=MemoryCounters())
    return Password(secret=b"12345678") if name == "password" else NoSecurity()


def links(name: str) -> tuple[Link, Link]:
    """Return a client's and a server's link by their name."""
    if name == "wrapper":
        return WrapperLink(own_port=16, peer_port=1), WrapperLink(own_port=1)
    server, client = HdlcAddress(upper=1, lower=17), HdlcAddress(upper=16)
    octets_max = 1024 if name == "hdlc-1024" else 128
    return (
        HdlcLink(Role.CLIENT, server=server, client=client, information_octets_max=octets_max),
        HdlcLink(Role.SERVER, server=server, information_octets_max=octets_max),
    )


class Line:
    """A session and a meter; `sent` and `answered` keep what went each way."""

    def __init__(self, link: str, mine: Authentication, theirs: Authentication) -> None:
        client_link, server_link = links(link)
        self.shelf = Shelf()
        self.session = MeterSession(client_link, ClientAssociation(mine, rng=Random(1)))
        self._server = ServerSession(
            server_link, lambda: ServerAssociation(self.shelf, (theirs,), rng=Random(2))
        )
        self.sent: list[bytes] = []
        self.answered: list[bytes] = []

    def until(self, kind: type[E]) -> E:
        """Carry octets to and fro until the session has an event of `kind`."""
        while octets := self.session.data_to_send():
            self.sent.append(octets)
            self.answered.append(self._server.receive(octets))
            for event in self.session.receive(self.answered[-1]):
                if isinstance(event, kind):
                    return event
        raise RemoteProtocolError(f"no {kind.__name__}")

    def associate(self) -> None:
        self.session.start()
        self.until(Associated)

    def get(self, ref: Ref, access: Access | None = None) -> Reply:
        self.session.get(ref, access)
        return self.until(Reply)


@pytest.fixture
def line() -> Callable[..., Line]:
    """Return a maker of lines: `line("hdlc", "gmac")`."""

    def make(link: str, security: str, their_keys: Keys = KEYS) -> Line:
        mine = authentication(security, b"CLI\x00\x00\x00\x00\x01")
        theirs = authentication(security, b"MTR\x00\x00\x00\x00\x01", their_keys)
        return Line(link, mine, theirs)

    return make
