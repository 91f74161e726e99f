"""What a service speaks of: an attribute or a method, the selection in it, and the outcome."""

from dataclasses import dataclass
from enum import IntEnum

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import Obis
from quince.protocols.dlms.encoding.axdr import Data, encode, read_data
from quince.protocols.dlms.encoding.reader import Reader


class AccessResult(IntEnum):
    """Data-access-result and action-result: where both name a thing, they number it alike."""

    SUCCESS = 0
    HARDWARE_FAULT = 1
    TEMPORARY_FAILURE = 2
    READ_WRITE_DENIED = 3
    OBJECT_UNDEFINED = 4
    OBJECT_CLASS_INCONSISTENT = 9
    OBJECT_UNAVAILABLE = 11
    TYPE_UNMATCHED = 12
    SCOPE_OF_ACCESS_VIOLATED = 13
    DATA_BLOCK_UNAVAILABLE = 14
    LONG_TRANSFER_ABORTED = 15
    NO_LONG_TRANSFER = 16
    LONG_SET_ABORTED = 17
    NO_LONG_SET = 18
    DATA_BLOCK_NUMBER_INVALID = 19
    OTHER_REASON = 250


@dataclass(frozen=True, slots=True)
class Ref:
    """An attribute, or a method, of an object: class, logical name, index."""

    class_id: int
    obis: Obis
    index: int

    def __post_init__(self) -> None:
        if not 0 <= self.class_id <= 0xFFFF:  # noqa: PLR2004 - two octets
            raise InvalidValueError("ref.class_id", self.class_id, "0..65535")
        if not -128 <= self.index <= 127:  # noqa: PLR2004 - one signed octet
            raise InvalidValueError("ref.index", self.index, "-128..127")

    def encode(self) -> bytes:
        """Write the reference as a COSEM attribute or method descriptor."""
        index = self.index.to_bytes(1, "big", signed=True)
        return self.class_id.to_bytes(2, "big") + bytes(self.obis) + index


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A selective access: which rows and columns of a profile (see cosem for the parameters)."""

    selector: int
    parameter: Data


def read_ref(reader: Reader) -> Ref:
    """Read a reference."""
    class_id, name = reader.uint(2), reader.take(6)
    index = int.from_bytes(reader.take(1), "big", signed=True)
    return Ref(class_id, Obis.from_bytes(name), index)


def encode_access(access: Access | None) -> bytes:
    """Write an optional selective access."""
    if access is None:
        return b"\x00"
    return bytes((1, access.selector)) + encode(access.parameter)


def read_access(reader: Reader) -> Access | None:
    """Read an optional selective access."""
    if not reader.flag():
        return None
    return Access(selector=reader.octet(), parameter=read_data(reader))


def read_access_result(reader: Reader) -> AccessResult:
    """Read why an access failed, or that it did not."""
    code = reader.octet()
    try:
        return AccessResult(code)
    except ValueError:
        raise CodecError(f"access result {code}") from None


def encode_result(result: Data | AccessResult) -> bytes:
    """Write data or the reason why there is none."""
    return b"\x00" + encode(result) if isinstance(result, Data) else bytes((1, result))


def read_result(reader: Reader) -> Data | AccessResult:
    """Read data or the reason why there is none."""
    return read_access_result(reader) if reader.flag() else read_data(reader)
