"""The simulated optical meter: a mode C session over a pseudo-terminal, fed by a household."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hmac import compare_digest
from pathlib import Path
from typing import NoReturn

import structlog

from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.optical.memory import Memory
from quince.firmware_sims.optical.pty_line import PtyLine, open_pty_line
from quince.model.clock import Clock
from quince.model.errors import CodecError
from quince.protocols.optical.datasets import DataSet, Value, render_read_out
from quince.protocols.optical.line import REACTION_S_MAX, SESSION_IDLE_S_MAX, SIGN_ON_BAUD
from quince.protocols.optical.messages import Identification, Mode
from quince.protocols.optical.profile import ADDRESS, parse_range, render_profile
from quince.protocols.optical.server import (
    Asked,
    Event,
    Left,
    PasswordGiven,
    Selected,
    Server,
    SignedOn,
    State,
)

log = structlog.get_logger()

_REACTION_S = 0.1  # between the 20 ms its name promises and the 1.5 s the standard allows


class OpticalMeter:
    """A mode C meter: read-out for everyone, the load profile behind the password.

    It signs on at 300 baud, offers 9600, and hears and says nothing while its mains is off.
    """

    def __init__(
        self,
        household: Household,
        supply: Supply,
        clock: Clock,
        *,
        serial: str,
        password: str,
        utc_offset_min: int,
    ) -> None:
        """Build the meter; `serial` is also its device address."""
        self._memory = Memory(
            household=household, supply=supply, serial=serial, utc_offset_min=utc_offset_min
        )
        self._supply = supply
        self._clock = clock
        self._password = password
        # The lower-case third letter says that 20 ms between messages are enough.
        self._identification = Identification(maker="QUi", baud_character="5", name="SIM-OPTICAL")

    @asynccontextmanager
    async def serve(self, link: Path | None = None) -> AsyncIterator[Path]:
        """Lie on a pseudo-terminal, reachable by the path given back (`link`, if given)."""
        with open_pty_line(link) as line:
            session = asyncio.create_task(self.converse(line))
            try:
                yield line.path
            finally:
                session.cancel()
                await asyncio.wait([session])
            if not session.cancelled():
                session.result()

    async def converse(self, line: PtyLine) -> NoReturn:
        """Answer whoever signs on over `line`, one session after another, for ever."""
        server = Server(self._identification, self._memory.serial)
        while True:
            try:
                async with asyncio.timeout(_patience_s(server.state)):
                    characters = await line.read()
            except TimeoutError:
                characters = b""
                server.hang_up()
            if not self._supply.is_on(self._clock.now_utc()):
                server.hang_up()
                characters = b""
            server.receive_data(characters)
            await self._answer(server, line)

    async def _answer(self, server: Server, line: PtyLine) -> None:
        while (event := server.next_event()) is not None:
            self._take(event, server, line)
        output = server.data_to_send()
        if output:
            await asyncio.sleep(_REACTION_S)
            await line.write(output)
        if server.state in (State.SILENT, State.IDENTIFIED):
            line.baud = SIGN_ON_BAUD

    def _take(self, event: Event, server: Server, line: PtyLine) -> None:
        now_utc = self._clock.now_utc()
        match event:
            case SignedOn() | Left():
                pass
            case Selected(baud=baud, mode=mode):
                line.baud = baud
                if mode is Mode.READ_OUT:
                    server.read_out(render_read_out(self._memory.data_image(now_utc)))
                else:
                    server.challenge(str(DataSet("", (Value(self._memory.serial),))))
            case PasswordGiven(password=password):
                if compare_digest(password.encode(), self._password.encode()):
                    server.accept()
                else:
                    log.info("optical_password_refused", serial=self._memory.serial)
                    server.refuse()
            case Asked(address=address, argument=argument):
                server.answer(self._value_of(address, argument))

    def _value_of(self, address: str, argument: str) -> str:
        if address == ADDRESS:
            return self._profile(argument)
        image = self._memory.data_image(self._clock.now_utc())
        return next((str(one) for one in image if one.address == address), "(ERROR)")

    def _profile(self, argument: str) -> str:
        offset_min = self._memory.utc_offset_min
        try:
            first_end_utc, last_end_utc = parse_range(argument, offset_min)
        except CodecError:
            return "(ERROR)"
        sections = self._memory.sections(first_end_utc, last_end_utc, self._clock.now_utc())
        return render_profile(sections, offset_min)


def _patience_s(state: State) -> float | None:
    """Return after how many silent seconds the meter falls back to 300 baud."""
    match state:
        case State.SILENT:
            return None
        case State.IDENTIFIED | State.READ_OUT:
            return REACTION_S_MAX
        case State.LOCKED | State.OPEN:
            return SESSION_IDLE_S_MAX
