"""Hears what meters say unasked: last gasp and power up, over TCP in the DLMS wrapper.

A last gasp is worth more than anything else on the gateway: it is in the outbox before the
connection is closed.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from quince.model.clock import Clock
from quince.model.errors import CodecError, QuinceError
from quince.model.event import EventKind, MeterEvent
from quince.protocols.dlms import cosem
from quince.protocols.dlms.apdu import EventNotification, decode_apdu
from quince.protocols.dlms.link import ApduReceived
from quince.protocols.dlms.time import decode_date_time
from quince.protocols.dlms.wrapper import WrapperLink

log = structlog.get_logger()

CONNECTION_S_MAX = 10.0  # a dying meter has seconds of charge; whoever lingers is none
CONNECTIONS_MAX = 256  # a street that goes dark at once; the rest are refused and try again
_READ_OCTETS_MAX = 1024
_CONNECTION_OCTETS_MAX = 4096  # a push is 60 octets

_KINDS = {cosem.LAST_GASP: EventKind.LAST_GASP, cosem.POWER_UP: EventKind.POWER_UP}


class PushListener:
    """Turns event-notifications of known meters into events."""

    def __init__(
        self,
        *,
        meter_ids: Mapping[str, str],
        accept: Callable[[MeterEvent], None],
        clock: Clock,
    ) -> None:
        """`meter_ids` goes by equipment id; `accept` returns when an event is safe."""
        self._meter_ids = meter_ids
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
        meter_id = self._meter_ids.get(equipment_id)
        if kind is None or meter_id is None:
            log.warning("push_unknown", equipment_id=equipment_id, ref=str(notification.ref))
            return
        now_utc = self._clock.now_utc()
        at_utc = now_utc
        if notification.date_time is not None:
            at_utc = decode_date_time(notification.date_time).at_utc
        self._accept(MeterEvent(meter_id=meter_id, kind=kind, at_utc=at_utc, received_utc=now_utc))
        log.info("event_accepted", meter_id=meter_id, kind=kind, at_utc=at_utc.isoformat())
