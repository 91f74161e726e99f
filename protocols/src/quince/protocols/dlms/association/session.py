"""A link and an association as one: the client's session, and the meter's.

    session = MeterSession(link, association)
    session.start()
    write(session.data_to_send())
    for event in session.receive(read()): ...

Write `data_to_send()` after every call; feed what arrives; each request ends in one Reply, a list
of them in one ReplyList. Events are judged one after another: what one makes us send is decided
before the next is looked at.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from quince.protocols.dlms.apdu.access import AccessPart
from quince.protocols.dlms.apdu.reference import Access, Item, Ref
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.states import (
    Associated,
    AssociationEvent,
    NeedSend,
    Released,
    Reply,
    ReplyList,
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
    UnnumberedReceived,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The meter is done with us; the transport can be closed."""


SessionEvent = Associated | Reply | ReplyList | ServerPush | UnnumberedReceived | Closed


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
        self._events: deque[SessionEvent] = deque()  # of one APDU

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

    def set(self, ref: Ref, data: Data, access: Access | None = None) -> None:
        """Write an attribute, or the selected part of it; ends in a Reply."""
        self._outgoing += self._link.send(self._association.set(ref, data, access))

    def action(self, ref: Ref, data: Data | None = None) -> None:
        """Call a method; ends in a Reply."""
        self._outgoing += self._link.send(self._association.action(ref, data))

    def get_list(self, items: Sequence[Item]) -> None:
        """Read attributes; as all lists, it ends in a ReplyList, one Reply for each."""
        self._outgoing += self._link.send(self._association.get_list(items))

    def set_list(self, items: Sequence[tuple[Ref, Data]]) -> None:
        """Write attributes; ends in a ReplyList."""
        self._outgoing += self._link.send(self._association.set_list(items))

    def action_list(self, items: Sequence[tuple[Ref, Data | None]]) -> None:
        """Call methods; ends in a ReplyList."""
        self._outgoing += self._link.send(self._association.action_list(items))

    def access(self, parts: Sequence[tuple[AccessPart, Data]]) -> None:
        """Read, write and call in this order; ends in a ReplyList."""
        self._outgoing += self._link.send(self._association.access(parts))

    def stop(self) -> None:
        """Release the association and then the link; ends in Closed."""
        self._outgoing += self._link.send(self._association.release())

    def retransmit(self) -> None:
        """Send the last frame again, on links that need it, when an answer is late.

        On others a general block transfer that stalls is nudged; nothing else is sent twice.
        """
        octets = self._link.retransmit()
        if not octets:
            octets = b"".join(map(self._link.send, self._association.remind()))
        self._outgoing += octets

    def keep_alive(self) -> None:
        """Let a meter that has long been asked nothing know that we are there."""
        self._outgoing += self._link.keep_alive()

    def receive(self, data: bytes) -> list[SessionEvent]:
        """Take octets from the meter, and all they say."""
        self.receive_data(data)
        return list(iter(self.next_event, None))

    def receive_data(self, data: bytes) -> None:
        """Keep octets from the meter."""
        self._link.receive_data(data)

    def next_event(self) -> SessionEvent | None:
        """Return what the octets so far say next; None when more are needed."""
        while not self._events:
            event = self._link.next_event()
            if event is None:
                return None
            self._events.extend(self._on_link(event))
        return self._events.popleft()

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
            case UnnumberedReceived():
                return [event]  # of whom, and whether to be believed, is not the session's to say
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
            case Associated() | Reply() | ReplyList() | ServerPush():
                return event


class ServerSession:
    """The meter's session with one client: octets in, the answer out.

    Each connection of the link begins with a new association. Octets that can be no client's raise
    CodecError or RemoteProtocolError: then the connection is to be closed.
    """

    def __init__(self, link: Link, new_association: Callable[[], ServerAssociation]) -> None:
        self._link = link
        self._new_association = new_association
        self._association = new_association()

    def receive(self, data: bytes) -> bytes:
        """Take octets from the client, return those to write."""
        return b"".join(self.answers(data))

    def answers(self, data: bytes) -> Iterator[bytes]:
        """Take octets from the client, yield what to write: each a whole datagram over UDP."""
        self._link.receive_data(data)
        while (event := self._link.next_event()) is not None:
            yield from self._on_link(event)

    def expire(self) -> None:
        """Forget a client that was not heard for the link's inactivity time."""
        self._link.expire()
        if not self._link.is_connected:
            self._association = self._new_association()

    def _on_link(self, event: LinkEvent) -> Iterator[bytes]:
        match event:
            case Connected() | Disconnected():
                self._association = self._new_association()
            case Transmit(octets=octets):
                yield octets
            case UnnumberedReceived():
                pass  # said to all, and answered by none
            case ApduReceived(apdu=apdu):
                answer = self._association.receive(apdu)
                for one in (answer, *self._association.further()) if answer else ():
                    yield self._link.send(one)
