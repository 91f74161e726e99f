"""The talk with one IEC 62056-21 meter on an open line: who says what, when, at which baud."""

import asyncio
from dataclasses import dataclass, field
from typing import TypeVar

from quince.edge.errors import PasswordRefusedError, ReadTimeoutError, UnsupportedError
from quince.edge.transports import Transport
from quince.model.errors import RemoteProtocolError
from quince.protocols.optical.iec62056_21.client import (
    Block,
    Challenge,
    Client,
    Damaged,
    NotUnderstood,
    Part,
    Refused,
    State,
    Unlocked,
    Written,
)
from quince.protocols.optical.iec62056_21.messages import Identification, Mode, Protocol
from quince.protocols.optical.line import (
    REACTION_S_MAX,
    REACTION_S_MIN,
    SIGN_ON_BAUD,
    SILENCE_S_MAX,
)

_Event = TypeVar("_Event", Identification, Block, Challenge, Unlocked, Written)

# The standard's longest pause, and what a busy gateway may add to it.
_PAUSE_S_MAX = max(REACTION_S_MAX, SILENCE_S_MAX) + 0.5
# The longest public read-out takes ten seconds at 9600 baud; whoever trickles longer is no meter.
EXCHANGE_S_MAX = 120.0
# A consent is six characters; whoever talks for longer does not hand over.
_CONSENT_S_MAX = 2 * _PAUSE_S_MAX
_SESSION_BAUDS = (9600, 19200, 4800, 2400)  # what mode C meters offer, the usual one first


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Which of the standard's numbered commands a meter understands; 5 is the German way."""

    unlock: str = "P1"
    read: str = "R5"
    profile: str = "R5"
    write: str = "W5"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpticalLine:
    """Where a meter is, what it is called there (any, if empty), and how it is spoken to."""

    url: str
    device_address: str = ""
    password: str | None = field(default=None, repr=False)
    dialect: Dialect = field(default_factory=Dialect)


class Session:
    """One session after another with the meter of `device_address` (any, if empty).

    Without a password programming mode is entered without one: some meters ask for none.
    """

    def __init__(
        self,
        transport: Transport,
        device_address: str,
        password: str | None = None,
        dialect: Dialect | None = None,
    ) -> None:
        """Begin in silence."""
        self._transport = transport
        self._device_address = device_address
        self._password = password
        self._dialect = dialect or Dialect()
        self._client = Client()
        self._reaction_s = REACTION_S_MIN
        self._asked_again = False

    async def read_out(self) -> tuple[Identification, str]:
        """Return who the meter is, and the text of a whole read-out."""
        await self.leave()
        identification = await self._sign_on()
        if identification.protocol is Protocol.C:
            await self._say(self._client.select(Mode.READ_OUT))
        return identification, await self._hear_read_out(identification)

    async def read(self, address: str, argument: str = "") -> str:
        """Return what programming mode answers about one address."""
        await self._be_ready()
        await self._say(self._client.read(address, argument, self._dialect.read))
        return (await self._hear(Block)).text

    async def read_profile(self, address: str, argument: str) -> str:
        """Return what programming mode answers about a stretch of the load profile."""
        await self._be_ready()
        await self._say(self._client.read(address, argument, self._dialect.profile))
        return (await self._hear(Block)).text

    async def enter(self) -> None:
        """Be in programming mode, with the meter unlocked; UnsupportedError if it has none."""
        entered = State.LOCKED if self._password is None else State.OPEN
        if self._client.state in (entered, State.OPEN):
            return
        await self.leave()
        identification = await self._sign_on()
        if identification.protocol is not Protocol.C:
            await self._hear_read_out(identification)  # it talks already, and hears nothing else
            raise UnsupportedError(f"a mode {identification.protocol} meter is only read out")
        await self._say(self._client.select(Mode.PROGRAMMING))
        await self._transport.set_line(identification.baud)
        await self._hear(Challenge)
        self._asked_again = False
        if self._password is not None:
            await self._say(self._client.unlock(self._password, self._dialect.unlock))
            await self._hear(Unlocked)

    async def write(self, address: str, value: str) -> None:
        """Set the value of one address; RemoteProtocolError if the meter does not take it."""
        await self._be_ready()
        await self._say(self._client.write(address, value, self._dialect.write))
        await self._hear(Written)

    async def hand_over(self) -> int:
        """Sign on, and leave the line to HDLC at the baud given back, in eight bits: mode E.

        ReadTimeoutError, RemoteProtocolError or TransportError if the meter does not answer, or
        does not hand over; UnsupportedError if it cannot. A session of HDLC that was never ended
        keeps a meter from hearing this until its own inactivity time is over.

        Some meters confirm, some do not, and what they confirm may come at the old baud: silence
        and noise are taken for consent, because HDLC's own opening will tell. A read-out is none.
        """
        identification = await self._sign_on()
        if identification.protocol is not Protocol.C:
            raise UnsupportedError(f"a mode {identification.protocol} meter speaks no HDLC")
        await self._say(self._client.select(Mode.HDLC))
        await self._transport.set_line(identification.baud)
        await self._hear_consent()
        await self._transport.set_line(
            identification.baud, seven_bits=False, echoes=self._client.head_echoes
        )
        await asyncio.sleep(self._reaction_s)
        return identification.baud

    async def leave(self) -> None:
        """End the meter's session, if there is one, and give it the time to notice."""
        if self._client.state is not State.SILENT:
            await self._say(self._client.leave())
            await asyncio.sleep(REACTION_S_MIN)

    # --- steps ----------------------------------------------------------------------------

    async def _be_ready(self) -> None:
        """Enter, and let pass what else comes for a question that was asked again.

        A slow meter answers twice, and its second answer would be taken for the next question's.
        """
        await self.enter()
        if not self._asked_again:
            return
        try:
            async with asyncio.timeout(EXCHANGE_S_MAX):
                while True:
                    await self._transport.read(_PAUSE_S_MAX)
        except ReadTimeoutError:
            self._asked_again = False
        except TimeoutError as error:
            raise ReadTimeoutError(f"no silence in {EXCHANGE_S_MAX} s") from error

    async def _sign_on(self) -> Identification:
        try:
            identification = await self._identify()
        except RemoteProtocolError:
            await self._interrupt()
            identification = await self._identify()
        self._reaction_s = identification.reaction_s_min
        return identification

    async def _identify(self) -> Identification:
        await self._transport.set_line(SIGN_ON_BAUD, seven_bits=True, echoes=False)
        await self._say(self._client.sign_on(self._device_address))
        return await self._hear(Identification)

    async def _hear_read_out(self, identification: Identification) -> str:
        await self._transport.set_line(identification.baud)
        text = (await self._hear(Block)).text
        # The meter waits 1.5 s for a repeat request before it listens at 300 baud: spare it that.
        await self._say(self._client.leave())
        await asyncio.sleep(REACTION_S_MIN)
        return text

    async def _interrupt(self) -> None:
        """Break off a session that was never ended: its meter listens at that session's baud.

        A gateway that lost its power leaves such a meter behind, and whatever it hears of our
        sign-on may keep it waiting for more.
        """
        for baud in _SESSION_BAUDS:
            await self._transport.set_line(baud)
            await self._transport.write(self._client.leave())
        await asyncio.sleep(REACTION_S_MAX)

    async def _say(self, characters: bytes) -> None:
        await asyncio.sleep(self._reaction_s)
        await self._transport.write(characters)

    async def _hear(self, kind: type[_Event]) -> _Event:
        """Return the answer; RemoteProtocolError if it is of another kind, or a refusal.

        Asks again what was damaged or not heard, as often as the client allows, and asks for the
        rest of what comes in parts.
        """
        try:
            async with asyncio.timeout(EXCHANGE_S_MAX):
                while not isinstance(event := self._client.next_event(), kind):
                    if event is None:
                        await self._listen()
                    elif isinstance(event, Damaged | NotUnderstood):
                        await self._ask_again(event)
                    elif isinstance(event, Part):
                        await self._say(self._client.go_on())
                    elif kind is Unlocked and isinstance(event, Refused):
                        raise PasswordRefusedError("the meter does not take the password")
                    else:
                        raise RemoteProtocolError(f"expected {kind.__name__}, not {event!r:.200}")
        except TimeoutError as error:
            raise ReadTimeoutError(f"no end in {EXCHANGE_S_MAX} s") from error
        return event

    async def _listen(self) -> None:
        try:
            self._client.receive_data(await self._transport.read(_PAUSE_S_MAX))
        except ReadTimeoutError:
            await self._ask_again()

    async def _ask_again(self, event: Damaged | NotUnderstood | None = None) -> None:
        self._asked_again = True
        await self._say(self._client.retry(event))

    async def _hear_consent(self) -> None:
        try:
            async with asyncio.timeout(_CONSENT_S_MAX):
                while (event := self._client.next_event()) is None:
                    self._client.receive_data(await self._transport.read(_PAUSE_S_MAX))
        except ReadTimeoutError:
            return
        except TimeoutError as error:
            raise RemoteProtocolError("the meter talks on instead of handing over") from error
        if isinstance(event, Refused):
            raise RemoteProtocolError(f"the meter does not hand over: {event.reason}")
