"""Both ends of DLMS sessions, told whatever the other end may say, with and without its keys."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from random import Random

from quince.edge.pushes.events import read_push
from quince.edge.pushes.octets import Joiner, PushStream, datagram_apdus
from quince.model.errors import RemoteProtocolError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.session import MeterSession, ServerSession
from quince.protocols.dlms.association.states import NeedSend, State
from quince.protocols.dlms.encoding import axdr
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.links.link import Link
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Authentication, Gmac, NoSecurity
from quince.protocols.dlms.security.envelopes import Form
from quince.protocols.dlms.security.suite import Keys

Take = Callable[[bytes], object]

CLOCK = Ref(8, Obis(0, 0, 1, 0, 0), 2)
PROFILE = Ref(7, Obis(1, 0, 99, 1, 0), 2)
LONG = axdr.octet_string(bytes(3000))  # more than one block


class _Memory:
    """An object model that has whatever one asks for, some of it long."""

    def get(self, ref: Ref, access: object) -> axdr.Data | AccessResult:
        del access
        return axdr.octet_string(bytes(abs(ref.index) * 20))

    def set(self, ref: Ref, data: axdr.Data) -> AccessResult:
        del ref, data
        return AccessResult.SUCCESS

    def action(self, ref: Ref, data: axdr.Data | None) -> tuple[AccessResult, axdr.Data | None]:
        del ref
        return AccessResult.SUCCESS, data


def _gmac(title: bytes) -> Gmac:
    keys = Keys(encryption=bytes(16), authentication=bytes(16))
    return Gmac(system_title=title, keys=keys, counters=MemoryCounters(), form=Form.GENERAL_GLO)


_ours, _theirs = partial(_gmac, b"QNG\0\0\0\0\1"), partial(_gmac, b"QNM\0\0\0\0\1")


def _server(authentication: Authentication) -> ServerAssociation:
    return ServerAssociation(_Memory(), (authentication,), rng=Random(2))


def _associated(
    mine: Authentication, theirs: Authentication
) -> tuple[ClientAssociation, ServerAssociation]:
    """Return both ends of an association that stands."""
    client, server = ClientAssociation(mine, rng=Random(1)), _server(theirs)
    due = [client.open()]
    while client.state is not State.ASSOCIATED:
        events = client.receive(server.receive(due.pop()))
        due += [event.apdu for event in events if isinstance(event, NeedSend)]
    return client, server


def _apdus(octets: bytes) -> Iterator[bytes]:
    """Cut `octets` into a few APDUs, each behind one octet of length."""
    at = 0
    while at < len(octets):
        yield octets[at + 1 : at + 1 + octets[at]]
        at += 1 + octets[at]


def _hears(begin: Callable[[ClientAssociation], object]) -> Take:
    """Let a client that asked for something hear a meter."""

    def take(octets: bytes) -> None:
        client, _ = _associated(NoSecurity(), NoSecurity())
        begin(client)
        with suppress(RemoteProtocolError):
            for apdu in _apdus(octets):
                client.receive(apdu)

    return take


def _hears_sealed(octets: bytes) -> None:
    """Let a client hear a meter that holds the keys."""
    client, server = _associated(_ours(), _theirs())
    client.get(PROFILE)
    with suppress(RemoteProtocolError):
        for apdu in _apdus(octets):
            client.receive(server._terms.protection.seal_apdu(apdu))


def _opens(authentication: Callable[[], Authentication]) -> Take:
    """Let a client that wants to associate hear a meter."""

    def take(octets: bytes) -> None:
        client = ClientAssociation(authentication(), rng=Random(1))
        client.open()
        with suppress(RemoteProtocolError):
            for apdu in _apdus(octets):
                client.receive(apdu)

    return take


def _answers(octets: bytes) -> None:
    """Let a meter hear an associated client; it never raises."""
    _, server = _associated(NoSecurity(), NoSecurity())
    for apdu in _apdus(octets):
        server.receive(apdu)
        server.further()


def _answers_sealed(octets: bytes) -> None:
    """Let a meter hear a client that holds the keys."""
    client, server = _associated(_ours(), _theirs())
    for apdu in _apdus(octets):
        server.receive(client._terms.protection.seal_apdu(apdu))
        server.further()


def _answers_anybody(octets: bytes) -> None:
    server = ServerAssociation(_Memory(), (NoSecurity(), _theirs()), rng=Random(2))
    for apdu in _apdus(octets):
        server.receive(apdu)
        server.further()


# --- over a link ------------------------------------------------------------------------


def _wrapper(role: Role) -> Link:
    if role is Role.CLIENT:
        return WrapperLink(own_port=16, peer_port=1)
    return WrapperLink(own_port=1)


def _hdlc(role: Role) -> Link:
    client = HdlcAddress(upper=16) if role is Role.CLIENT else None
    return HdlcLink(role, server=HdlcAddress(upper=1), client=client)


def _pieces(octets: bytes) -> Iterator[bytes]:
    """Cut a stream into pieces as long as its first octet says; 0 is all at once."""
    size = octets[0] or len(octets) if octets else 1
    for begin in range(1, len(octets), size):
        yield octets[begin : begin + size]


def _server_session(new_link: Callable[[Role], Link]) -> ServerSession:
    return ServerSession(new_link(Role.SERVER), lambda: _server(NoSecurity()))


def _client_session(new_link: Callable[[Role], Link]) -> MeterSession:
    """Return a session with a reading under way."""
    association = ClientAssociation(NoSecurity(), rng=Random(1))
    session, server = MeterSession(new_link(Role.CLIENT), association), _server_session(new_link)
    session.start()
    while octets := session.data_to_send():
        session.receive(server.receive(octets))
    session.get(PROFILE)
    session.data_to_send()
    return session


def _session(new_link: Callable[[Role], Link]) -> Take:
    def take(octets: bytes) -> None:
        session = _client_session(new_link)
        with suppress(RemoteProtocolError):
            for piece in _pieces(octets):
                session.receive(piece)
                session.data_to_send()

    return take


def _meter(new_link: Callable[[Role], Link]) -> Take:
    def take(octets: bytes) -> None:
        session = _server_session(new_link)
        with suppress(RemoteProtocolError):
            for piece in _pieces(octets):
                session.receive(piece)

    return take


# --- pushes -----------------------------------------------------------------------------


def _pushed(octets: bytes) -> None:
    stream, joiner = PushStream(), Joiner()
    with suppress(RemoteProtocolError):
        for piece in _pieces(octets):
            stream.receive_data(piece)
            while (apdu := stream.next_apdu()) is not None:
                joiner.join(apdu)
    stream.rest()


def _pushed_by_datagrams(octets: bytes) -> None:
    joiner = Joiner()
    for datagram in _apdus(octets):
        with suppress(RemoteProtocolError):
            for apdu in datagram_apdus(datagram):
                joiner.join(apdu)


HARNESSES: dict[str, Take] = {
    "client-get": _hears(lambda client: client.get(PROFILE)),
    "client-get-list": _hears(lambda client: client.get_list([(CLOCK, None), (PROFILE, None)])),
    "client-set": _hears(lambda client: client.set(CLOCK, axdr.NULL)),
    "client-set-long": _hears(lambda client: client.set(CLOCK, LONG)),
    "client-set-list": _hears(lambda client: client.set_list([(CLOCK, LONG), (CLOCK, axdr.NULL)])),
    "client-action": _hears(lambda client: client.action(CLOCK)),
    "client-action-long": _hears(lambda client: client.action(CLOCK, LONG)),
    "client-release": _hears(lambda client: client.release()),
    "client-sealed": _hears_sealed,
    "client-opening": _opens(NoSecurity),
    "client-opening-gmac": _opens(_ours),
    "meter": _answers,
    "meter-sealed": _answers_sealed,
    "meter-opening": _answers_anybody,
    "session-wrapper": _session(_wrapper),
    "session-hdlc": _session(_hdlc),
    "meter-wrapper": _meter(_wrapper),
    "meter-hdlc": _meter(_hdlc),
    "push-stream": _pushed,
    "push-datagrams": _pushed_by_datagrams,
    "push-said": read_push,
}


def _seeds(new_link: Callable[[Role], Link]) -> Iterator[bytes]:
    """Give what each end of a whole session really says."""
    session = MeterSession(new_link(Role.CLIENT), ClientAssociation(NoSecurity(), rng=Random(1)))
    server = _server_session(new_link)
    asked, answered = b"", b""
    for step in (
        session.start,
        lambda: session.get(PROFILE),
        lambda: session.set(CLOCK, LONG),
        lambda: session.action(CLOCK, LONG),
        lambda: session.get_list([(CLOCK, None), (PROFILE, None)]),
        session.stop,
    ):
        step()
        while octets := session.data_to_send():
            asked += octets
            answer = server.receive(octets)
            answered += answer
            session.receive(answer)
    yield from (asked, answered)


SEEDS = [*_seeds(_wrapper), *_seeds(_hdlc)]
