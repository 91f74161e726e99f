"""The serial ports of this computer: what hangs on them, and whether they are free."""

import errno
from dataclasses import dataclass
from enum import StrEnum

import serial
from serial.tools import list_ports


class Use(StrEnum):
    """Whether a port can be opened."""

    FREE = "free"
    BUSY = "busy"
    FORBIDDEN = "forbidden"
    GONE = "gone"


_USE_BY_ERRNO = {
    errno.EAGAIN: Use.BUSY,  # its lock is somebody else's
    errno.EBUSY: Use.BUSY,
    errno.EACCES: Use.FORBIDDEN,
    errno.EPERM: Use.FORBIDDEN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One of them; what its adapter does not tell is empty."""

    device: str
    use: Use
    name: str = ""
    maker: str = ""
    serial_number: str = ""


def list_serial_ports() -> list[Port]:
    """Return the ports that an adapter stands behind; each is opened for a moment."""
    return [
        Port(
            device=one.device,
            use=use_of(one.device),
            name=one.product or (one.description or "").removeprefix("n/a"),
            maker=one.manufacturer or "",
            serial_number=one.serial_number or "",
        )
        for one in sorted(list_ports.comports(), key=lambda one: one.device)
    ]


def use_of(device: str) -> Use:
    """Open a port for a moment, for ourselves alone, and say how that went."""
    try:
        serial.Serial(device, timeout=0, exclusive=True).close()
    except serial.SerialException as error:
        return _USE_BY_ERRNO.get(error.errno or 0, Use.GONE)
    return Use.FREE
