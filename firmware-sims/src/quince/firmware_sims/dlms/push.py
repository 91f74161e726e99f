"""What the meter says unasked, over a connection of its own: last gasp and power up.

A meter that has keys seals what it pushes, in general-glo, for a listener knows it by nothing else.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum

from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.protocols.dlms.apdu.notification import EventNotification
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.names import LAST_GASP, POWER_UP
from quince.protocols.dlms.encoding.axdr import octet_string
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.credentials import ciphering_of
from quince.protocols.dlms.security.envelopes import Form
from quince.protocols.dlms.security.protection import Protection

# As MX382 meters number themselves and their head-end.
_METER_PORT, _HEADEND_PORT = 0x67, 0x66


class Carrier(StrEnum):
    """What a push travels by."""

    TCP = "tcp"
    UDP = "udp"


async def send_last_gasp(
    meter: DlmsMeter, host: str, port: int, carrier: Carrier = Carrier.TCP
) -> None:
    """Tell `host` that the supply is lost, stamped with the meter's clock; OSError if it fails."""
    await _push(meter, LAST_GASP, host, port, carrier)


async def send_power_up(
    meter: DlmsMeter, host: str, port: int, carrier: Carrier = Carrier.TCP
) -> None:
    """Tell `host` that the supply is back, stamped with the meter's clock; OSError if it fails."""
    await _push(meter, POWER_UP, host, port, carrier)


async def _push(meter: DlmsMeter, ref: Ref, host: str, port: int, carrier: Carrier) -> None:
    notification = EventNotification(
        date_time=meter.date_time(meter.clock.now_utc()),
        ref=ref,
        data=octet_string(meter.device_id.encode()),
    )
    apdu = _sealed(meter, notification.encode())
    octets = WrapperLink(own_port=_METER_PORT, peer_port=_HEADEND_PORT).send(apdu)
    if carrier is Carrier.TCP:
        await _say(octets, host, port)
    else:
        await _throw(octets, host, port)


def _sealed(meter: DlmsMeter, apdu: bytes) -> bytes:
    own = next(filter(None, map(ciphering_of, meter.accepts)), None)
    if own is None:
        return apdu
    return Protection(replace(own, form=Form.GENERAL_GLO), rng=meter.rng).seal_apdu(apdu)


async def _say(octets: bytes, host: str, port: int) -> None:
    _reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(octets)
        await writer.drain()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _throw(octets: bytes, host: str, port: int) -> None:
    """Send one datagram; whether anybody heard it, a dying meter does not learn."""
    loop = asyncio.get_running_loop()
    socket, _protocol = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=(host, port)
    )
    socket.sendto(octets)
    socket.close()
