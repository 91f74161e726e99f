"""What a reader asks of any line to a meter."""

from typing import Protocol


class Transport(Protocol):
    """An open line; every failure is a TransportError."""

    async def read(self, deadline_s: float) -> bytes:
        """Return at least one octet; ReadTimeoutError after `deadline_s` seconds without one."""
        ...

    async def write(self, data: bytes) -> None:
        """Send `data`; returns when the last octet has left."""
        ...

    async def set_line(self, baud: int) -> None:
        """Switch the line to `baud`; a line without a baud stays as it is."""
        ...

    async def aclose(self) -> None:
        """Close the line; closing twice is harmless."""
        ...
