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

    async def set_line(
        self, baud: int, *, seven_bits: bool | None = None, echoes: bool | None = None
    ) -> None:
        """Switch the line to `baud`, and to 7E1 or 8N1 unless that is None.

        `echoes` says whether what is written comes back, and is not to be read. A line that has
        no such things stays as it is.
        """
        ...

    async def aclose(self) -> None:
        """Close the line; closing twice is harmless."""
        ...
