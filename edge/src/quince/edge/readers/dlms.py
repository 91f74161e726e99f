"""Reads DLMS/COSEM meters: clock, active-import register, load profile by range.

The profile holds the register at the end of each quarter-hour; an interval is what it grew by
between two neighbouring rows. Where a row is missing, both its intervals are.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog

from quince.edge.errors import ReadTimeoutError, UnsupportedError
from quince.edge.readers.reader import ProfilePiece
from quince.edge.transports import Transport
from quince.model.errors import CodecError, RemoteProtocolError
from quince.model.interval import ENERGY_MAX, STEP, STEP_S, IntervalSeries, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality
from quince.protocols.dlms.apdu.reference import Access, Ref
from quince.protocols.dlms.association.session import Closed, MeterSession
from quince.protocols.dlms.association.states import Associated, Reply
from quince.protocols.dlms.cosem import objects as cosem
from quince.protocols.dlms.encoding.axdr import Data

log = structlog.get_logger()

ANSWER_S_MAX = 5.0  # meters think for a second or two; what takes longer is repeated or given up
EXCHANGE_S_MAX = 120.0  # a day's profile in 128-octet frames takes seconds; noise takes for ever
# What makes the border of an interval unsure, whichever of its two rows says it.
_CLOCK_FLAGS = Quality.CLOCK_INVALID | Quality.CLOCK_DOUBTFUL

_Event = TypeVar("_Event", Associated, Reply, Closed)
_Register = tuple[int, Quality]
_NOTHING: _Register = (-1, Quality.MISSING)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """What must be known before a profile's rows mean anything."""

    columns: tuple[cosem.Column, ...]
    register: int
    status: int | None
    scale: cosem.Scale


class DlmsReader:
    """An associated session with one meter."""

    def __init__(
        self, transport: Transport, session: MeterSession, *, meter_id: str, utc_offset_min: int
    ) -> None:
        """Take an open line; `utc_offset_min` serves meters that leave their deviation out."""
        self._transport = transport
        self._session = session
        self._meter_id = meter_id
        self._utc_offset_min = utc_offset_min
        self._layout: _Layout | None = None

    async def associate(self) -> None:
        """Connect the link and prove who we are, both ways."""
        self._session.start()
        await self._wait_for(Associated)

    async def release(self) -> None:
        """Say good-bye."""
        self._session.stop()
        await self._wait_for(Closed)

    async def clock(self) -> datetime:
        """Return the meter's time in UTC."""
        data = await self._get(cosem.CLOCK_TIME)
        return cosem.read_clock(data, fallback_offset_min=self._utc_offset_min).at_utc

    async def registers(self) -> list[RegisterReading]:
        """Return the active-import register, with the meter's time just before it was read."""
        scale = cosem.Scale.read(await self._get(cosem.ACTIVE_IMPORT_SCALE))
        at_utc = await self.clock()
        value = scale.apply(await self._get(cosem.ACTIVE_IMPORT))
        return [self._reading(at_utc, value)]

    async def intervals(self, start_utc: datetime, end_utc: datetime) -> ProfilePiece:
        """Return the quarter-hours of [start_utc, end_utc), and the register at both borders."""
        layout = self._layout = self._layout or await self._read_layout()
        selection = cosem.Range(from_utc=start_utc, to_utc=end_utc)
        access = cosem.range_access(selection, utc_offset_min=self._utc_offset_min)
        rows = cosem.read_rows(
            await self._get(cosem.PROFILE_BUFFER, access),
            layout.columns,
            period_s=STEP_S,
            fallback_offset_min=self._utc_offset_min,
        )
        registers = _registers(rows, layout)
        return ProfilePiece(
            series=self._series(registers, start_utc, end_utc),
            readings=tuple(
                self._reading(border, registers[border][0])
                for border in (start_utc, end_utc)
                if registers.get(border, _NOTHING)[0] >= 0
            ),
        )

    def _series(
        self, registers: dict[datetime, _Register], start_utc: datetime, end_utc: datetime
    ) -> IntervalSeries:
        starts = [start_utc + i * STEP for i in range((end_utc - start_utc) // STEP)]
        slots = [_growth(registers.get(at), registers.get(at + STEP)) for at in starts]
        return IntervalSeries(
            meter_id=self._meter_id,
            obis=ACTIVE_IMPORT_INTERVAL,
            start_utc=start_utc,
            values=tuple(value for value, _ in slots),
            quality=tuple(quality for _, quality in slots),
        )

    def _reading(self, at_utc: datetime, value: int) -> RegisterReading:
        if value < 0:
            raise CodecError(f"an active-import register of {value} Wh")
        return RegisterReading(
            meter_id=self._meter_id, obis=ACTIVE_IMPORT_REGISTER, at_utc=at_utc, value=value
        )

    async def _read_layout(self) -> _Layout:
        """Read what the profile captures: asked anew each session, for it may have changed."""
        columns = cosem.read_columns(await self._get(cosem.PROFILE_COLUMNS))
        period_s = (await self._get(cosem.PROFILE_PERIOD)).as_int()
        refs = [column.ref for column in columns]
        if period_s != STEP_S or cosem.ACTIVE_IMPORT not in refs:
            raise UnsupportedError(f"the profile has no active-import register every {STEP_S} s")
        return _Layout(
            columns=columns,
            register=refs.index(cosem.ACTIVE_IMPORT),
            status=refs.index(cosem.PROFILE_STATUS) if cosem.PROFILE_STATUS in refs else None,
            scale=cosem.Scale.read(await self._get(cosem.ACTIVE_IMPORT_SCALE)),
        )

    async def _get(self, ref: Ref, access: Access | None = None) -> Data:
        self._session.get(ref, access)
        return (await self._wait_for(Reply)).require()

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
            for event in await self._hear():
                if isinstance(event, kind):
                    return event
                if isinstance(event, Closed):
                    raise RemoteProtocolError("the meter closed the session")

    async def _hear(self) -> Iterable[object]:
        try:
            return self._session.receive(await self._transport.read(ANSWER_S_MAX))
        except ReadTimeoutError:
            self._session.retransmit()
            octets = self._session.data_to_send()
            if not octets:
                raise  # this link does not repeat: TCP did, and nobody answered
            await self._transport.write(octets)
            return ()


def _registers(rows: Iterable[cosem.Row], layout: _Layout) -> dict[datetime, _Register]:
    """Return the register at each row's moment, but not where the meter disowns the row.

    A moment told twice and differently tells nothing either.
    """
    found: dict[datetime, _Register] = {}
    contested: set[datetime] = set()
    for row in rows:
        at_utc, quality = row.moment.at_utc, row.moment.quality
        if layout.status is not None:
            quality |= cosem.quality_of_status(row.values[layout.status].as_int())
        value = layout.scale.apply(row.values[layout.register])
        known, flags = found.get(at_utc, (value, quality))
        found[at_utc] = value, quality | flags
        if known != value or quality & Quality.MISSING:
            contested.add(at_utc)
    return {at_utc: one for at_utc, one in found.items() if at_utc not in contested}


def _growth(before: _Register | None, after: _Register | None) -> tuple[int | None, Quality]:
    """Return what the register grew by; missing without both rows, or if it cannot have."""
    if before is None or after is None or not 0 <= after[0] - before[0] <= ENERGY_MAX:
        return None, Quality.MISSING
    return after[0] - before[0], after[1] | before[1] & _CLOCK_FLAGS
