"""Lines to meters, opened by URL: TCP, UDP, serial, and optical heads on serial."""

from quince.edge.transports.address import device_and_baud, host_and_port
from quince.edge.transports.serial import SerialTransport
from quince.edge.transports.tcp import open_tcp
from quince.edge.transports.transport import Transport
from quince.edge.transports.udp import open_udp
from quince.model.errors import InvalidValueError
from quince.protocols.optical.line import SIGN_ON_BAUD

__all__ = ["Transport", "open_transport"]

_SERIAL_BAUD = 9600


async def open_transport(url: str) -> Transport:
    """Open the line that `url` names.

    `tcp://host:port`, `hdlc+tcp://host:port` (the same line, with HDLC spoken on it),
    `udp://host:port`, `serial:/dev/…?baud=9600` (8N1), `optical:/dev/…` (7E1, 300 baud).
    InvalidValueError says what is wrong with any other URL, TransportError why a line cannot be
    opened.
    """
    match url.partition(":")[0]:
        case "tcp" | "hdlc+tcp" as scheme:
            return await open_tcp(*host_and_port(url, scheme))
        case "udp":
            return await open_udp(*host_and_port(url, "udp"))
        case "serial":
            device, baud = device_and_baud(url, _SERIAL_BAUD)
            return SerialTransport.open(device, baud=baud, seven_bits=False)
        case "optical":
            device, baud = device_and_baud(url, SIGN_ON_BAUD)
            return SerialTransport.open(device, baud=baud, seven_bits=True)
        case _:
            raise InvalidValueError(
                "url", url, "expected tcp://, hdlc+tcp://, udp://, serial: or optical:"
            )
