"""The plain APDUs: GET, SET, ACTION, their responses, exception-response, event-notification.

Block forms of SET and ACTION are not read; GET comes in blocks both ways.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.reference import (
    Access,
    AccessResult,
    Ref,
    encode_access,
    encode_result,
    read_access,
    read_access_result,
    read_ref,
    read_result,
)
from quince.protocols.dlms.encoding.axdr import Data, Tag, encode, read_data
from quince.protocols.dlms.encoding.date_time import DATE_TIME_OCTETS
from quince.protocols.dlms.encoding.reader import Reader, encode_length, sized

DATA_NOTIFICATION = 0x0F
GET_REQUEST = 0xC0
SET_REQUEST = 0xC1
EVENT_NOTIFICATION = 0xC2
ACTION_REQUEST = 0xC3
GET_RESPONSE = 0xC4
SET_RESPONSE = 0xC5
ACTION_RESPONSE = 0xC7
EXCEPTION_RESPONSE = 0xD8
_NORMAL, _BLOCK, _LIST = 1, 2, 3
_NEXT = 2
_INVOKE_ID_BITS = 0x0F
_REFERENCES_MAX = 255
# The standard marks the time of an event with 01; meters in the field (MX382) send a 09.
_TIME_PRESENT = 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRequest:
    """One attribute, or several (with-list)."""

    invoke_id: int
    items: tuple[tuple[Ref, Access | None], ...]

    def encode(self) -> bytes:
        """Write a get-request-normal, or with-list for several items."""
        items = b"".join(ref.encode() + encode_access(access) for ref, access in self.items)
        if len(self.items) == 1:
            return _head(GET_REQUEST, _NORMAL, self.invoke_id) + items
        count = encode_length(len(self.items))
        return _head(GET_REQUEST, _LIST, self.invoke_id) + count + items


@dataclass(frozen=True, slots=True, kw_only=True)
class GetNextRequest:
    """Asks for the block behind `block_number`."""

    invoke_id: int
    block_number: int

    def encode(self) -> bytes:
        """Write a get-request-next."""
        return _head(GET_REQUEST, _NEXT, self.invoke_id) + self.block_number.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResponse:
    """One result, data or refusal, or one for each item of a list."""

    invoke_id: int
    results: tuple[Data | AccessResult, ...]
    is_list: bool = False

    def body(self) -> bytes:
        """Write what may travel in blocks: the bare value, or the list of results."""
        if self.is_list:
            return encode_length(len(self.results)) + b"".join(map(encode_result, self.results))
        return b"".join(encode(result) for result in self.results if isinstance(result, Data))

    def encode(self) -> bytes:
        """Write a get-response-normal or with-list."""
        if self.is_list:
            return _head(GET_RESPONSE, _LIST, self.invoke_id) + self.body()
        return _head(GET_RESPONSE, _NORMAL, self.invoke_id) + encode_result(self.results[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class GetBlockResponse:
    """One block of a long result, or why there is none."""

    invoke_id: int
    last: bool
    block_number: int
    block: bytes | AccessResult

    def encode(self) -> bytes:
        """Write a get-response-with-datablock."""
        head = _head(GET_RESPONSE, _BLOCK, self.invoke_id) + bytes((self.last,))
        if isinstance(self.block, AccessResult):
            result = bytes((1, self.block))
        else:
            result = b"\x00" + sized(self.block)
        return head + self.block_number.to_bytes(4, "big") + result


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRequest:
    """Writes one attribute."""

    invoke_id: int
    ref: Ref
    access: Access | None
    data: Data

    def encode(self) -> bytes:
        """Write a set-request-normal."""
        head = _head(SET_REQUEST, _NORMAL, self.invoke_id) + self.ref.encode()
        return head + encode_access(self.access) + encode(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResponse:
    """Whether the attribute was written."""

    invoke_id: int
    result: AccessResult

    def encode(self) -> bytes:
        """Write a set-response-normal."""
        return _head(SET_RESPONSE, _NORMAL, self.invoke_id) + bytes((self.result,))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """Calls one method."""

    invoke_id: int
    ref: Ref
    data: Data | None

    def encode(self) -> bytes:
        """Write an action-request-normal."""
        head = _head(ACTION_REQUEST, _NORMAL, self.invoke_id) + self.ref.encode()
        return head + (b"\x00" if self.data is None else b"\x01" + encode(self.data))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResponse:
    """What the method returned, if anything."""

    invoke_id: int
    result: AccessResult
    data: Data | AccessResult | None = None

    def encode(self) -> bytes:
        """Write an action-response-normal."""
        head = _head(ACTION_RESPONSE, _NORMAL, self.invoke_id) + bytes((self.result,))
        return head + (b"\x00" if self.data is None else b"\x01" + encode_result(self.data))


class StateError(IntEnum):
    """Why a service was not performed: not here, or not known."""

    SERVICE_NOT_ALLOWED = 1
    SERVICE_UNKNOWN = 2


class ServiceError(IntEnum):
    """The service's own reason."""

    OPERATION_NOT_POSSIBLE = 1
    SERVICE_NOT_SUPPORTED = 2
    OTHER_REASON = 3
    PDU_TOO_LONG = 4
    DECIPHERING_ERROR = 5
    INVOCATION_COUNTER_ERROR = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionResponse:
    """A request that was not even tried; codes as given, known or not."""

    state_error: int
    service_error: int
    expected_counter: int | None = None

    def encode(self) -> bytes:
        """Write the exception-response."""
        head = bytes((EXCEPTION_RESPONSE, self.state_error, self.service_error))
        if self.expected_counter is None:
            return head
        return head + self.expected_counter.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventNotification:
    """What a meter says unasked: an attribute's value, with the meter's time as its 12 octets."""

    date_time: bytes | None
    ref: Ref
    data: Data

    def encode(self) -> bytes:
        """Write the event-notification, its time marked as meters in the field do."""
        time = b"\x00"
        if self.date_time is not None:
            time = bytes((Tag.OCTET_STRING,)) + sized(self.date_time)
        return bytes((EVENT_NOTIFICATION,)) + time + self.ref.encode() + encode(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataNotification:
    """A list that a meter pushes: to a consumer's port every few seconds, to a head-end daily."""

    date_time: bytes | None
    data: Data

    def encode(self) -> bytes:
        """Write the data-notification."""
        time = b"\x00" if self.date_time is None else sized(self.date_time)
        return bytes((DATA_NOTIFICATION,)) + bytes(4) + time + encode(self.data)


Request = GetRequest | GetNextRequest | SetRequest | ActionRequest
Response = GetResponse | GetBlockResponse | SetResponse | ActionResponse
Apdu = Request | Response | ExceptionResponse | EventNotification | DataNotification


def decode_apdu(octets: bytes) -> Apdu:
    """Read one plain APDU; CodecError for the kinds not spoken here."""
    reader = Reader(octets)
    tag = reader.octet()
    if tag not in _READERS:
        raise CodecError(f"APDU tag {tag:#04x} is not spoken here")
    apdu = _READERS[tag](reader)
    reader.finish("APDU")
    return apdu


def decode_exception(octets: bytes) -> ExceptionResponse:
    """Read an exception-response."""
    reader = Reader(octets)
    if reader.octet() != EXCEPTION_RESPONSE:
        raise CodecError("an exception-response expected")
    exception = _read_exception(reader)
    reader.finish("exception-response")
    return exception


def _head(tag: int, kind: int, invoke_id: int) -> bytes:
    # Confirmed service, high priority, as every client seen in the field asks.
    return bytes((tag, kind, 0xC0 | invoke_id))


def _read_results(reader: Reader) -> tuple[Data | AccessResult, ...]:
    count = reader.length()
    if not 0 < count <= min(_REFERENCES_MAX, reader.remaining):
        raise CodecError(f"{count} results in {reader.remaining} octets")
    return tuple(read_result(reader) for _ in range(count))


def _read_kind(reader: Reader) -> tuple[int, int]:
    return reader.octet(), reader.octet() & _INVOKE_ID_BITS


def _require_normal(kind: int, what: str) -> None:
    if kind != _NORMAL:
        raise CodecError(f"{what} of kind {kind} is not spoken here")


def _read_get_request(reader: Reader) -> GetRequest | GetNextRequest:
    kind, invoke_id = _read_kind(reader)
    if kind == _NEXT:
        return GetNextRequest(invoke_id=invoke_id, block_number=reader.uint(4))
    count = reader.length() if kind == _LIST else 1
    if kind not in (_NORMAL, _LIST) or not 0 < count <= _REFERENCES_MAX:
        raise CodecError(f"get-request of kind {kind}, {count} items")
    items = tuple((read_ref(reader), read_access(reader)) for _ in range(count))
    return GetRequest(invoke_id=invoke_id, items=items)


def _read_get_response(reader: Reader) -> GetResponse | GetBlockResponse:
    kind, invoke_id = _read_kind(reader)
    if kind == _BLOCK:
        return _read_block(reader, invoke_id)
    if kind == _LIST:
        return GetResponse(invoke_id=invoke_id, results=_read_results(reader), is_list=True)
    _require_normal(kind, "get-response")
    return GetResponse(invoke_id=invoke_id, results=(read_result(reader),))


def _read_block(reader: Reader, invoke_id: int) -> GetBlockResponse:
    last, number = reader.flag(), reader.uint(4)
    block = read_access_result(reader) if reader.flag() else reader.sized()
    return GetBlockResponse(invoke_id=invoke_id, last=last, block_number=number, block=block)


def _read_set_request(reader: Reader) -> SetRequest:
    kind, invoke_id = _read_kind(reader)
    _require_normal(kind, "set-request")
    ref, access = read_ref(reader), read_access(reader)
    return SetRequest(invoke_id=invoke_id, ref=ref, access=access, data=read_data(reader))


def _read_set_response(reader: Reader) -> SetResponse:
    kind, invoke_id = _read_kind(reader)
    _require_normal(kind, "set-response")
    return SetResponse(invoke_id=invoke_id, result=read_access_result(reader))


def _read_action_request(reader: Reader) -> ActionRequest:
    kind, invoke_id = _read_kind(reader)
    _require_normal(kind, "action-request")
    ref = read_ref(reader)
    data = read_data(reader) if reader.flag() else None
    return ActionRequest(invoke_id=invoke_id, ref=ref, data=data)


def _read_action_response(reader: Reader) -> ActionResponse:
    kind, invoke_id = _read_kind(reader)
    _require_normal(kind, "action-response")
    result = read_access_result(reader)
    data = read_result(reader) if reader.flag() else None
    return ActionResponse(invoke_id=invoke_id, result=result, data=data)


def _read_exception(reader: Reader) -> ExceptionResponse:
    state_error, service_error = reader.octet(), reader.octet()
    counter = reader.uint(4) if reader.remaining else None
    return ExceptionResponse(
        state_error=state_error, service_error=service_error, expected_counter=counter
    )


def _read_event(reader: Reader) -> EventNotification:
    marker = reader.octet()
    if marker not in (0, _TIME_PRESENT, Tag.OCTET_STRING):
        raise CodecError(f"a time marked {marker:#04x}")
    date_time = reader.sized() if marker else None
    if date_time is not None and len(date_time) != DATE_TIME_OCTETS:
        raise CodecError(f"a time of {len(date_time)} octets")
    return EventNotification(date_time=date_time, ref=read_ref(reader), data=read_data(reader))


def _read_data_notification(reader: Reader) -> DataNotification:
    reader.uint(4)  # long-invoke-id-and-priority: nobody answers a notification
    length = reader.octet()
    if length == Tag.OCTET_STRING:
        length = reader.octet()  # some meters mark the time as a value
    if length not in (0, DATE_TIME_OCTETS):
        raise CodecError(f"a time of {length} octets")
    date_time = reader.take(length) if length else None
    return DataNotification(date_time=date_time, data=read_data(reader))


_READERS: dict[int, Callable[[Reader], Apdu]] = {
    GET_REQUEST: _read_get_request,
    SET_REQUEST: _read_set_request,
    ACTION_REQUEST: _read_action_request,
    GET_RESPONSE: _read_get_response,
    SET_RESPONSE: _read_set_response,
    ACTION_RESPONSE: _read_action_response,
    EXCEPTION_RESPONSE: _read_exception,
    EVENT_NOTIFICATION: _read_event,
    DATA_NOTIFICATION: _read_data_notification,
}
