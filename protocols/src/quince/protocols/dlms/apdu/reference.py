"""What a service speaks of: an attribute or a method, the selection in it, and the outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import Obis
from quince.protocols.dlms.encoding.axdr import Data, Encoded, Value, encode, read_data
from quince.protocols.dlms.encoding.reader import Reader, encode_length, sized

# A list's length in one octet; no list of references seen comes near it.
REFERENCES_MAX = 255
_REF_OCTETS = 9


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


Item = tuple[Ref, Access | None]
Result = Value | AccessResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a method returned, if anything, and how it went."""

    result: AccessResult
    data: Result | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataBlock:
    """A piece of a long SET value or ACTION parameter, counted from 1 ("DataBlock-SA")."""

    last: bool
    number: int
    octets: bytes

    def encode(self) -> bytes:
        """Write the block."""
        return bytes((self.last,)) + self.number.to_bytes(4, "big") + sized(self.octets)


def read_block(reader: Reader) -> DataBlock:
    """Read a block."""
    return DataBlock(last=reader.flag(), number=reader.uint(4), octets=reader.sized())


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


def encode_result(result: Result) -> bytes:
    """Write data or the reason why there is none."""
    if isinstance(result, AccessResult):
        return bytes((1, result))
    return b"\x00" + encode(result)


def read_result(reader: Reader) -> Data | AccessResult:
    """Read data or the reason why there is none."""
    return read_access_result(reader) if reader.flag() else read_data(reader)


def read_last_result(reader: Reader) -> Encoded | AccessResult:
    """Read a result that ends its APDU: the data, however long, is left as it came."""
    return read_access_result(reader) if reader.flag() else Encoded(reader.rest())


def encode_outcome(outcome: Outcome) -> bytes:
    """Write what a method returned."""
    data = b"\x00" if outcome.data is None else b"\x01" + encode_result(outcome.data)
    return bytes((outcome.result,)) + data


def read_outcome(reader: Reader) -> Outcome:
    """Read what a method returned."""
    result = read_access_result(reader)
    return Outcome(result=result, data=read_result(reader) if reader.flag() else None)


# -- lists ---------------------------------------------------------------------------------


def encode_list(parts: Sequence[bytes]) -> bytes:
    """Write parts behind their count; InvalidValueError if a list cannot have so many, or none."""
    if not 0 < len(parts) <= REFERENCES_MAX:
        raise InvalidValueError("list", len(parts), f"1..{REFERENCES_MAX} references")
    return encode_length(len(parts)) + b"".join(parts)


def read_count(reader: Reader, *, octets_each_min: int = 1) -> int:
    """Read how many parts a list has."""
    count = reader.count("parts", octets_each_min=octets_each_min)
    if not 0 < count <= REFERENCES_MAX:
        raise CodecError(f"a list of {count} references")
    return count


def encode_items(items: Sequence[Item]) -> bytes:
    """Write a list of attributes, each with its selection."""
    return encode_list([ref.encode() + encode_access(access) for ref, access in items])


def read_items(reader: Reader) -> tuple[Item, ...]:
    """Read a list of attributes."""
    count = read_count(reader, octets_each_min=_REF_OCTETS + 1)
    return tuple([(read_ref(reader), read_access(reader)) for _ in range(count)])


def encode_refs(refs: Sequence[Ref]) -> bytes:
    """Write a list of methods."""
    return encode_list([ref.encode() for ref in refs])


def read_refs(reader: Reader) -> tuple[Ref, ...]:
    """Read a list of methods."""
    count = read_count(reader, octets_each_min=_REF_OCTETS)
    return tuple([read_ref(reader) for _ in range(count)])


def encode_values(values: Sequence[Value]) -> bytes:
    """Write a list of values."""
    return encode_list([encode(value) for value in values])


def read_values(reader: Reader) -> tuple[Data, ...]:
    """Read a list of values."""
    return tuple([read_data(reader) for _ in range(read_count(reader))])


def read_outcomes(reader: Reader) -> tuple[Outcome, ...]:
    """Read a list of what methods returned."""
    return tuple([read_outcome(reader) for _ in range(read_count(reader))])


def read_results(reader: Reader) -> tuple[Data | AccessResult, ...]:
    """Read a list of results."""
    return tuple([read_result(reader) for _ in range(read_count(reader))])


def encode_access_results(results: Sequence[AccessResult]) -> bytes:
    """Write a list of bare outcomes."""
    return encode_list([bytes((result,)) for result in results])


def read_access_results(reader: Reader) -> tuple[AccessResult, ...]:
    """Read a list of bare outcomes."""
    return tuple([read_access_result(reader) for _ in range(read_count(reader))])
