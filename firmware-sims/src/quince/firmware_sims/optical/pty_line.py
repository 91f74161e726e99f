"""The meter's end of a simulated serial line: a pseudo-terminal's master that knows its own baud.

The far end's baud is read from the terminal's settings: characters sent or heard at another baud
than the meter's own are lost, as on a wire. Output is paced at ten bits a character.
"""

import asyncio
import os
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quince.protocols.optical.line import (
    SIGN_ON_BAUD,
    add_parity,
    check_parity,
    transmission_s,
)

_BAUD_BY_CODE = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name.startswith("B") and name[1:].isdigit()
}
_OSPEED = 5  # the index in what tcgetattr returns
_READ_BYTES_MAX = 4096  # what a terminal's buffer holds
_SLICE_S = 0.02  # the grain of the pacing: twenty characters at 9600 baud


class PtyLine:
    """The open line; `path` is what a client opens."""

    def __init__(self, master: int, path: Path) -> None:
        """Take the master's descriptor, which somebody else closes."""
        self._master = master
        self.path = path
        self.baud = SIGN_ON_BAUD

    async def read(self) -> bytes:
        """Return seven-bit characters that came at this end's baud; empty if they did not.

        A pseudo-terminal delivers at once: the time on the line is spent here.
        """
        await self._readable()
        octets = os.read(self._master, _READ_BYTES_MAX)
        if not self._is_heard():
            return b""
        await asyncio.sleep(transmission_s(len(octets), self.baud))
        return check_parity(octets)

    async def write(self, characters: bytes) -> None:
        """Send `characters` as fast as the baud allows, into the void if the far end's differs."""
        slice_length = max(1, int(_SLICE_S / transmission_s(1, self.baud)))
        for begin in range(0, len(characters), slice_length):
            part = characters[begin : begin + slice_length]
            await asyncio.sleep(transmission_s(len(part), self.baud))
            if self._is_heard():
                os.write(self._master, self.damage(add_parity(part)))

    def damage(self, octets: bytes) -> bytes:
        """Return what arrives of `octets`: all of it; a bad line overrides this."""
        return octets

    def _is_heard(self) -> bool:
        return _BAUD_BY_CODE.get(termios.tcgetattr(self._master)[_OSPEED]) == self.baud

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._master, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._master)


@contextmanager
def open_pty_line(link: Path | None) -> Iterator[PtyLine]:
    """Open a raw pseudo-terminal, and a symbolic link to it if asked for.

    The slave stays open here too: the meter does not vanish when its reader goes.
    """
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        path = Path(os.ttyname(slave))
        if link is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(path)
        try:
            yield PtyLine(master, link or path)
        finally:
            if link is not None:
                link.unlink(missing_ok=True)
    finally:
        os.close(slave)
        os.close(master)
