"""What the service manager is told: ready, alive, how things are.

Source: sd_notify(3), systemd: assignments on lines of a datagram to the socket it names.
"""

import socket
from contextlib import suppress


class ServiceManager:
    """The one that started this process, if it wants to hear."""

    def __init__(self, address: str | None) -> None:
        """`address` is a path, or begins with `@` for a name without a file; None if nobody is."""
        self._address = address

    def tell(self, **assignments: str) -> None:
        """Tell it, in one datagram; a manager that has gone away is no reason to stop."""
        if self._address is None:
            return
        address = self._address.replace("@", "\0", 1) if self._address[:1] == "@" else self._address
        lines = "\n".join(f"{name}={value}" for name, value in assignments.items())
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
            datagram.connect(address)
            datagram.send(lines.encode())
