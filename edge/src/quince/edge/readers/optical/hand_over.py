"""How a DLMS meter behind an optical head is reached: mode E leaves the line to HDLC."""

from quince.edge.readers.optical.session import Session
from quince.edge.transports import Transport


async def hand_over_to_hdlc(transport: Transport, device_address: str) -> int:
    """Sign on at 300 baud 7E1 and return the baud at which, in 8N1, HDLC may open.

    The meter is the one called `device_address`, any if it is empty. ReadTimeoutError,
    RemoteProtocolError or TransportError if it does not answer, or does not hand over;
    UnsupportedError if it cannot. A session of HDLC that was never ended keeps a meter from
    hearing this until its own inactivity time is over.
    """
    return await Session(transport, device_address).hand_over()
