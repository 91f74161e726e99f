"""Reads IEC 62056-21 mode C meters: registers from the read-out, clock and load profile by R5.

A read-out is the meter's image of one moment, so that a register and its time belong together.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TypeVar

from quince.edge.errors import ReadTimeoutError, TransportError
from quince.edge.readers.reader import ProfilePiece
from quince.edge.transports import Transport, open_transport
from quince.model.clock import Clock
from quince.model.errors import RemoteProtocolError
from quince.model.interval import (
    STEP,
    IntervalSeries,
    RegisterReading,
    floor_boundary,
    require_boundary,
)
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality
from quince.protocols.optical.client import (
    Block,
    Challenge,
    Client,
    Damaged,
    NotUnderstood,
    State,
    Unlocked,
)
from quince.protocols.optical.datasets import (
    DataSet,
    cumulative_registers,
    meter_clock,
    parse_data_sets,
    parse_read_out,
)
from quince.protocols.optical.line import (
    REACTION_S_MAX,
    REACTION_S_MIN,
    SIGN_ON_BAUD,
    SILENCE_S_MAX,
)
from quince.protocols.optical.messages import Identification, Mode
from quince.protocols.optical.profile import (
    ADDRESS,
    Section,
    active_import,
    active_import_registers,
    parse_profile,
    render_range,
)

_Event = TypeVar("_Event", Identification, Block, Challenge, Unlocked)

# The standard's longest pause, and what a busy gateway may add to it.
_PAUSE_S_MAX = max(REACTION_S_MAX, SILENCE_S_MAX) + 0.5
# The longest public read-out takes ten seconds at 9600 baud; whoever trickles longer is no meter.
EXCHANGE_S_MAX = 120.0
# A block is repeated whole when one character is damaged: a day is about two seconds at 9600 baud.
_ROWS_MAX = 96
_STAMP_STEP = timedelta(minutes=1)  # what a range can tell apart
_SESSION_BAUDS = (9600, 19200, 4800, 2400)  # what mode C meters offer, the usual one first
_READS_MAX = 3  # a date that changes between readings three times in a row is no date


class Session:
    """The talk with one meter on a line that is already open: who says what, at which baud."""

    def __init__(self, transport: Transport, device_address: str, password: str) -> None:
        """Begin in silence."""
        self._transport = transport
        self._device_address = device_address
        self._password = password
        self._client = Client()
        self._reaction_s = REACTION_S_MIN

    async def read_out(self) -> str:
        """Return the text of a whole read-out."""
        await self.leave()
        await self._sign_on(Mode.READ_OUT)
        text = (await self._hear(Block)).text
        # The meter waits 1.5 s for a repeat request before it listens at 300 baud: spare it that.
        await self._say(self._client.leave())
        await asyncio.sleep(REACTION_S_MIN)
        return text

    async def read(self, address: str, argument: str = "") -> str:
        """Return the text that answers R5, from programming mode."""
        if self._client.state is not State.OPEN:
            await self.leave()
            await self._sign_on(Mode.PROGRAMMING)
            await self._hear(Challenge)
            await self._say(self._client.unlock(self._password))
            await self._hear(Unlocked)
        await self._say(self._client.read(address, argument))
        return (await self._hear(Block)).text

    async def leave(self) -> None:
        """End the meter's session, if there is one, and give it the time to notice."""
        if self._client.state is not State.SILENT:
            await self._say(self._client.leave())
            await asyncio.sleep(REACTION_S_MIN)

    async def _sign_on(self, mode: Mode) -> None:
        try:
            identification = await self._identify()
        except RemoteProtocolError:
            await self._interrupt()
            identification = await self._identify()
        self._reaction_s = identification.reaction_s_min
        await self._say(self._client.select(mode))
        await self._transport.set_line(identification.baud)

    async def _identify(self) -> Identification:
        await self._transport.set_line(SIGN_ON_BAUD)
        await self._say(self._client.sign_on(self._device_address))
        return await self._hear(Identification)

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
        """Return the answer; RemoteProtocolError if it is of another kind.

        Asks again what was damaged or not heard, as often as the client allows.
        """
        try:
            async with asyncio.timeout(EXCHANGE_S_MAX):
                while not isinstance(event := self._client.next_event(), kind):
                    if event is None:
                        await self._listen()
                    elif isinstance(event, Damaged | NotUnderstood):
                        await self._say(self._client.retry(event))
                    else:
                        raise RemoteProtocolError(f"expected {kind.__name__}, not {event}")
        except TimeoutError as error:
            raise ReadTimeoutError(f"no end in {EXCHANGE_S_MAX} s") from error
        return event

    async def _listen(self) -> None:
        try:
            self._client.receive_data(await self._transport.read(_PAUSE_S_MAX))
        except ReadTimeoutError:
            await self._say(self._client.retry())


class OpticalReader:
    """What a mode C meter knows, in the agent's words."""

    def __init__(
        self, session: Session, *, meter_id: str, utc_offset_min: int, clock: Clock
    ) -> None:
        """Take the session; the meter's local time is UTC plus `utc_offset_min`."""
        self._session = session
        self._meter_id = meter_id
        self._utc_offset_min = utc_offset_min
        self._clock = clock

    async def clock(self) -> datetime:
        """Return the meter's time in UTC, from its date and time registers."""
        date = await self._value("0.9.2")
        for _ in range(_READS_MAX):
            time = await self._value("0.9.1")
            before, date = date, await self._value("0.9.2")
            moment_utc = meter_clock([date, time], self._utc_offset_min)
            if date == before and moment_utc is not None:
                return moment_utc
        raise RemoteProtocolError(f"the meter's date does not hold still: {date}")

    async def registers(self) -> list[RegisterReading]:
        """Return the cumulative energy registers, stamped with the read-out's own time.

        A meter that shows no time gets the gateway's.
        """
        data_sets = parse_read_out(await self._session.read_out())
        at_utc = meter_clock(data_sets, self._utc_offset_min) or self._clock.now_utc()
        return [
            RegisterReading(meter_id=self._meter_id, obis=obis, at_utc=at_utc, value=value)
            for obis, value in cumulative_registers(data_sets).items()
        ]

    async def intervals(self, start_utc: datetime, end_utc: datetime) -> ProfilePiece:
        """Return the quarter-hours of [start_utc, end_utc) from the load profile P.01.

        The profile names its rows by their end, the series its intervals by their start: the
        row that ends at `start_utc` is read too, for the register it tells.
        """
        require_boundary("end_utc", end_utc)
        sections: list[Section] = []
        from_utc = require_boundary("start_utc", start_utc)
        while from_utc <= end_utc:
            to_utc = min(floor_boundary(from_utc) + _ROWS_MAX * STEP, end_utc)
            sections += await self._sections(from_utc, to_utc)
            from_utc = to_utc + _STAMP_STEP
        return self._piece(sections, start_utc, end_utc)

    async def _sections(self, from_utc: datetime, to_utc: datetime) -> list[Section]:
        argument = render_range(from_utc, to_utc, self._utc_offset_min)
        text = await self._session.read(ADDRESS, argument)
        sections = parse_profile(text, self._utc_offset_min)
        # A late answer to a question asked twice would pass for this range, and leave it empty.
        if any(not from_utc <= section.first_end_utc <= to_utc for section in sections):
            raise RemoteProtocolError(f"{ADDRESS}({argument}) is answered by another range")
        return sections

    async def _value(self, address: str) -> DataSet:
        """Return one data set; some meters answer with the value alone."""
        data_sets = parse_data_sets(await self._session.read(address))
        if len(data_sets) != 1 or data_sets[0].values[0].is_error:
            raise RemoteProtocolError(f"{address} is answered by {data_sets}")
        return DataSet(address, data_sets[0].values)

    def _piece(
        self, sections: list[Section], start_utc: datetime, end_utc: datetime
    ) -> ProfilePiece:
        recorded, registers = active_import(sections), active_import_registers(sections)
        starts = [start_utc + i * STEP for i in range((end_utc - start_utc) // STEP)]
        slots = [recorded.get(start, (None, Quality.MISSING)) for start in starts]
        series = IntervalSeries(
            meter_id=self._meter_id,
            obis=ACTIVE_IMPORT_INTERVAL,
            start_utc=start_utc,
            values=tuple(value for value, _ in slots),
            quality=tuple(quality for _, quality in slots),
        )
        readings = tuple(
            RegisterReading(
                meter_id=self._meter_id,
                obis=ACTIVE_IMPORT_REGISTER,
                at_utc=border,
                value=registers[border],
            )
            for border in (start_utc, end_utc)
            if border in registers
        )
        return ProfilePiece(series=series, readings=readings)


@asynccontextmanager
async def open_optical(
    url: str,
    *,
    meter_id: str,
    device_address: str,
    password: str,
    utc_offset_min: int,
    clock: Clock,
) -> AsyncIterator[OpticalReader]:
    """Open a session with the meter called `device_address` (any, if empty) behind `url`.

    The line opens at once, the meter is first spoken to when it is first asked.
    """
    transport = await open_transport(url)
    session = Session(transport, device_address, password)
    try:
        yield OpticalReader(session, meter_id=meter_id, utc_offset_min=utc_offset_min, clock=clock)
    finally:
        with suppress(TransportError):
            await session.leave()
        await transport.aclose()
