"""Image transfer: firmware arrives in blocks, is verified for a while, and starts the meter anew.

A simulated firmware is any octets behind which stands their CRC-32: `seal_firmware` writes it.
"""

import zlib
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from quince.firmware_sims.dlms.objects import MeterObject
from quince.model.clock import Clock
from quince.protocols.dlms.apdu.reference import AccessResult
from quince.protocols.dlms.cosem.image import IMAGE_OCTETS_MAX, TransferStatus
from quince.protocols.dlms.cosem.names import IMAGE_TRANSFER, ClassId
from quince.protocols.dlms.encoding.axdr import Data, array, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag

_CHECK_OCTETS = 4
_IDENTIFIER_OCTETS_MAX = 64


def seal_firmware(octets: bytes) -> bytes:
    """Return `octets` as a firmware that a simulated meter accepts."""
    return octets + zlib.crc32(octets).to_bytes(_CHECK_OCTETS, "big")


class ImageTransfer:
    """Takes images of `block_octets` a block, and verifies for `verify_s`.

    The blocks in `loses` are acknowledged and forgotten, once each. `on_activated` hears the
    identifier of what was started.
    """

    def __init__(
        self,
        truth: Clock,
        *,
        block_octets: int,
        verify_s: int,
        loses: Collection[int],
        on_activated: Callable[[bytes], None],
    ) -> None:
        self._truth = truth
        self._block_octets = block_octets
        self._verify_for = timedelta(seconds=verify_s)
        self._to_lose = set(loses)
        self._on_activated = on_activated
        self._is_enabled = False
        self._identifier = b""
        self._octets = 0
        self._blocks: dict[int, bytes] = {}
        self._status = TransferStatus.NOT_INITIATED
        self._verified_utc: datetime | None = None

    def described(self) -> MeterObject:
        """Return the image transfer object."""
        return MeterObject(
            class_id=ClassId.IMAGE_TRANSFER,
            name=IMAGE_TRANSFER,
            reads={
                2: lambda: Data(Tag.UINT32, self._block_octets),
                3: lambda: Data(Tag.BIT_STRING, self._bits()),
                4: self._first_missing,
                5: lambda: Data(Tag.BOOLEAN, self._is_enabled),
                6: lambda: Data(Tag.ENUM, self._now()),
                7: self._to_activate,
            },
            writes={5: self._enable},
            methods={1: self._initiate, 2: self._take, 3: self._verify, 4: self._activate},
        )

    # -- attributes ----------------------------------------------------------------------

    def _bits(self) -> tuple[bool, ...]:
        return tuple(number in self._blocks for number in range(self._block_count()))

    def _block_count(self) -> int:
        return -(-self._octets // self._block_octets)

    def _first_missing(self) -> Data:
        bits = self._bits()
        return Data(Tag.UINT32, bits.index(False) if False in bits else len(bits))

    def _to_activate(self) -> Data:
        if self._now() is not TransferStatus.VERIFICATION_SUCCESSFUL:
            return array(())
        size, name = Data(Tag.UINT32, self._octets), octet_string(self._identifier)
        return array((structure(size, name, octet_string(b"")),))

    def _enable(self, data: Data) -> AccessResult:
        self._is_enabled = bool(data.value)
        return AccessResult.SUCCESS

    def _now(self) -> TransferStatus:
        """Return the status, a verification ended if its time is up."""
        if self._verified_utc is not None and self._truth.now_utc() >= self._verified_utc:
            self._verified_utc = None
            self._status = TransferStatus.VERIFICATION_FAILED
            if self._is_sound():
                self._status = TransferStatus.VERIFICATION_SUCCESSFUL
        return self._status

    def _is_sound(self) -> bool:
        image = b"".join(block for _, block in sorted(self._blocks.items()))
        return all(self._bits()) and image == seal_firmware(image[:-_CHECK_OCTETS])

    # -- methods -------------------------------------------------------------------------

    def _initiate(self, data: Data) -> AccessResult:
        identifier, size = data.as_items(2)
        if not self._is_enabled:
            return AccessResult.READ_WRITE_DENIED
        if not 0 < len(identifier.as_octets()) <= _IDENTIFIER_OCTETS_MAX:
            return AccessResult.TYPE_UNMATCHED
        if not _CHECK_OCTETS < size.as_int() <= IMAGE_OCTETS_MAX:
            return AccessResult.OTHER_REASON
        self._identifier, self._octets = identifier.as_octets(), size.as_int()
        self._blocks = {}
        self._status, self._verified_utc = TransferStatus.INITIATED, None
        return AccessResult.SUCCESS

    def _take(self, data: Data) -> AccessResult:
        number, block = data.as_items(2)
        if self._now() is not TransferStatus.INITIATED:
            return AccessResult.OTHER_REASON
        if not 0 <= number.as_int() < self._block_count():
            return AccessResult.TYPE_UNMATCHED
        if len(block.as_octets()) != self._octets_of(number.as_int()):
            return AccessResult.TYPE_UNMATCHED
        if number.as_int() in self._to_lose:
            self._to_lose.remove(number.as_int())
        else:
            self._blocks[number.as_int()] = block.as_octets()
        return AccessResult.SUCCESS

    def _octets_of(self, number: int) -> int:
        """Return how long a block must be: the last one is what is left."""
        return min(self._block_octets, self._octets - number * self._block_octets)

    def _verify(self, _nothing: Data) -> AccessResult:
        if self._now() is TransferStatus.VERIFICATION_SUCCESSFUL:
            return AccessResult.SUCCESS
        if self._now() is TransferStatus.INITIATED:
            self._status = TransferStatus.VERIFICATION_INITIATED
            self._verified_utc = self._truth.now_utc() + self._verify_for
        match self._now():
            case TransferStatus.VERIFICATION_INITIATED:
                return AccessResult.TEMPORARY_FAILURE
            case TransferStatus.VERIFICATION_SUCCESSFUL:
                return AccessResult.SUCCESS
            case _:
                return AccessResult.OTHER_REASON

    def _activate(self, _nothing: Data) -> AccessResult:
        if self._now() is not TransferStatus.VERIFICATION_SUCCESSFUL:
            return AccessResult.OTHER_REASON
        self._status = TransferStatus.ACTIVATION_SUCCESSFUL
        self._is_enabled = False
        self._on_activated(self._identifier)
        return AccessResult.SUCCESS
