"""Hears what meters say unasked: last gasp and power up, over TCP and UDP, ciphered or in clear.

A last gasp is worth more than anything else on the gateway: it is in the outbox before the
connection is closed.

Law: a meter whose keys are known is believed only under them, unless its configuration says that
it pushes in clear; and nobody, known or not, is heard more often than a meter has to say.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping

import structlog

from quince.edge.pushes.allowance import Allowance
from quince.edge.pushes.events import Said, read_push
from quince.edge.pushes.octets import Joiner, PushStream, datagram_apdus
from quince.edge.pushes.pusher import Accept, Pusher
from quince.model.clock import Clock
from quince.model.errors import QuinceError
from quince.model.rng import Rng
from quince.protocols.dlms.errors import ProtectionError, ReplayError
from quince.protocols.dlms.security.credentials import Ciphering
from quince.protocols.dlms.security.envelopes import Envelope, Form, decode_envelope
from quince.protocols.dlms.security.pushes import Push, open_push

log = structlog.get_logger()

CONNECTION_S_MAX = 10.0  # a dying meter has seconds of charge; whoever lingers is none
CONNECTIONS_MAX = 256  # a street that goes dark at once; the rest are refused and try again
# Two streets' datagrams at once, and then a steady rate: anybody can send one under any address.
DATAGRAMS_MAX, DATAGRAMS_PER_S_MAX = 512, 128.0
# How often it is said that a stranger spoke.
_STRANGERS_MAX, _STRANGERS_PER_S_MAX = 64, 1.0
# Pushers by UDP whose blocks are being put together.
_JOINERS_MAX = 64
# An envelope that does not say who sealed it is tried under this many meters' keys.
_SENDERS_TRIED_MAX = 64
_READ_OCTETS_MAX = 1024

_Peer = tuple[str, int]


class PushListener:
    """Turns notifications of known meters into events."""

    def __init__(
        self,
        *,
        pushers: Mapping[str, Pusher],
        accept: Accept,
        clock: Clock,
        rng: Rng,
    ) -> None:
        """`pushers` goes by equipment id; `accept` returns when an event is safe."""
        self.replace(pushers)
        self._accept = accept
        self._clock = clock
        self._rng = rng
        self._strangers = Allowance(burst=_STRANGERS_MAX, per_s=_STRANGERS_PER_S_MAX)
        self._connections = 0

    def replace(self, pushers: Mapping[str, Pusher]) -> None:
        """Listen to these from now on, by equipment id."""
        self._pushers = pushers
        self._titled = {
            own.peer_title: pusher
            for pusher in pushers.values()
            if (own := pusher.ciphering()) is not None and own.peer_title is not None
        }

    # -- the doors -----------------------------------------------------------------------

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Listen on TCP; the server is the caller's to close."""
        return await asyncio.start_server(self._handle, host, port)

    async def serve_udp(self, host: str, port: int) -> asyncio.DatagramTransport:
        """Listen on UDP; the transport is the caller's to close."""
        loop = asyncio.get_running_loop()
        door, _protocol = await loop.create_datagram_endpoint(
            lambda: _UdpDoor(self.take), local_addr=(host, port)
        )
        return door

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= CONNECTIONS_MAX:
            writer.close()
            return
        self._connections += 1
        try:
            async with asyncio.timeout(CONNECTION_S_MAX):
                await self._hear(reader)
        except (QuinceError, OSError, TimeoutError) as error:
            log.warning("push_refused", reason=str(error) or type(error).__name__)
        except asyncio.CancelledError:
            # Python 3.11 reports a cancelled handler as an error of the loop; nothing is left.
            log.debug("push_connection_stopped")
        finally:
            self._connections -= 1
            writer.close()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        stream, joiner = PushStream(), Joiner()
        while data := await reader.read(_READ_OCTETS_MAX):
            stream.receive_data(data)
            while (apdu := stream.next_apdu()) is not None:
                self.take(apdu, joiner)
        if rest := stream.rest():
            self.take(rest, joiner)

    # -- whom to believe, and what -------------------------------------------------------

    def take(self, octets: bytes, joiner: Joiner) -> None:
        """Take one APDU as it came; QuinceError if it is not believed, or makes no sense."""
        apdu = joiner.join(octets)
        if apdu is None:
            return
        push = self._open(apdu)
        said = read_push(push.apdu)
        pusher = self._who(push, said)
        if pusher is None:
            if self._strangers.take(asyncio.get_running_loop().time()):
                log.warning("push_unknown", equipment_id=said.equipment_id, kind=said.kind)
            return
        pusher.pass_on(said, self._accept, self._clock)

    def _open(self, apdu: bytes) -> Push:
        envelope = decode_envelope(apdu)
        if isinstance(envelope, Envelope) and envelope.form is Form.SERVICE_SPECIFIC:
            return self._open_anonymous(apdu)
        return open_push(apdu, self._ciphering_of, rng=self._rng)

    def _open_anonymous(self, apdu: bytes) -> Push:
        """Open what does not say who sealed it, under the keys that fit."""
        if len(self._titled) > _SENDERS_TRIED_MAX:
            raise ProtectionError("sealed without a title, and too many meters to try")
        for title in self._titled:
            try:
                return open_push(apdu, self._ciphering_of, rng=self._rng, sender_title=title)
            except ReplayError:
                raise  # these keys did fit
            except ProtectionError:
                continue
        raise ProtectionError("sealed by nobody known")

    def _ciphering_of(self, title: bytes) -> Ciphering | None:
        pusher = self._titled.get(title)
        return None if pusher is None else pusher.ciphering()

    def _who(self, push: Push, said: Said) -> Pusher | None:
        """Return who pushed: whose keys sealed it, else whom it names, if believed in clear."""
        named = self._pushers.get(said.equipment_id or "")
        if push.system_title is None:
            if named is not None and named.must_seal:
                raise ProtectionError(f"{named.meter_id} does not push in clear")
            return named
        sealer = self._titled[push.system_title]
        if named not in (None, sealer):
            raise ProtectionError(f"{sealer.meter_id} speaks for another meter")
        return sealer


class _UdpDoor(asyncio.DatagramProtocol):
    """Takes datagrams as fast as is allowed, and drops what is wrong with them, alone."""

    def __init__(self, take: Callable[[bytes, Joiner], None]) -> None:
        self._take = take
        self._allowance = Allowance(burst=DATAGRAMS_MAX, per_s=DATAGRAMS_PER_S_MAX)
        self._joiners: OrderedDict[_Peer, Joiner] = OrderedDict()

    def datagram_received(self, data: bytes, addr: _Peer) -> None:
        """Take one datagram; in a flood not even a word is said about those that are dropped."""
        if not self._allowance.take(asyncio.get_running_loop().time()):
            return
        try:
            for apdu in datagram_apdus(data):
                self._take(apdu, self._joiner_of(addr))
        except QuinceError as error:
            self._joiners.pop(addr, None)
            log.warning("push_refused", reason=str(error))

    def _joiner_of(self, peer: _Peer) -> Joiner:
        joiner = self._joiners.setdefault(peer, Joiner())
        self._joiners.move_to_end(peer)
        if len(self._joiners) > _JOINERS_MAX:
            self._joiners.popitem(last=False)
        return joiner
