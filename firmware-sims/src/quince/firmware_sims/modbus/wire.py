"""The meters' end of a simulated RS-485 line: pymodbus's server on a pseudo-terminal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from quince.firmware_sims.lines.pty_line import PtyLine, open_pty_line

_FRAMES_MAX = 16  # a master asks one thing at a time; more is a flood, and is lost


class Listener(Protocol):
    """What a wire needs of whoever listens at its end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the wire."""
        ...

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        ...


class Wire(asyncio.Transport):
    """What the listener writes to: frames leave one after another, as fast as the baud allows."""

    def __init__(self, line: PtyLine) -> None:
        """Take an open line."""
        super().__init__()
        self._line = line
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(_FRAMES_MAX)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take a frame to send; one too many is lost."""
        if data and not self._frames.full():
            self._frames.put_nowait(bytes(data))

    async def say(self) -> None:
        """Send what was written, for ever."""
        while True:
            await self._line.write(await self._frames.get())

    async def hear(self, listener: Listener) -> None:
        """Give what comes to `listener`, for ever."""
        while True:
            if octets := await self._line.read():
                listener.data_received(octets)


@asynccontextmanager
async def open_wire(link: Path | None, *, baud: int, listener: Listener) -> AsyncIterator[Path]:
    """Put `listener` at the near end of a wire; gives back the far end's path."""
    with open_pty_line(link) as line:
        line.baud, line.seven_bits = baud, False
        wire = Wire(line)
        listener.connection_made(wire)
        tasks = [asyncio.create_task(wire.hear(listener)), asyncio.create_task(wire.say())]
        try:
            yield line.path
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
