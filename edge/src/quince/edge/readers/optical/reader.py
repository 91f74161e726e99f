"""Reads IEC 62056-21 meters of modes A, B and C: registers from the read-out, the rest by command.

A read-out is the meter's image of one moment, so that a register and its time belong together.
Clock and load profile are asked for in programming mode.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from quince.edge.errors import TransportError, UnsupportedError
from quince.edge.readers.optical.session import OpticalLine, Session
from quince.edge.readers.optical.shown import listed_data_sets, shown_momentaries
from quince.edge.readers.reader import Identity, ListedObject, Momentary, ProfilePiece, ReadOnly
from quince.edge.transports import open_transport
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
from quince.protocols.optical.iec62056_21.datasets import (
    DataSet,
    cumulative_registers,
    meter_clock,
    parse_data_sets,
    parse_read_out,
    render_clock_like,
)
from quince.protocols.optical.iec62056_21.profile import (
    ADDRESS,
    Section,
    active_import,
    active_import_registers,
    begun_quarter,
    parse_profile,
    render_range,
)

# A block is repeated whole when one character is damaged: a day is about two seconds at 9600 baud.
_ROWS_MAX = 96
_STAMP_STEP = timedelta(minutes=1)  # what a range can tell apart
_READS_MAX = 3  # a date that changes between readings three times in a row is no date
# What reading date and time back may take at 9600 baud, and the second the meter shows rounded.
_CLOCK_SET_WITHIN = timedelta(seconds=5)
_SERIAL = ("0.0.0", "C.1.0", "96.1.0")
_FIRMWARE = ("0.2.0",)


class OpticalReader(ReadOnly):
    """What a meter of mode A, B or C knows, in the agent's words; its identification says which.

    Only mode C meters have a programming mode, and so a load profile and a clock that can be set.
    """

    def __init__(
        self, session: Session, *, meter_id: str, utc_offset_min: int, clock: Clock
    ) -> None:
        """Take the session; the meter's local time is UTC plus `utc_offset_min`."""
        self._session = session
        self._meter_id = meter_id
        self._utc_offset_min = utc_offset_min
        self._clock = clock

    async def identify(self) -> Identity:
        """Return maker and model of the identification, serial and firmware of the read-out."""
        identification, text = await self._session.read_out()
        data_sets = parse_read_out(text)
        return Identity(
            serial=_text_of(data_sets, _SERIAL),
            maker=identification.maker.upper(),
            model=identification.name,
            firmware=_text_of(data_sets, _FIRMWARE),
        )

    async def clock(self) -> datetime:
        """Return the meter's time in UTC, from its date and time registers.

        A meter without programming mode may show them in its read-out.
        """
        try:
            await self._session.enter()
        except UnsupportedError:
            shown_utc = meter_clock((await self._data_sets()), self._utc_offset_min)
            if shown_utc is None:
                self._refuse("clock")
            return shown_utc
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
        data_sets, at_utc = await self._read_out()
        return [
            RegisterReading(meter_id=self._meter_id, obis=obis, at_utc=at_utc, value=value)
            for obis, value in cumulative_registers(data_sets).items()
        ]

    async def momentaries(self) -> list[Momentary]:
        """Return those of a read-out, stamped with its own time."""
        return shown_momentaries(*await self._read_out())

    async def objects(self) -> list[ListedObject]:
        """Return the lines of a read-out."""
        return listed_data_sets(await self._data_sets())

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

    async def set_clock(self, to_utc: datetime) -> None:
        """Set date and time as the meter itself writes them, and read them back.

        What opening the session took is added to `to_utc`. RemoteProtocolError if the meter shows
        another time afterwards: date and time are two values, and midnight may fall between them.
        """
        begun_utc = self._clock.now_utc()
        time, date = await self._value("0.9.1"), await self._value("0.9.2")
        moment_utc = to_utc + (self._clock.now_utc() - begun_utc)
        shown = render_clock_like(
            time.values[0].text, date.values[0].text, moment_utc, self._utc_offset_min
        )
        await self._session.write("0.9.2", shown.date)
        await self._session.write("0.9.1", shown.time)
        expected_utc = to_utc + (self._clock.now_utc() - begun_utc)
        found_utc = await self.clock()
        if abs(found_utc - expected_utc) > _CLOCK_SET_WITHIN:
            raise RemoteProtocolError(f"set to {expected_utc}, the meter shows {found_utc}")

    async def _read_out(self) -> tuple[list[DataSet], datetime]:
        """Return what a read-out shows, and the meter's time in it or else the gateway's."""
        data_sets = await self._data_sets()
        return data_sets, meter_clock(data_sets, self._utc_offset_min) or self._clock.now_utc()

    async def _data_sets(self) -> list[DataSet]:
        return parse_read_out((await self._session.read_out())[1])

    async def _sections(self, from_utc: datetime, to_utc: datetime) -> list[Section]:
        argument = render_range(from_utc, to_utc, self._utc_offset_min)
        text = await self._session.read_profile(ADDRESS, argument)
        sections = parse_profile(text, self._utc_offset_min)
        # A range tells minutes apart, and no seconds.
        ends = (section.first_end_utc.replace(second=0) for section in sections)
        if any(not from_utc <= end_utc <= to_utc for end_utc in ends):
            raise RemoteProtocolError(f"{ADDRESS}({argument}) is answered by another range")
        return sections

    async def _value(self, address: str) -> DataSet:
        """Return one data set; some meters answer with the value alone."""
        data_sets = parse_data_sets(await self._session.read(address))
        is_one = len(data_sets) == 1 and _short(data_sets[0]) in ("", address)
        if not is_one or data_sets[0].values[0].is_error:
            raise RemoteProtocolError(f"{address} is answered by {data_sets!r:.200}")
        return DataSet(address, data_sets[0].values)

    def _piece(
        self, sections: list[Section], start_utc: datetime, end_utc: datetime
    ) -> ProfilePiece:
        recorded, registers = active_import(sections), active_import_registers(sections)
        begun_utc = begun_quarter(sections)
        # A period later the meter has written the rest, or there is none: its supply was off.
        if begun_utc is not None and self._clock.now_utc() < begun_utc + 2 * STEP:
            del recorded[begun_utc]
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


def _text_of(data_sets: Iterable[DataSet], addresses: Sequence[str]) -> str:
    """Return the first value at one of `addresses`, whatever medium stands before them."""
    found = (
        one.values[0].text for address in addresses for one in data_sets if _short(one) == address
    )
    return next(found, "")


def _short(data_set: DataSet) -> str:
    """Return a data set's address without the medium before it, and the 255 behind."""
    return data_set.address.rpartition(":")[2].removesuffix("*255")


@asynccontextmanager
async def open_optical(
    line: OpticalLine, *, meter_id: str, utc_offset_min: int, clock: Clock
) -> AsyncIterator[OpticalReader]:
    """Open a session with the meter on `line`.

    The line opens at once, the meter is first spoken to when it is first asked.
    """
    transport = await open_transport(line.url)
    session = Session(transport, line.device_address, line.password, line.dialect)
    try:
        yield OpticalReader(session, meter_id=meter_id, utc_offset_min=utc_offset_min, clock=clock)
    finally:
        try:
            with suppress(TransportError):
                await session.leave()
        finally:  # whoever is cancelled while leaving gives the port back too
            await transport.aclose()
