"""A dialogue with a DLMS meter: one request at a time over an open line, each with a deadline."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from quince.edge.errors import ReadTimeoutError, TransportError
from quince.edge.transports import Transport
from quince.model.errors import LocalProtocolError, RemoteProtocolError
from quince.protocols.dlms.apdu.reference import Access, Ref
from quince.protocols.dlms.association.session import Closed, MeterSession
from quince.protocols.dlms.association.states import Associated, Reply, ReplyList, ServerPush
from quince.protocols.dlms.encoding.axdr import Data, Value
from quince.protocols.dlms.errors import AccessRefusedError
from quince.protocols.dlms.links.link import UnnumberedReceived

ANSWER_S_MAX = 5.0  # meters think for a second or two; behind it HDLC asks again
# What HDLC's repetitions come to; over TCP and UDP nothing is repeated, and a modem that wakes up,
# or a meter that searches its profile, may take as long.
SILENCE_S_MAX = 20.0
EXCHANGE_S_MAX = 120.0  # a day's profile in 128-octet frames takes seconds; noise takes for ever

Heard = Callable[[ServerPush | UnnumberedReceived], None]
_Event = TypeVar("_Event", Associated, Reply, ReplyList, Closed)


def pass_over(_unasked: object) -> None:
    """Let a push go by: nobody listens."""


class Dialogue:
    """An association over a transport, from hello to good-bye."""

    def __init__(self, transport: Transport, session: MeterSession, heard: Heard) -> None:
        """Take an open line, the session to have over it, and who hears what was not asked."""
        self._transport = transport
        self._session = session
        self._heard = heard
        self._silent_s = 0.0
        self._ended = ""

    async def associate(self) -> None:
        """Connect the link and prove who we are, both ways."""
        self._session.start()
        await self._wait_for(Associated)

    async def release(self) -> None:
        """Say good-bye, unless the meter may no longer understand it."""
        if not self._ended:
            self._session.stop()
            await self._wait_for(Closed)

    def end(self, why: str) -> None:
        """Ask nothing more of this session: a request from now on is a LocalProtocolError."""
        self._ended = why

    async def get(self, ref: Ref) -> Data:
        """Return an attribute; AccessRefusedError if the meter has none, or not for us."""
        return (await self._read(ref)).require()

    async def get_if_any(self, ref: Ref) -> Data | None:
        """Return an attribute, None if the meter has none or does not give it to us."""
        try:
            return await self.get(ref)
        except AccessRefusedError:
            return None

    async def get_selected(self, ref: Ref, access: Access) -> Value:
        """Return the selected part of a profile's buffer, as it came."""
        return (await self._read(ref, access)).value()

    async def get_all(self, refs: Sequence[Ref]) -> list[Data]:
        """Return several attributes, in as few round trips as the meter allows."""
        return [reply.require() for reply in await self.ask(refs)]

    async def ask(self, refs: Sequence[Ref]) -> Sequence[Reply]:
        """Return what the meter says to each of several attributes, a refusal too."""
        self._require_open()
        if not refs:
            return []
        self._session.get_list([(ref, None) for ref in refs])
        return (await self._wait_for(ReplyList)).replies

    async def _read(self, ref: Ref, access: Access | None = None) -> Reply:
        self._require_open()
        self._session.get(ref, access)
        return await self._wait_for(Reply)

    async def set(self, ref: Ref, data: Data) -> None:
        """Write an attribute; AccessRefusedError if the meter does not let us."""
        self._require_open()
        self._session.set(ref, data)
        (await self._wait_for(Reply)).require()

    async def call(self, ref: Ref, data: Data) -> Reply:
        """Call a method and return the outcome, whatever it is."""
        self._require_open()
        self._session.action(ref, data)
        return await self._wait_for(Reply)

    def _require_open(self) -> None:
        if self._ended:
            raise LocalProtocolError(f"{self._ended}: open another session")

    async def _wait_for(self, kind: type[_Event]) -> _Event:
        """Return the awaited event; ReadTimeoutError if the meter keeps us busy without it."""
        try:
            async with asyncio.timeout(EXCHANGE_S_MAX):
                return await self._exchange(kind)
        except TimeoutError as error:
            raise ReadTimeoutError(f"no end in {EXCHANGE_S_MAX} s") from error

    async def _exchange(self, kind: type[_Event]) -> _Event:
        while True:
            if octets := self._session.data_to_send():
                await self._transport.write(octets)
            awaited = None
            for event in await self._hear():
                if isinstance(event, ServerPush | UnnumberedReceived):
                    self._heard(event)
                elif isinstance(event, kind):
                    awaited = event
                elif isinstance(event, Closed) and awaited is None:
                    raise TransportError("the meter closed the session")
            if awaited is not None:
                return awaited

    async def _hear(self) -> Iterable[object]:
        try:
            octets = await self._transport.read(ANSWER_S_MAX)
        except ReadTimeoutError:
            self._silent_s += ANSWER_S_MAX
            self._repeat()
            if octets := self._session.data_to_send():
                await self._transport.write(octets)
            elif self._silent_s >= SILENCE_S_MAX:
                raise
            return ()
        self._silent_s = 0.0
        return self._session.receive(octets)

    def _repeat(self) -> None:
        """Say again what was not answered; ReadTimeoutError when that was tried enough."""
        try:
            self._session.retransmit()
        except RemoteProtocolError as error:
            raise ReadTimeoutError(str(error)) from error
