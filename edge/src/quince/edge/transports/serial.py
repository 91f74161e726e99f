"""A serial line: pyserial opens and sets the port, asyncio waits on its descriptor.

The port is always 8N1; an optical line's seven bits and even parity are made here, because many
heads and every pseudo-terminal know nothing else.
"""

import asyncio
import os
import termios
from collections.abc import Callable
from typing import Self

import serial

from quince.edge.errors import ReadTimeoutError, TransportError
from quince.protocols.optical.line import add_parity, check_parity, transmission_s

_READ_BYTES_MAX = 4096  # what the kernel keeps for a terminal
_DRAIN_S = 0.01
WRITE_S_MAX = 30.0  # a port that takes nothing for so long has lost its adapter


class SerialTransport:
    """One serial port, held exclusively."""

    def __init__(self, port: serial.Serial, *, seven_bits: bool) -> None:
        """Take an open port."""
        self._port = port
        self._descriptor = port.fileno()
        self._seven_bits = seven_bits
        self._echoes = False
        self._echo_octets = 0  # still to come back

    @classmethod
    def open(cls, path: str, *, baud: int, seven_bits: bool) -> Self:
        """Open the port at `path`; TransportError if it is not there or somebody else's."""
        try:
            port = serial.Serial(path, baud, timeout=0, exclusive=True)
        except (OSError, ValueError) as error:
            raise TransportError(f"{path}: {error}") from error
        return cls(port, seven_bits=seven_bits)

    async def read(self, deadline_s: float) -> bytes:
        """Return what came, less the echo; ReadTimeoutError if nothing does."""
        try:
            async with asyncio.timeout(deadline_s):
                octets = await self._heard()
        except TimeoutError as error:
            raise ReadTimeoutError(f"nothing in {deadline_s} s") from error
        except OSError as error:
            raise TransportError(str(error)) from error
        return check_parity(octets) if self._seven_bits else octets

    async def _heard(self) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            await _ready(self._descriptor, loop.add_reader, loop.remove_reader)
            octets = os.read(self._descriptor, _READ_BYTES_MAX)
            if not octets:
                raise TransportError("the port is gone")
            echo = min(self._echo_octets, len(octets))
            self._echo_octets -= echo
            if len(octets) > echo:
                return octets[echo:]

    async def write(self, data: bytes) -> None:
        """Send `data`, and wait as long as the line needs for it.

        The wait is computed: adapters on USB say "sent" when they have taken, not when they
        have sent, and a baud switched under the last characters loses them.
        """
        octets = add_parity(data) if self._seven_bits else data
        if self._echoes:
            self._echo_octets += len(octets)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(WRITE_S_MAX):
                while octets:
                    await _ready(self._descriptor, loop.add_writer, loop.remove_writer)
                    octets = octets[os.write(self._descriptor, octets) :]
            await asyncio.sleep(transmission_s(len(data), self._port.baudrate))
            async with asyncio.timeout(WRITE_S_MAX):
                # Asked, because waiting for the driver's word would stop all other lines too.
                while self._port.out_waiting:  # noqa: ASYNC110 - a driver has no event for it
                    await asyncio.sleep(_DRAIN_S)
        except (OSError, TimeoutError) as error:
            raise TransportError(f"cannot send: {str(error) or 'not taken'}") from error

    async def set_line(
        self, baud: int, *, seven_bits: bool | None = None, echoes: bool | None = None
    ) -> None:
        """Switch to `baud`; to 7E1 or 8N1, and to an echo or none, unless that is None."""
        if seven_bits is not None:
            self._seven_bits = seven_bits
        if echoes is not None:
            self._echoes, self._echo_octets = echoes, 0
        try:
            self._port.baudrate = baud
        except (OSError, ValueError, termios.error) as error:
            raise TransportError(f"cannot set {baud} baud: {error}") from error

    async def aclose(self) -> None:
        """Close the port."""
        self._port.close()


async def _ready(
    descriptor: int,
    watch: Callable[[int, Callable[[], None]], object],
    forget: Callable[[int], object],
) -> None:
    """Wait until `descriptor` can be read or written, as `watch` says."""
    event = asyncio.Event()
    watch(descriptor, event.set)
    try:
        await event.wait()
    finally:
        forget(descriptor)
