"""Image transfer (class 18): how new firmware reaches a meter in blocks, whole and verified.

Attributes: 2 image_block_size, 3 image_transferred_blocks_status (a bit for each block),
4 image_first_not_transferred_block_number, 5 image_transfer_enabled, 6 image_transfer_status,
7 image_to_activate_info. Methods: 1 image_transfer_initiate, 2 image_block_transfer,
3 image_verify, 4 image_activate. Blocks are numbered from 0; the last one may be shorter.
"""

from dataclasses import dataclass
from enum import IntEnum

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.disconnect import NOTHING
from quince.protocols.dlms.cosem.names import IMAGE_TRANSFER, ClassId, read_enum
from quince.protocols.dlms.encoding.axdr import Data, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag


def _ref(index: int) -> Ref:
    return Ref(ClassId.IMAGE_TRANSFER, IMAGE_TRANSFER, index)


BLOCK_SIZE, BLOCKS_STATUS, FIRST_MISSING, ENABLED, STATUS, TO_ACTIVATE = map(_ref, range(2, 8))
INITIATE, BLOCK_TRANSFER, VERIFY, ACTIVATE = map(_ref, range(1, 5))
ENABLE = (ENABLED, Data(Tag.BOOLEAN, value=True))
VERIFY_NOW = (VERIFY, NOTHING)
ACTIVATE_NOW = (ACTIVATE, NOTHING)

# Firmware of meters is below a megabyte or two, in blocks of 50 octets to a few thousand.
IMAGE_OCTETS_MAX = 2**24
_BLOCK_OCTETS_MAX = 2**16
_IDENTIFIER_OCTETS_MAX = 64


class TransferStatus(IntEnum):
    """How far a meter is with an image."""

    NOT_INITIATED = 0
    INITIATED = 1
    VERIFICATION_INITIATED = 2
    VERIFICATION_SUCCESSFUL = 3
    VERIFICATION_FAILED = 4
    ACTIVATION_INITIATED = 5
    ACTIVATION_SUCCESSFUL = 6
    ACTIVATION_FAILED = 7


def read_status(data: Data) -> TransferStatus:
    """Read attribute 6."""
    return read_enum(TransferStatus, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Firmware as one meter wants it: under a name, in blocks of its size."""

    identifier: bytes
    octets: bytes
    block_octets: int

    def __post_init__(self) -> None:
        if not 1 <= len(self.identifier) <= _IDENTIFIER_OCTETS_MAX:
            raise InvalidValueError(
                "image.identifier", self.identifier, f"1..{_IDENTIFIER_OCTETS_MAX} octets"
            )
        if not 1 <= len(self.octets) <= IMAGE_OCTETS_MAX:
            raise InvalidValueError("image", len(self.octets), f"1..{IMAGE_OCTETS_MAX} octets")
        if not 1 <= self.block_octets <= _BLOCK_OCTETS_MAX:
            raise InvalidValueError(
                "image.block_octets", self.block_octets, f"1..{_BLOCK_OCTETS_MAX}"
            )

    @property
    def block_count(self) -> int:
        """How many blocks there are."""
        return -(-len(self.octets) // self.block_octets)

    def initiate(self) -> tuple[Ref, Data]:
        """Return the call that begins the transfer, and makes the meter forget any other."""
        size = Data(Tag.UINT32, len(self.octets))
        return INITIATE, structure(octet_string(self.identifier), size)

    def block(self, number: int) -> tuple[Ref, Data]:
        """Return the call that transfers one block."""
        begin = number * self.block_octets
        block = self.octets[begin : begin + self.block_octets]
        return BLOCK_TRANSFER, structure(Data(Tag.UINT32, number), octet_string(block))

    def missing(self, status: Data) -> tuple[int, ...] | None:
        """Return which blocks attribute 3 says are still to be sent; None if it counts others.

        A meter that rounds its bits up to octets, or keeps more than this image needs, says so in
        bits behind the last block, and those say nothing.
        """
        if status.tag is not Tag.BIT_STRING or not isinstance(status.value, tuple):
            raise CodecError(f"a bit-string expected, not {status.tag.name}")
        bits = status.value
        if len(bits) < self.block_count or any(bits[self.block_count :]):
            return None
        return tuple(number for number in range(self.block_count) if not bits[number])

    def is_to_activate(self, described: Data) -> bool:
        """Say whether attribute 7 names this image: by its size and its identifier."""
        return any(
            size.as_int() == len(self.octets) and identifier.as_octets() == self.identifier
            for size, identifier, _signature in (item.as_items(3) for item in described.as_items())
        )


def read_identifiers(described: Data) -> tuple[bytes, ...]:
    """Read attribute 7: the identifiers of the images that are to be activated."""
    return tuple(item.as_items(3)[1].as_octets() for item in described.as_items())


def read_block_octets(data: Data) -> int:
    """Read attribute 2."""
    size = data.as_int()
    if not 1 <= size <= _BLOCK_OCTETS_MAX:
        raise CodecError(f"image blocks of {size} octets")
    return size
