"""Hears what meters say unasked: last gasp and power up, over TCP in the DLMS wrapper.

A last gasp is worth more than anything else on the gateway: it is in the outbox before the
connection is closed.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from quince.model.clock import Clock
from quince.model.errors import CodecError, QuinceError
from quince.model.event import EventKind, MeterEvent
from quince.model.quality import Quality
from quince.protocols.dlms.apdu.services import EventNotification, decode_apdu
from quince.protocols.dlms.cosem import objects as cosem
from quince.protocols.dlms.encoding.date_time import decode_date_time
from quince.protocols.dlms.links.link import ApduReceived
from quince.protocols.dlms.links.wrapper import WrapperLink

log = structlog.get_logger()

CONNECTION_S_MAX = 10.0  # a dying meter has seconds of charge; whoever lingers is none
CONNECTIONS_MAX = 256  # a street that goes dark at once; the rest are refused and try again
_READ_OCTETS_MAX = 1024
_CONNECTION_OCTETS_MAX = 512  # a push is 60 octets; few of them fit, so that nobody floods
_YEAR_MIN = 2000  # a clock that shows less was never set

_KINDS = {cosem.LAST_GASP: EventKind.LAST_GASP, cosem.POWER_UP: EventKind.POWER_UP}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pusher:
    """A meter that pushes, and its standard time for stamps that leave the deviation out."""

    meter_id: str
    utc_offset_min: int


class PushListener:
    """Turns event-notifications of known meters into events."""

    def __init__(
        self,
        *,
        pushers: Mapping[str, Pusher],
        accept: Callable[[MeterEvent], None],
        clock: Clock,
    ) -> None:
        """`pushers` goes by equipment id; `accept` returns when an event is safe."""
        self._pushers = pushers
        self._accept = accept
        self._clock = clock
        self._connections = 0

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Listen; the server is the caller's to close."""
        return await asyncio.start_server(self._handle, host, port)

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
        finally:
            self._connections -= 1
            writer.close()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        link, octets = WrapperLink(), 0
        while data := await reader.read(_READ_OCTETS_MAX):
            octets += len(data)
            if octets > _CONNECTION_OCTETS_MAX:
                raise CodecError(f"more than {_CONNECTION_OCTETS_MAX} octets in one push")
            for event in link.receive(data):
                if isinstance(event, ApduReceived):
                    self._take(event.apdu)

    def _take(self, octets: bytes) -> None:
        notification = decode_apdu(octets)
        if not isinstance(notification, EventNotification):
            raise CodecError("not an event-notification")
        kind = _KINDS.get(notification.ref)
        equipment_id = notification.data.as_octets().decode("ascii", errors="replace")
        pusher = self._pushers.get(equipment_id)
        if kind is None or pusher is None:
            log.warning("push_unknown", equipment_id=equipment_id, ref=str(notification.ref))
            return
        now_utc = self._clock.now_utc()
        at_utc = _stamp(notification.date_time, pusher, now_utc)
        self._accept(
            MeterEvent(meter_id=pusher.meter_id, kind=kind, at_utc=at_utc, received_utc=now_utc)
        )
        log.info("event_accepted", meter_id=pusher.meter_id, kind=kind, at_utc=at_utc.isoformat())


def _stamp(octets: bytes | None, pusher: Pusher, now_utc: datetime) -> datetime:
    """Return when a push says it happened; now, if the meter does not know or cannot be right.

    The event is worth keeping whatever its stamp is worth.
    """
    if octets is None:
        return now_utc
    try:
        moment = decode_date_time(octets, fallback_offset_min=pusher.utc_offset_min)
    except CodecError:
        return now_utc
    invalid = moment.quality & Quality.CLOCK_INVALID or moment.at_utc.year < _YEAR_MIN
    return now_utc if invalid else moment.at_utc
