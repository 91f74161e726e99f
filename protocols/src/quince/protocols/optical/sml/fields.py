"""The typed fields SML messages are made of: each begins with its type and its length.

Law: octets that are not exactly such fields raise CodecError; lists nest to DEPTH_MAX, and none
claims more fields than octets are left.
Source: the form is what recordings of 25 meters show, and the names of BSI TR-03109-1 from memory.
"""

from collections.abc import Iterable

from quince.model.errors import CodecError, InvalidValueError

DEPTH_MAX = 16  # a list of values stands four deep
_INTEGER_OCTETS_MAX = 8
_LENGTH_OCTETS_MAX = 4
_OCTETS, _BOOLEAN, _SIGNED, _UNSIGNED, _LIST = 0, 4, 5, 6, 7
_NIBBLE = 0x0F

# None is the end of a message; an optional field that is absent is an empty octet string.
Field = bytes | bool | int | tuple["Field", ...] | None


def parse_fields(octets: bytes) -> list[Field]:
    """Return the fields that stand one after another; CodecError for anything else."""
    reader = _FieldReader(octets)
    fields = []
    while reader.remaining:
        fields.append(reader.field(depth=0))
    return fields


class _FieldReader:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._position = 0

    @property
    def remaining(self) -> int:
        return len(self._octets) - self._position

    def field(self, depth: int) -> Field:
        begin = self._position
        kind, length = self._type_and_length()
        if kind == _OCTETS and length == 0:
            return None
        if kind == _LIST:
            if depth == DEPTH_MAX or length > self.remaining:
                raise CodecError(f"a list of {length} fields at depth {depth}")
            return tuple(self.field(depth + 1) for _ in range(length))
        return _value(kind, self._take(length - (self._position - begin)))

    def _type_and_length(self) -> tuple[int, int]:
        (octet,) = self._take(1)
        kind, length = octet >> 4 & 7, octet & _NIBBLE
        for _ in range(_LENGTH_OCTETS_MAX - 1):
            if not octet & 0x80:
                return kind, length
            (octet,) = self._take(1)
            if octet & 0x70:
                raise CodecError(f"{octet:#04x} goes on with no length")
            length = length << 4 | octet & _NIBBLE
        raise CodecError(f"a length of {_LENGTH_OCTETS_MAX} octets")

    def _take(self, length: int) -> bytes:
        if not 0 <= length <= self.remaining:
            raise CodecError(f"a field of {length} octets where {self.remaining} are left")
        self._position += length
        return self._octets[self._position - length : self._position]


def _value(kind: int, octets: bytes) -> Field:
    if kind == _OCTETS:
        return octets
    if kind == _BOOLEAN and len(octets) == 1:
        return octets != b"\x00"
    if kind in (_SIGNED, _UNSIGNED) and 1 <= len(octets) <= _INTEGER_OCTETS_MAX:
        return int.from_bytes(octets, "big", signed=kind == _SIGNED)
    raise CodecError(f"a field of type {kind} with {len(octets)} octets")


# --- renderers --------------------------------------------------------------------------

END_OF_MESSAGE = b"\x00"
ABSENT = b"\x01"


def octet_string(octets: bytes) -> bytes:
    """Return the field of these octets."""
    return _headed(_OCTETS, octets)


def boolean(*, value: bool) -> bytes:
    """Return the field of a boolean."""
    return _headed(_BOOLEAN, bytes((value,)))


def signed(value: int, octets: int) -> bytes:
    """Return the field of an integer of that many octets."""
    return _headed(_SIGNED, _integer(value, octets, is_signed=True))


def unsigned(value: int, octets: int) -> bytes:
    """Return the field of a non-negative integer of that many octets."""
    return _headed(_UNSIGNED, _integer(value, octets, is_signed=False))


def field_list(fields: Iterable[bytes]) -> bytes:
    """Return the list of these fields."""
    members = list(fields)
    return _head(_LIST, len(members), 0) + b"".join(members)


def _integer(value: int, octets: int, *, is_signed: bool) -> bytes:
    try:
        return value.to_bytes(octets, "big", signed=is_signed)
    except OverflowError as error:
        raise InvalidValueError("integer", value, f"does not fit {octets} octets") from error


def _headed(kind: int, octets: bytes) -> bytes:
    return _head(kind, len(octets), 1) + octets


def _head(kind: int, length: int, each: int) -> bytes:
    """Return type and length; a value's length counts the head's own octets, `each` at a time."""
    for count in range(1, _LENGTH_OCTETS_MAX):
        total = length + each * count
        if total < 1 << 4 * count:
            nibbles = [total >> 4 * i & _NIBBLE for i in reversed(range(count))]
            more = [0x80] * (count - 1) + [0]
            head = [bit | nibble for bit, nibble in zip(more, nibbles, strict=True)]
            return bytes((head[0] | kind << 4, *head[1:]))
    raise InvalidValueError("field", length, "too long for its head")
