"""The meter's end of a simulated serial line: a pseudo-terminal's master that knows its own baud.

The far end's baud is read from the terminal's settings: characters sent or heard at another baud
than the meter's own are lost, as on a wire. Output is paced at ten bits a character, and what
nobody takes is lost too.
"""

import asyncio
import os
import termios
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from quince.firmware_sims.lines.faults import Faults
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
    """The open line; `path` is what a client opens, `baud` and `seven_bits` are the meter's."""

    def __init__(self, master: int, path: Path, faults: Faults) -> None:
        """Take the master's descriptor, which somebody else closes."""
        self._master = master
        self._faults = faults
        self._messages = 0
        self.path = path
        self.baud = SIGN_ON_BAUD
        self.seven_bits = True

    def switch(self, baud: int) -> None:
        """Speak and hear at `baud` from here on, unless the meter is stuck."""
        if not self._faults.stuck:
            self.baud = baud

    async def read(self) -> bytes:
        """Return what came at this end's baud; empty if it did not.

        A pseudo-terminal delivers at once: the time on the line is spent here.
        """
        await self._readable()
        octets = os.read(self._master, _READ_BYTES_MAX)
        if not self._is_heard():
            return b""
        if self._faults.echoes:
            self._put(octets)
        await asyncio.sleep(transmission_s(len(octets), self.baud))
        return check_parity(octets) if self.seven_bits else octets

    async def write(self, message: bytes) -> None:
        """Send one message as fast as the baud allows, into the void if the far end's differs."""
        octets = add_parity(message) if self.seven_bits else message
        octets = self._faults.spoil(self._messages, octets)
        self._messages += 1
        length = 1 if self._faults.pause_s else self._slice_length()
        for begin in range(0, len(octets), length):
            part = octets[begin : begin + length]
            await asyncio.sleep(transmission_s(len(part), self.baud) + self._faults.pause_s)
            self._put(part)

    def _slice_length(self) -> int:
        return max(1, int(_SLICE_S / transmission_s(1, self.baud)))

    def _put(self, octets: bytes) -> None:
        if self._is_heard():
            with suppress(BlockingIOError):  # nobody reads, and the terminal's buffer is full
                os.write(self._master, octets)

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
def open_pty_line(link: Path | None, faults: Faults | None = None) -> Iterator[PtyLine]:
    """Open a raw pseudo-terminal, and a symbolic link to it if asked for.

    The slave stays open here too: the meter does not vanish when its reader goes.
    """
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        os.set_blocking(master, False)
        path = Path(os.ttyname(slave))
        if link is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(path)
        try:
            yield PtyLine(master, link or path, faults or Faults())
        finally:
            if link is not None:
                link.unlink(missing_ok=True)
    finally:
        os.close(slave)
        os.close(master)


@asynccontextmanager
async def serve_pty(
    talk: Callable[[PtyLine], Awaitable[NoReturn]],
    link: Path | None,
    faults: Faults | None = None,
) -> AsyncIterator[Path]:
    """Let a meter talk on a pseudo-terminal, reachable by the path given back (`link`, if given).

    What breaks the meter is raised at the end.
    """
    with open_pty_line(link, faults) as line:
        session = asyncio.ensure_future(talk(line))
        try:
            yield line.path
        finally:
            session.cancel()
            await asyncio.wait([session])
        if not session.cancelled():
            session.result()
