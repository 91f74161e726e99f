"""ACCESS: reads, writes and calls in one request, each part with data and a result of its own.

Source: the APDU definitions of IEC 62056-5-3, as copied into public sources.
"""

from dataclasses import dataclass
from enum import IntEnum

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.apdu.invocation import LongInvoked, read_long_invoke_id
from quince.protocols.dlms.apdu.reference import (
    Access,
    AccessResult,
    Ref,
    encode_list,
    encode_values,
    read_access_result,
    read_count,
    read_ref,
    read_values,
)
from quince.protocols.dlms.encoding.axdr import NULL, Data, Value, encode, read_data
from quince.protocols.dlms.encoding.date_time import DATE_TIME_OCTETS
from quince.protocols.dlms.encoding.reader import Reader, sized

ACCESS_REQUEST = 0xD9
ACCESS_RESPONSE = 0xDA


class AccessService(IntEnum):
    """What a part of an ACCESS does."""

    GET = 1
    SET = 2
    ACTION = 3


# A selection makes 4 of GET's 1 and 5 of SET's 2; a method has none.
_WITH_SELECTION = 3
_KINDS = {
    **{service.value: (service, False) for service in AccessService},
    4: (AccessService.GET, True),
    5: (AccessService.SET, True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPart:
    """What is done to an attribute or a method."""

    service: AccessService
    ref: Ref
    access: Access | None = None

    def __post_init__(self) -> None:
        if self.access is not None and self.service is AccessService.ACTION:
            raise InvalidValueError("access", self.access, "nothing is selected from a method")

    def encode(self) -> bytes:
        """Write the part's access-request-specification."""
        if self.access is None:
            return bytes((self.service,)) + self.ref.encode()
        selection = bytes((self.access.selector,)) + encode(self.access.parameter)
        return bytes((self.service + _WITH_SELECTION,)) + self.ref.encode() + selection


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOutcome:
    """How a part went; the data is NULL unless it was read or returned."""

    service: AccessService
    result: AccessResult
    data: Value = NULL


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest(LongInvoked):
    """Parts, each with its data: NULL for GET and for a method without parameter."""

    date_time: bytes = b""
    parts: tuple[AccessPart, ...]
    values: tuple[Data, ...]

    def encode(self) -> bytes:
        """Write the access-request."""
        head = self.head(ACCESS_REQUEST) + sized(self.date_time)
        return head + _encode_parts(self.parts) + encode_values(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessResponse(LongInvoked):
    """The outcomes in the order of the parts, which a meter may repeat: else `parts` is ()."""

    date_time: bytes = b""
    parts: tuple[AccessPart, ...] = ()
    outcomes: tuple[AccessOutcome, ...]

    def encode(self) -> bytes:
        """Write the access-response."""
        head = self.head(ACCESS_RESPONSE) + sized(self.date_time)
        echo = b"\x01" + _encode_parts(self.parts) if self.parts else b"\x00"
        values = encode_values([one.data for one in self.outcomes])
        results = [bytes((one.service, one.result)) for one in self.outcomes]
        return head + echo + values + encode_list(results)


def read_access_request(reader: Reader) -> AccessRequest:
    """Read what follows the tag of an access-request."""
    invoke_id, date_time = read_long_invoke_id(reader), _read_time(reader)
    parts, values = _read_parts(reader), read_values(reader)
    if len(parts) != len(values):
        raise CodecError(f"{len(values)} values for {len(parts)} parts")
    return AccessRequest(invoke_id=invoke_id, date_time=date_time, parts=parts, values=values)


def read_access_response(reader: Reader) -> AccessResponse:
    """Read what follows the tag of an access-response."""
    invoke_id, date_time = read_long_invoke_id(reader), _read_time(reader)
    parts = _read_parts(reader) if reader.flag() else ()
    values = read_values(reader)
    results = [_read_result(reader) for _ in range(read_count(reader, octets_each_min=2))]
    if len(values) != len(results):
        raise CodecError(f"{len(values)} values for {len(results)} results")
    outcomes = tuple(
        AccessOutcome(service=service, result=result, data=data)
        for (service, result), data in zip(results, values, strict=True)
    )
    return AccessResponse(invoke_id=invoke_id, date_time=date_time, parts=parts, outcomes=outcomes)


def _encode_parts(parts: tuple[AccessPart, ...]) -> bytes:
    return encode_list([part.encode() for part in parts])


def _read_parts(reader: Reader) -> tuple[AccessPart, ...]:
    return tuple([_read_part(reader) for _ in range(read_count(reader))])


def _read_part(reader: Reader) -> AccessPart:
    service, is_selective = _read_kind(reader)
    ref = read_ref(reader)
    access = None
    if is_selective:
        access = Access(selector=reader.octet(), parameter=read_data(reader))
    return AccessPart(service=service, ref=ref, access=access)


def _read_kind(reader: Reader) -> tuple[AccessService, bool]:
    kind = reader.octet()
    if kind not in _KINDS:
        raise CodecError(f"a part of kind {kind}")
    return _KINDS[kind]


def _read_result(reader: Reader) -> tuple[AccessService, AccessResult]:
    service, is_selective = _read_kind(reader)
    if is_selective:
        raise CodecError("a result of a selection")
    return service, read_access_result(reader)


def _read_time(reader: Reader) -> bytes:
    date_time = reader.sized()
    if len(date_time) not in (0, DATE_TIME_OCTETS):
        raise CodecError(f"a time of {len(date_time)} octets")
    return date_time
