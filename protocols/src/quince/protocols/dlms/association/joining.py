"""Blocks: long octets cut into numbered pieces, and pieces joined again under a bound."""

from quince.model.errors import LocalProtocolError, RemoteProtocolError
from quince.protocols.dlms.apdu.reference import DataBlock

# 65,536 values, the most axdr reads, are about 400 kB in a profile; strings may take more.
TRANSFER_OCTETS_MAX = 2**20
# Last, number, and a length in long form.
_BLOCK_HEAD_OCTETS = 1 + 4 + 4


class Joining:
    """Takes the blocks of one transfer in their order, from number 1."""

    def __init__(self) -> None:
        self.number = 0
        self._octets = bytearray()

    def take(self, block: DataBlock) -> bytes | None:
        """Return all octets behind the last block, None before it.

        RemoteProtocolError for a block out of its turn, for an empty one with more to come, which
        could go on for ever, and for a transfer beyond TRANSFER_OCTETS_MAX.
        """
        if block.number != self.number + 1:
            raise RemoteProtocolError(f"block {block.number}, not {self.number + 1}")
        if not block.octets and not block.last:
            raise RemoteProtocolError("an empty block, and more to come")
        if len(self._octets) + len(block.octets) > TRANSFER_OCTETS_MAX:
            raise RemoteProtocolError(f"more than {TRANSFER_OCTETS_MAX} octets in blocks")
        self.number = block.number
        self._octets += block.octets
        return bytes(self._octets) if block.last else None


class Cutting:
    """Gives the blocks of one transfer, each as long as there is room in its APDU."""

    def __init__(self, octets: bytes) -> None:
        self.number = 0
        self._octets = octets
        self._at = 0

    @property
    def is_done(self) -> bool:
        """Whether the last block was given."""
        return self.number > 0 and self._at == len(self._octets)

    def next(self, room_octets: int) -> DataBlock:
        """Return the next block for an APDU with `room_octets` left behind its other fields."""
        size = room_octets - _BLOCK_HEAD_OCTETS
        if size < 1:
            raise LocalProtocolError(f"no block fits into {room_octets} octets")
        octets = self._octets[self._at : self._at + size]
        self._at += len(octets)
        self.number += 1
        return DataBlock(last=self._at == len(self._octets), number=self.number, octets=octets)
