"""The event log: when the supply went and came, the clock was set, the cover was opened."""

from datetime import datetime
from enum import IntEnum
from functools import partial

from quince.firmware_sims.dlms.clock import MeterClock
from quince.firmware_sims.dlms.objects import MeterObject
from quince.firmware_sims.dlms.profile import Cells, Memory, Profile, Row, Style
from quince.firmware_sims.load import Supply
from quince.model.clock import Clock
from quince.protocols.dlms.cosem.clock import CLOCK_TIME
from quince.protocols.dlms.cosem.names import EVENT_CODE, EVENT_LOG
from quince.protocols.dlms.cosem.profile import Column
from quince.protocols.dlms.encoding.axdr import Data, encode, octet_string
from quince.protocols.dlms.encoding.tags import Tag

_ENTRIES_MAX = 200


class Event(IntEnum):
    """What happened, numbered as IDIS meters do (from memory)."""

    POWER_DOWN = 1
    POWER_UP = 2
    CLOCK_ADJUSTED_FROM = 4
    CLOCK_ADJUSTED_TO = 5
    FIRMWARE_ACTIVATED = 18
    COVER_REMOVED = 40
    COVER_CLOSED = 41
    REMOTE_DISCONNECTION = 62
    REMOTE_CONNECTION = 63


class EventLog:
    """What the meter noted, by its own clock, and what its supply did."""

    def __init__(self, clock: MeterClock, truth: Clock, supply: Supply) -> None:
        self._clock = clock
        self._truth = truth
        self._supply = supply
        self._noted: list[tuple[datetime, datetime, Event]] = []

    def note(self, event: Event, shown_utc: datetime | None = None) -> None:
        """Note an event of now, under what the clock shows unless it showed something else."""
        now_utc = self._truth.now_utc()
        self._noted.append((now_utc, shown_utc or self._clock.shows(now_utc), event))
        del self._noted[:-_ENTRIES_MAX]

    def described(self) -> MeterObject:
        """Return the profile object."""
        columns = (Column(ref=CLOCK_TIME), Column(ref=EVENT_CODE))
        profile = Profile(
            EVENT_LOG,
            columns,
            period_s=0,
            memory=self._memory,
            time=self._clock.time,
            style=Style(),
        )
        return profile.described()

    def last_code(self) -> Data:
        """Return the last event's number, 0 before the first."""
        events = self._all()
        return Data(Tag.UINT8, events[-1][2] if events else 0)

    def _all(self) -> list[tuple[datetime, datetime, Event]]:
        now_utc, shows = self._truth.now_utc(), self._clock.shows
        supply = [
            (at_utc, shows(at_utc), event)
            for outage in self._supply.outages
            for at_utc, event in zip(outage, (Event.POWER_DOWN, Event.POWER_UP), strict=True)
            if at_utc <= now_utc
        ]
        return sorted((*supply, *self._noted))

    def _memory(self) -> Memory:
        memory = Memory(_ENTRIES_MAX)
        for _at_utc, shown_utc, event in self._all():
            encode_row = partial(self._encode, shown_utc, event)
            memory.keep(Row(int(shown_utc.timestamp()), encode_row))
        return memory

    def _encode(self, shown_utc: datetime, event: Event) -> Cells:
        stamp = octet_string(self._clock.write(shown_utc))
        return encode(stamp), encode(Data(Tag.UINT8, event))
