"""Reads SML meters by listening: they push their registers every second or so, and nothing else.

They keep no load profile, show no clock, and cannot be told anything. Without its PIN a meter
pushes fewer and coarser values; what it pushes is taken as it is.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quince.edge.readers.optical.listening import hear_whole
from quince.edge.readers.optical.shown import listed_entries, listed_momentaries
from quince.edge.readers.reader import Identity, ListedObject, Momentary, WithoutProfile
from quince.edge.transports import Transport, open_transport
from quince.model.clock import Clock
from quince.model.errors import CodecError
from quince.model.interval import RegisterReading
from quince.model.obis import Obis
from quince.protocols.optical.registers import with_totals
from quince.protocols.optical.sml.messages import (
    ValueList,
    cumulative_registers,
    parse_lists,
    serial_number,
)
from quince.protocols.optical.sml.transport import FileReader

BAUD = 9600
# Meters push every one to four seconds; the first file heard is one that had begun before.
LISTEN_S_MAX = 15.0
# Where makers put their letters, and the version of what they wrote.
_MAKER = (Obis.parse("129-129:199.130.3"), Obis.parse("1-0:96.50.1*1"))
_FIRMWARE = (Obis.parse("1-0:0.2.0"), Obis.parse("1-0:0.2.0*0"))


class SmlReader(WithoutProfile):
    """What an SML meter tells, in the agent's words."""

    def __init__(self, transport: Transport, *, meter_id: str, clock: Clock) -> None:
        """Take an open line."""
        self._transport = transport
        self._meter_id = meter_id
        self._clock = clock
        self._files = FileReader()

    async def identify(self) -> Identity:
        """Return the server's name, and the maker and firmware where the list tells them."""
        values = await self._hear_list()
        return Identity(
            serial=serial_number(values.server_id),
            maker=_text_of(values, _MAKER),
            firmware=_text_of(values, _FIRMWARE),
        )

    async def registers(self) -> list[RegisterReading]:
        """Return the cumulative registers of the next list, stamped when it had arrived."""
        values = await self._hear_list()
        at_utc = self._clock.now_utc()
        registers = with_totals(cumulative_registers(values.entries))
        return [
            RegisterReading(meter_id=self._meter_id, obis=obis, at_utc=at_utc, value=value)
            for obis, value in registers.items()
        ]

    async def momentaries(self) -> list[Momentary]:
        """Return those of the next list, stamped when it had arrived."""
        values = await self._hear_list()
        return listed_momentaries(values.entries, self._clock.now_utc())

    async def objects(self) -> list[ListedObject]:
        """Return the entries of the next list, with what they say."""
        return listed_entries((await self._hear_list()).entries)

    async def _hear_list(self) -> ValueList:
        return await hear_whole(
            self._transport, self._files.receive_data, self._next_list, within_s=LISTEN_S_MAX
        )

    def _next_list(self) -> ValueList | None:
        content = self._files.next_file()
        if content is None:
            return None
        lists = parse_lists(content)
        if not lists:
            raise CodecError("a file without a list")
        return lists[0]


def _text_of(values: ValueList, names: tuple[Obis, ...]) -> str:
    found = (one.value for one in values.entries if one.obis in names)
    octets = next((value for value in found if isinstance(value, bytes)), b"")
    return octets.decode("ascii", "replace")


@asynccontextmanager
async def open_sml(url: str, *, meter_id: str, clock: Clock) -> AsyncIterator[SmlReader]:
    """Listen to the meter behind `url`, at 9600 baud 8N1 where the line has any."""
    transport = await open_transport(url)
    try:
        await transport.set_line(BAUD, seven_bits=False)
        yield SmlReader(transport, meter_id=meter_id, clock=clock)
    finally:
        await transport.aclose()
