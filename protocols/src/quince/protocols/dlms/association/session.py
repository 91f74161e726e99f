"""A link and an association as one: the client's session, and the meter's.

    session = MeterSession(link, association)
    session.start()
    write(session.data_to_send())
    for event in session.receive(read()): ...

Write `data_to_send()` after every call; feed what arrives; each request ends in one Reply.
"""

from collections.abc import Callable
from dataclasses import dataclass

from quince.protocols.dlms.apdu.reference import Access, Ref
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.states import (
    Associated,
    AssociationEvent,
    NeedSend,
    Released,
    Reply,
    ServerPush,
)
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.links.link import (
    ApduReceived,
    Connected,
    Disconnected,
    Link,
    LinkEvent,
    Transmit,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The meter is done with us; the transport can be closed."""


SessionEvent = Associated | Reply | ServerPush | Closed


class MeterSession:
    """A client's session with one meter, from the first octet to the last.

    What the meter does wrong is raised from `receive`: CodecError or RemoteProtocolError with
    their kinds in `errors`. Only behind ServiceRefusedError can the session go on.
    """

    def __init__(self, link: Link, association: ClientAssociation) -> None:
        self._link = link
        self._association = association
        # One request is under way at a time, so this holds one APDU at most.
        self._outgoing = bytearray()

    def data_to_send(self) -> bytes:
        """Return the octets to write, once."""
        octets = bytes(self._outgoing)
        self._outgoing.clear()
        return octets

    def start(self) -> None:
        """Connect the link and associate; ends in Associated."""
        self._outgoing += self._link.connect()
        if self._link.is_connected:
            self._open()

    def get(self, ref: Ref, access: Access | None = None) -> None:
        """Read an attribute, or the selected part of it; ends in a Reply."""
        self._outgoing += self._link.send(self._association.get(ref, access))

    def set(self, ref: Ref, data: Data) -> None:
        """Write an attribute; ends in a Reply."""
        self._outgoing += self._link.send(self._association.set(ref, data))

    def action(self, ref: Ref, data: Data | None = None) -> None:
        """Call a method; ends in a Reply."""
        self._outgoing += self._link.send(self._association.action(ref, data))

    def stop(self) -> None:
        """Release the association and then the link; ends in Closed."""
        self._outgoing += self._link.send(self._association.release())

    def retransmit(self) -> None:
        """Send the last frame again, on links that need it, when an answer is late."""
        self._outgoing += self._link.retransmit()

    def receive(self, data: bytes) -> list[SessionEvent]:
        """Take octets from the meter."""
        events: list[SessionEvent] = []
        for event in self._link.receive(data):
            events.extend(self._on_link(event))
        return events

    def _open(self) -> None:
        self._outgoing += self._link.send(self._association.open())

    def _on_link(self, event: LinkEvent) -> list[SessionEvent]:
        match event:
            case Connected():
                self._open()
            case Transmit(octets=octets):
                self._outgoing += octets
            case Disconnected():
                return [Closed()]
            case ApduReceived(apdu=apdu):
                answers = [self._on_association(one) for one in self._association.receive(apdu)]
                return [one for one in answers if one is not None]
        return []

    def _on_association(self, event: AssociationEvent) -> SessionEvent | None:
        match event:
            case NeedSend(apdu=apdu):
                if self._link.is_connected:  # else its end was in the same octets, and follows
                    self._outgoing += self._link.send(apdu)
                return None
            case Released():
                farewell = self._link.disconnect()
                self._outgoing += farewell
                return None if farewell else Closed()
            case Associated() | Reply() | ServerPush():
                return event


class ServerSession:
    """The meter's session with one client: octets in, the answer out.

    Each connection of the link begins with a new association. Octets that are no frames of the
    link raise CodecError, wrong counting RemoteProtocolError: then the connection is to be closed.
    """

    def __init__(self, link: Link, new_association: Callable[[], ServerAssociation]) -> None:
        self._link = link
        self._new_association = new_association
        self._association = new_association()

    def receive(self, data: bytes) -> bytes:
        """Take octets from the client, return those to write."""
        return b"".join(self._on_link(event) for event in self._link.receive(data))

    def _on_link(self, event: LinkEvent) -> bytes:
        match event:
            case Connected() | Disconnected():
                self._association = self._new_association()
                return b""
            case Transmit(octets=octets):
                return octets
            case ApduReceived(apdu=apdu):
                return self._link.send(self._association.receive(apdu))
