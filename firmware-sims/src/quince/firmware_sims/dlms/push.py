"""What the meter says unasked, over a connection of its own: last gasp and power up."""

import asyncio
from contextlib import suppress

from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.apdu.services import EventNotification
from quince.protocols.dlms.cosem import objects as cosem
from quince.protocols.dlms.encoding.axdr import octet_string
from quince.protocols.dlms.links.wrapper import WrapperLink

# As MX382 meters number themselves and their head-end.
_METER_PORT, _HEADEND_PORT = 0x67, 0x66


async def send_last_gasp(meter: DlmsMeter, host: str, port: int) -> None:
    """Tell `host` that the supply is lost, stamped with the meter's clock; OSError if it fails."""
    await _push(meter, cosem.LAST_GASP, host, port)


async def send_power_up(meter: DlmsMeter, host: str, port: int) -> None:
    """Tell `host` that the supply is back, stamped with the meter's clock; OSError if it fails."""
    await _push(meter, cosem.POWER_UP, host, port)


async def _push(meter: DlmsMeter, ref: Ref, host: str, port: int) -> None:
    notification = EventNotification(
        date_time=meter.date_time(meter.clock.now_utc()),
        ref=ref,
        data=octet_string(meter.device_id.encode()),
    )
    link = WrapperLink(own_port=_METER_PORT, peer_port=_HEADEND_PORT)
    _reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(link.send(notification.encode()))
        await writer.drain()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
