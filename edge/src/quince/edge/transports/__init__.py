"""Lines to meters, opened by URL: TCP, serial, and optical heads on serial."""

from urllib.parse import urlsplit

from quince.edge.transports.address import host_and_port
from quince.edge.transports.serial import SerialTransport
from quince.edge.transports.tcp import open_tcp
from quince.edge.transports.transport import Transport
from quince.model.errors import InvalidValueError
from quince.protocols.optical.line import SIGN_ON_BAUD

__all__ = ["Transport", "open_transport"]

_SERIAL_BAUD = 9600


async def open_transport(url: str) -> Transport:
    """Open `tcp://host:port`, `serial:/dev/…` (8N1, 9600) or `optical:/dev/…` (7E1, 300).

    InvalidValueError for any other URL, TransportError if the line cannot be opened.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "tcp":
            return await open_tcp(*host_and_port(url, "tcp"))
        case "serial":
            return SerialTransport.open(parts.path, baud=_SERIAL_BAUD, seven_bits=False)
        case "optical":
            return SerialTransport.open(parts.path, baud=SIGN_ON_BAUD, seven_bits=True)
        case _:
            raise InvalidValueError("url", url, "expected tcp://host:port, serial:… or optical:…")
