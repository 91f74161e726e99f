"""GET: reads attributes, one or a list, and in blocks what does not fit one APDU.

Source: the APDU definitions of IEC 62056-5-3, as copied into public sources.
"""

from dataclasses import dataclass

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.invocation import Invoked, read_head
from quince.protocols.dlms.apdu.reference import (
    Access,
    AccessResult,
    Item,
    Ref,
    Result,
    encode_access,
    encode_items,
    encode_list,
    encode_result,
    read_access,
    read_access_result,
    read_items,
    read_last_result,
    read_ref,
    read_results,
)
from quince.protocols.dlms.encoding.reader import Reader, sized

GET_REQUEST = 0xC0
GET_RESPONSE = 0xC4


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRequest(Invoked):
    """Reads one attribute, or the selected part of it."""

    ref: Ref
    access: Access | None = None

    def encode(self) -> bytes:
        """Write a get-request-normal."""
        return self.head(GET_REQUEST, 1) + self.ref.encode() + encode_access(self.access)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetListRequest(Invoked):
    """Reads several attributes."""

    items: tuple[Item, ...]

    def encode(self) -> bytes:
        """Write a get-request-with-list."""
        return self.head(GET_REQUEST, 3) + encode_items(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetNextRequest(Invoked):
    """Asks for the block behind `block_number`."""

    block_number: int

    def encode(self) -> bytes:
        """Write a get-request-next."""
        return self.head(GET_REQUEST, 2) + self.block_number.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResponse(Invoked):
    """Data or a refusal. Read from the wire the data is Encoded: a profile is long."""

    result: Result

    def encode(self) -> bytes:
        """Write a get-response-normal."""
        return self.head(GET_RESPONSE, 1) + encode_result(self.result)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetListResponse(Invoked):
    """Data or a refusal for each item, in their order."""

    results: tuple[Result, ...]

    def encode(self) -> bytes:
        """Write a get-response-with-list."""
        results = [encode_result(result) for result in self.results]
        return self.head(GET_RESPONSE, 3) + encode_list(results)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetBlockResponse(Invoked):
    """One block of a long result, or why there is none.

    The blocks of one attribute are its bare value; those of a list begin with its count.
    """

    last: bool
    block_number: int
    block: bytes | AccessResult

    def encode(self) -> bytes:
        """Write a get-response-with-datablock."""
        head = self.head(GET_RESPONSE, 2) + bytes((self.last,))
        if isinstance(self.block, AccessResult):
            result = bytes((1, self.block))
        else:
            result = b"\x00" + sized(self.block)
        return head + self.block_number.to_bytes(4, "big") + result


AnyGetRequest = GetRequest | GetListRequest | GetNextRequest
AnyGetResponse = GetResponse | GetListResponse | GetBlockResponse


def read_get_request(reader: Reader) -> AnyGetRequest:
    """Read what follows the tag of a get-request."""
    kind, invoke_id = read_head(reader)
    match kind:
        case 1:  # normal
            return GetRequest(invoke_id=invoke_id, ref=read_ref(reader), access=read_access(reader))
        case 2:  # next
            return GetNextRequest(invoke_id=invoke_id, block_number=reader.uint(4))
        case 3:  # with-list
            return GetListRequest(invoke_id=invoke_id, items=read_items(reader))
        case _:
            raise CodecError(f"a get-request of kind {kind}")


def read_get_response(reader: Reader) -> AnyGetResponse:
    """Read what follows the tag of a get-response."""
    kind, invoke_id = read_head(reader)
    match kind:
        case 1:  # normal
            return GetResponse(invoke_id=invoke_id, result=read_last_result(reader))
        case 2:  # with-datablock
            return _read_block(reader, invoke_id)
        case 3:  # with-list
            return GetListResponse(invoke_id=invoke_id, results=read_results(reader))
        case _:
            raise CodecError(f"a get-response of kind {kind}")


def _read_block(reader: Reader, invoke_id: int) -> GetBlockResponse:
    last, number = reader.flag(), reader.uint(4)
    block = read_access_result(reader) if reader.flag() else reader.sized()
    return GetBlockResponse(invoke_id=invoke_id, last=last, block_number=number, block=block)
