"""General block transfer: the APDU that carries a numbered piece of any other APDU.

Source: Green Book (DLMS UA 1000-2), 9.4.6.13, in part as copied into public pages.
"""

from dataclasses import dataclass

from quince.model.errors import InvalidValueError
from quince.protocols.dlms.encoding.reader import Reader, sized

GENERAL_BLOCK_TRANSFER = 0xE0
# Six bits say how many blocks the sender can take in a row.
WINDOW_MAX = 63
BLOCK_NUMBER_MAX = 0xFFFF
# Tag, control, number, number acknowledged, and a length in long form.
BLOCK_HEAD_OCTETS = 9
_LAST, _STREAMING = 0x80, 0x40


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralBlock:
    """One block, or with no octets a mere acknowledgement.

    `last` is said of the message, `streaming` that more follow before an answer is awaited;
    `window` is how many blocks its sender takes in a row, `acknowledged` the number up to which
    it has all of the other side's.
    """

    last: bool
    streaming: bool = False
    window: int
    number: int
    acknowledged: int
    octets: bytes = b""

    def __post_init__(self) -> None:
        if not 0 <= self.window <= WINDOW_MAX:
            raise InvalidValueError("window", self.window, f"0..{WINDOW_MAX}")
        for name in ("number", "acknowledged"):
            if not 0 <= getattr(self, name) <= BLOCK_NUMBER_MAX:
                raise InvalidValueError(name, getattr(self, name), f"0..{BLOCK_NUMBER_MAX}")

    def encode(self) -> bytes:
        """Write the general-block-transfer."""
        control = (_LAST if self.last else 0) | (_STREAMING if self.streaming else 0) | self.window
        numbers = self.number.to_bytes(2, "big") + self.acknowledged.to_bytes(2, "big")
        return bytes((GENERAL_BLOCK_TRANSFER, control)) + numbers + sized(self.octets)


def read_general_block(reader: Reader) -> GeneralBlock:
    """Read what follows the tag of a general-block-transfer."""
    control = reader.octet()
    return GeneralBlock(
        last=bool(control & _LAST),
        streaming=bool(control & _STREAMING),
        window=control & WINDOW_MAX,
        number=reader.uint(2),
        acknowledged=reader.uint(2),
        octets=reader.sized(),
    )


def decode_general_block(octets: bytes) -> GeneralBlock | None:
    """Read a general-block-transfer; None if `octets` are another APDU."""
    reader = Reader(octets)
    if reader.octet() != GENERAL_BLOCK_TRANSFER:
        return None
    block = read_general_block(reader)
    reader.finish("block")
    return block
