"""Reads meters that push telegrams: DSMR P1 ports, plain or sealed, and IEC 62056-21 mode D.

They keep no load profile that can be asked for, and cannot be told anything.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from quince.edge.readers.optical.listening import hear_whole
from quince.edge.readers.optical.shown import listed_data_sets, shown_momentaries
from quince.edge.readers.reader import Identity, ListedObject, Momentary, WithoutProfile
from quince.edge.transports import Transport, open_transport
from quince.model.clock import Clock
from quince.model.interval import RegisterReading
from quince.protocols.optical.dsmr import objects
from quince.protocols.optical.dsmr.encryption import SealedTelegramReader, TelegramKey
from quince.protocols.optical.iec62056_21.datasets import meter_clock
from quince.protocols.optical.telegram import Telegram, TelegramReader

# A DSMR 5 meter pushes every second, its elders every ten; the first telegram heard is one that
# had begun before. Mode D meters push when their sensor is touched, or every few seconds.
LISTEN_S_MAX = 25.0
# From DSMR 4 on 115200 baud 8N1; before, and in mode D, slower and 7E1.
_EIGHT_BITS_BAUD = 115_200


class DsmrReader(WithoutProfile):
    """What a meter's telegrams tell, in the agent's words."""

    def __init__(
        self,
        transport: Transport,
        *,
        meter_id: str,
        key: TelegramKey | None,
        utc_offset_min: int,
        clock: Clock,
    ) -> None:
        """Take an open line; the meter's standard time is UTC plus `utc_offset_min`."""
        self._transport = transport
        self._meter_id = meter_id
        self._utc_offset_min = utc_offset_min
        self._clock = clock
        self._telegrams = TelegramReader() if key is None else SealedTelegramReader(key)

    async def identify(self) -> Identity:
        """Return maker and model of the identification, and the equipment's number."""
        telegram = await self._hear()
        name = telegram.identification
        return Identity(
            serial=objects.equipment_id(telegram), maker=name[:3].upper(), model=name[3:]
        )

    async def clock(self) -> datetime:
        """Return the meter's time in UTC, if it shows it."""
        shown_utc = self._shown_by(await self._hear())
        if shown_utc is None:
            self._refuse("clock")
        return shown_utc

    async def registers(self) -> list[RegisterReading]:
        """Return the cumulative registers of the next telegram, stamped with its own time.

        A telegram that shows none gets the gateway's. Where only tariffs are shown their sum is
        given too, as the total.
        """
        telegram = await self._hear()
        at_utc = self._stamp(telegram)
        return [
            RegisterReading(meter_id=self._meter_id, obis=obis, at_utc=at_utc, value=value)
            for obis, value in objects.registers(telegram).items()
        ]

    async def momentaries(self) -> list[Momentary]:
        """Return those of the next telegram, stamped with its own time."""
        telegram = await self._hear()
        return shown_momentaries(telegram.data_sets, self._stamp(telegram))

    async def objects(self) -> list[ListedObject]:
        """Return the lines of the next telegram."""
        return listed_data_sets((await self._hear()).data_sets)

    def _stamp(self, telegram: Telegram) -> datetime:
        return self._shown_by(telegram) or self._clock.now_utc()

    def _shown_by(self, telegram: Telegram) -> datetime | None:
        shown_utc = objects.clock(telegram, self._utc_offset_min)
        if shown_utc is None:  # a mode D meter writes date and time apart
            shown_utc = meter_clock(telegram.data_sets, self._utc_offset_min)
        return shown_utc

    async def _hear(self) -> Telegram:
        return await hear_whole(
            self._transport,
            self._telegrams.receive_data,
            self._telegrams.next_telegram,
            within_s=LISTEN_S_MAX,
        )


@asynccontextmanager
async def open_dsmr(
    url: str,
    *,
    meter_id: str,
    baud: int,
    key: TelegramKey | None = None,
    utc_offset_min: int,
    clock: Clock,
) -> AsyncIterator[DsmrReader]:
    """Listen to the meter behind `url`, with its `key` if its telegrams are sealed."""
    transport = await open_transport(url)
    try:
        await transport.set_line(baud, seven_bits=baud != _EIGHT_BITS_BAUD)
        yield DsmrReader(
            transport, meter_id=meter_id, key=key, utc_offset_min=utc_offset_min, clock=clock
        )
    finally:
        await transport.aclose()
