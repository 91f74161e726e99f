"""General block transfer, either side of it: cuts the APDU to send, joins the one that comes.

    transfer = BlockTransfer(pdu_octets_max=..., window=...)
    for apdu in transfer.send(long_apdu): ...
    step = transfer.receive(block)      # what to send now, and the whole APDU if it is there

Every block a side sends has the next number, mere acknowledgements too. A sender gives as many
blocks in a row ("streaming") as the other side's window allows, and waits; the receiver then says
up to which number it has them all, and the sender goes on behind that: so lost blocks come again.

Law: what is joined ends at TRANSFER_OCTETS_MAX, and blocks that bring nothing new at
STALLED_BLOCKS_MAX.

Source: Green Book (DLMS UA 1000-2), 9.4.6.13, in part as copied into public pages; the numbering
of acknowledgements and that a complete answer is not acknowledged, as Gurux's client does it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from quince.model.errors import InvalidValueError, LocalProtocolError, RemoteProtocolError
from quince.protocols.dlms.apdu.block_transfer import (
    BLOCK_HEAD_OCTETS,
    BLOCK_NUMBER_MAX,
    WINDOW_MAX,
    GeneralBlock,
)
from quince.protocols.dlms.association.joining import TRANSFER_OCTETS_MAX

# Three windows of the largest kind, all of them behind a block that does not arrive.
STALLED_BLOCKS_MAX = 3 * WINDOW_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a received block leads to: blocks to send, and the other side's APDU once complete."""

    to_send: tuple[bytes, ...] = ()
    apdu: bytes | None = None


class BlockTransfer:
    """One message each way, in blocks.

    `pdu_octets_max` is the largest APDU the other side receives; `window` is how many blocks in a
    row we take, and 0 sends without waiting, for messages that nobody answers.
    """

    def __init__(self, *, pdu_octets_max: int, window: int) -> None:
        if not 0 <= window <= WINDOW_MAX:
            raise InvalidValueError("window", window, f"0..{WINDOW_MAX}")
        self._block_octets = pdu_octets_max - BLOCK_HEAD_OCTETS
        self._window = window
        self._peer_window = 1  # until it says otherwise
        self._pieces: list[bytes] = []
        self._first = 0  # the number of the first piece
        self._number = 0  # the last number we used
        self._acknowledged = 0  # up to which the other side has ours
        self._has = 0  # up to which we have the other side's
        self._joined = bytearray()
        self._is_begun = False  # whether a block of the other side's message came
        self._is_joined = False
        self._stalled = 0

    def send(self, apdu: bytes) -> tuple[bytes, ...]:
        """Return the first blocks of `apdu`, which is sent after what was received, if anything.

        LocalProtocolError if it needs more blocks than can be numbered.
        """
        size = self._block_octets
        if size < 1:
            raise LocalProtocolError("the other side receives no block")
        self._pieces = [apdu[at : at + size] for at in range(0, len(apdu), size)]
        self._first = self._number + 1
        self._number += len(self._pieces)
        if self._number > BLOCK_NUMBER_MAX:
            raise LocalProtocolError(f"{len(apdu)} octets are more than {BLOCK_NUMBER_MAX} blocks")
        self._acknowledged = self._first - 1
        return self._next_window()

    def receive(self, block: GeneralBlock) -> Step:
        """Take a block; RemoteProtocolError if it makes no sense here."""
        self._peer_window = max(1, block.window)
        self._heed(is_new=self._took_acknowledgement(block) | self._took_octets(block))
        if self._is_joined:
            apdu, self._joined, self._is_joined = bytes(self._joined), bytearray(), False
            return Step(apdu=apdu)
        if block.streaming:
            return Step()
        if self._acknowledged < self._last_piece:
            return Step(to_send=self._next_window())
        # Nobody waits for an answer behind a window of 0, or behind a bare acknowledgement.
        is_awaited = block.octets and block.window
        return Step(to_send=(self._acknowledge(),) if is_awaited else ())

    def _heed(self, *, is_new: bool) -> None:
        self._stalled = 0 if is_new else self._stalled + 1
        if self._stalled > STALLED_BLOCKS_MAX:
            raise RemoteProtocolError(f"{self._stalled} blocks with nothing new")

    def repeat(self) -> tuple[bytes, ...]:
        """Return what makes the other side go on, when nothing more of it is heard."""
        if self._acknowledged < self._last_piece:
            return self._next_window()
        return (self._acknowledge(),)

    def _acknowledge(self) -> bytes:
        if self._number == BLOCK_NUMBER_MAX:
            raise RemoteProtocolError("more blocks to acknowledge than can be numbered")
        self._number += 1
        return self._block(self._number, b"", last=True)

    # -- what we send --------------------------------------------------------------------

    @property
    def _last_piece(self) -> int:
        return self._first + len(self._pieces) - 1 if self._pieces else 0

    def _next_window(self) -> tuple[bytes, ...]:
        first = self._acknowledged + 1
        count = len(self._pieces) if self._window == 0 else self._peer_window
        return tuple(self._numbered(first, min(first + count - 1, self._last_piece)))

    def _numbered(self, first: int, last: int) -> Iterator[bytes]:
        for number in range(first, last + 1):
            yield self._block(
                number,
                self._pieces[number - self._first],
                last=number == self._last_piece,
                streaming=number != last,
            )

    def _block(self, number: int, octets: bytes, *, last: bool, streaming: bool = False) -> bytes:
        return GeneralBlock(
            last=last,
            streaming=streaming,
            window=self._window,
            number=number,
            acknowledged=self._has,
            octets=octets,
        ).encode()

    # -- what we take --------------------------------------------------------------------

    def _took_acknowledgement(self, block: GeneralBlock) -> bool:
        """Note what the other side has of ours; say whether that is more than before."""
        if block.acknowledged > self._number:
            raise RemoteProtocolError(f"block {block.acknowledged} acknowledged, and never sent")
        if block.acknowledged <= self._acknowledged:
            return False
        self._acknowledged = block.acknowledged
        return True

    def _took_octets(self, block: GeneralBlock) -> bool:
        """Join the block if it is the next; say whether it was."""
        is_next = block.number == self._has + 1
        # Some count only blocks with octets: theirs begin at 1 behind acknowledgements too.
        is_first = block.number == 1 and bool(block.octets) and not self._is_begun
        if not is_next and not is_first:
            return False
        if len(self._joined) + len(block.octets) > TRANSFER_OCTETS_MAX:
            raise RemoteProtocolError(f"more than {TRANSFER_OCTETS_MAX} octets in blocks")
        self._has = block.number
        self._joined += block.octets
        if not block.octets:
            return False
        self._is_begun, self._is_joined = True, block.last
        self._acknowledged = self._last_piece  # its message begins when it has all of ours
        return True
