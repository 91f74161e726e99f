"""SET: writes attributes, one or a list, and in blocks what does not fit one APDU.

Source: the APDU definitions of IEC 62056-5-3, as copied into public sources.
"""

from dataclasses import dataclass

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.invocation import Invoked, read_head
from quince.protocols.dlms.apdu.reference import (
    Access,
    AccessResult,
    DataBlock,
    Item,
    Ref,
    encode_access,
    encode_access_results,
    encode_items,
    encode_values,
    read_access,
    read_access_result,
    read_access_results,
    read_block,
    read_items,
    read_ref,
    read_values,
)
from quince.protocols.dlms.encoding.axdr import Data, encode, read_data
from quince.protocols.dlms.encoding.reader import Reader

SET_REQUEST = 0xC1
SET_RESPONSE = 0xC5


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRequest(Invoked):
    """Writes one attribute."""

    ref: Ref
    access: Access | None = None
    data: Data

    def encode(self) -> bytes:
        """Write a set-request-normal."""
        head = self.head(SET_REQUEST, 1) + self.ref.encode()
        return head + encode_access(self.access) + encode(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFirstBlockRequest(Invoked):
    """Writes one attribute with a long value, of which this is the first block."""

    ref: Ref
    access: Access | None = None
    block: DataBlock

    def encode(self) -> bytes:
        """Write a set-request-with-first-datablock."""
        head = self.head(SET_REQUEST, 2) + self.ref.encode()
        return head + encode_access(self.access) + self.block.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlockRequest(Invoked):
    """Goes on with a long value."""

    block: DataBlock

    def encode(self) -> bytes:
        """Write a set-request-with-datablock."""
        return self.head(SET_REQUEST, 3) + self.block.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetListRequest(Invoked):
    """Writes several attributes, each with the value in its place."""

    items: tuple[Item, ...]
    values: tuple[Data, ...]

    def encode(self) -> bytes:
        """Write a set-request-with-list."""
        items, values = encode_items(self.items), encode_values(self.values)
        return self.head(SET_REQUEST, 4) + items + values


@dataclass(frozen=True, slots=True, kw_only=True)
class SetListFirstBlockRequest(Invoked):
    """Writes several attributes; their list of values begins in this block."""

    items: tuple[Item, ...]
    block: DataBlock

    def encode(self) -> bytes:
        """Write a set-request-with-list-and-first-datablock."""
        return self.head(SET_REQUEST, 5) + encode_items(self.items) + self.block.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResponse(Invoked):
    """Whether the attribute was written."""

    result: AccessResult

    def encode(self) -> bytes:
        """Write a set-response-normal."""
        return self.head(SET_RESPONSE, 1) + bytes((self.result,))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlockResponse(Invoked):
    """Takes a block, and waits for the next."""

    block_number: int

    def encode(self) -> bytes:
        """Write a set-response-datablock."""
        return self.head(SET_RESPONSE, 2) + self.block_number.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLastBlockResponse(Invoked):
    """Whether the long value was written; also, with any block, why no more are taken."""

    result: AccessResult
    block_number: int

    def encode(self) -> bytes:
        """Write a set-response-last-datablock."""
        number = self.block_number.to_bytes(4, "big")
        return self.head(SET_RESPONSE, 3) + bytes((self.result,)) + number


@dataclass(frozen=True, slots=True, kw_only=True)
class SetListLastBlockResponse(Invoked):
    """Whether each attribute of a long list was written."""

    results: tuple[AccessResult, ...]
    block_number: int

    def encode(self) -> bytes:
        """Write a set-response-last-datablock-with-list."""
        number = self.block_number.to_bytes(4, "big")
        return self.head(SET_RESPONSE, 4) + encode_access_results(self.results) + number


@dataclass(frozen=True, slots=True, kw_only=True)
class SetListResponse(Invoked):
    """Whether each attribute was written."""

    results: tuple[AccessResult, ...]

    def encode(self) -> bytes:
        """Write a set-response-with-list."""
        return self.head(SET_RESPONSE, 5) + encode_access_results(self.results)


AnySetRequest = (
    SetRequest | SetFirstBlockRequest | SetBlockRequest | SetListRequest | SetListFirstBlockRequest
)
AnySetResponse = (
    SetResponse
    | SetBlockResponse
    | SetLastBlockResponse
    | SetListLastBlockResponse
    | SetListResponse
)


def read_set_request(reader: Reader) -> AnySetRequest:
    """Read what follows the tag of a set-request."""
    kind, invoke_id = read_head(reader)
    match kind:
        case 1 | 2:  # normal, with-first-datablock
            ref, access = read_ref(reader), read_access(reader)
            if kind == 1:
                data = read_data(reader)
                return SetRequest(invoke_id=invoke_id, ref=ref, access=access, data=data)
            block = read_block(reader)
            return SetFirstBlockRequest(invoke_id=invoke_id, ref=ref, access=access, block=block)
        case 3:  # with-datablock
            return SetBlockRequest(invoke_id=invoke_id, block=read_block(reader))
        case 4:  # with-list
            items, values = read_items(reader), read_values(reader)
            if len(items) != len(values):
                raise CodecError(f"{len(values)} values for {len(items)} attributes")
            return SetListRequest(invoke_id=invoke_id, items=items, values=values)
        case 5:  # with-list-and-first-datablock
            items, block = read_items(reader), read_block(reader)
            return SetListFirstBlockRequest(invoke_id=invoke_id, items=items, block=block)
        case _:
            raise CodecError(f"a set-request of kind {kind}")


def read_set_response(reader: Reader) -> AnySetResponse:
    """Read what follows the tag of a set-response."""
    kind, invoke_id = read_head(reader)
    match kind:
        case 1:  # normal
            return SetResponse(invoke_id=invoke_id, result=read_access_result(reader))
        case 2:  # datablock
            return SetBlockResponse(invoke_id=invoke_id, block_number=reader.uint(4))
        case 3:  # last-datablock
            result, number = read_access_result(reader), reader.uint(4)
            return SetLastBlockResponse(invoke_id=invoke_id, result=result, block_number=number)
        case 4:  # last-datablock-with-list
            results, number = read_access_results(reader), reader.uint(4)
            return SetListLastBlockResponse(
                invoke_id=invoke_id, results=results, block_number=number
            )
        case 5:  # with-list
            return SetListResponse(invoke_id=invoke_id, results=read_access_results(reader))
        case _:
            raise CodecError(f"a set-response of kind {kind}")
