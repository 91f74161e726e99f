"""The meter's side of GET: values, lists of them, and both in blocks."""

from quince.protocols.dlms.apdu.get import (
    AnyGetRequest,
    AnyGetResponse,
    GetBlockResponse,
    GetListRequest,
    GetListResponse,
    GetNextRequest,
    GetRequest,
    GetResponse,
)
from quince.protocols.dlms.apdu.reference import AccessResult, encode_list, encode_result
from quince.protocols.dlms.association.joining import Cutting
from quince.protocols.dlms.association.objects import ObjectModel
from quince.protocols.dlms.encoding.axdr import Encoded, encode

# Tag, kind, invoke id, and the choice of data.
_HEAD_OCTETS = 4


class GetService:
    """Answers in APDUs of `room_octets`; whole, however long, if `in_blocks` was not agreed on."""

    def __init__(self, objects: ObjectModel, *, room_octets: int, in_blocks: bool) -> None:
        self._objects = objects
        self._room_octets = room_octets
        self._in_blocks = in_blocks
        self._cutting: Cutting | None = None
        self._invoke_id = 0

    def forget(self) -> None:
        """Give up an answer that is half given."""
        self._cutting = None

    def answer(self, request: AnyGetRequest) -> AnyGetResponse:
        """Return the answer or its first block; or the next one, if that is asked for."""
        cutting, self._cutting = self._cutting, None
        match request:
            case GetRequest():
                return self._one(request)
            case GetListRequest():
                return self._list(request)
            case GetNextRequest():
                return self._next(request, cutting)

    def _one(self, request: GetRequest) -> AnyGetResponse:
        result = self._objects.get(request.ref, request.access)
        if isinstance(result, AccessResult):
            return GetResponse(invoke_id=request.invoke_id, result=result)
        octets = encode(result)
        if self._fits(octets):
            return GetResponse(invoke_id=request.invoke_id, result=Encoded(octets))
        return self._begin(request.invoke_id, octets)

    def _list(self, request: GetListRequest) -> AnyGetResponse:
        results = tuple([self._objects.get(ref, access) for ref, access in request.items])
        octets = encode_list([encode_result(result) for result in results])
        if self._fits(octets):
            return GetListResponse(invoke_id=request.invoke_id, results=results)
        return self._begin(request.invoke_id, octets)

    def _fits(self, octets: bytes) -> bool:
        return not self._in_blocks or len(octets) + _HEAD_OCTETS <= self._room_octets

    def _begin(self, invoke_id: int, octets: bytes) -> GetBlockResponse:
        self._invoke_id = invoke_id
        return self._block(Cutting(octets))

    def _next(self, request: GetNextRequest, cutting: Cutting | None) -> GetBlockResponse:
        if cutting is None or request.invoke_id != self._invoke_id:
            return _refused(request, AccessResult.NO_LONG_TRANSFER)
        if request.block_number != cutting.number:
            return _refused(request, AccessResult.DATA_BLOCK_NUMBER_INVALID)
        return self._block(cutting)

    def _block(self, cutting: Cutting) -> GetBlockResponse:
        block = cutting.next(self._room_octets - _HEAD_OCTETS)
        self._cutting = None if block.last else cutting
        return GetBlockResponse(
            invoke_id=self._invoke_id,
            last=block.last,
            block_number=block.number,
            block=block.octets,
        )


def _refused(request: GetNextRequest, problem: AccessResult) -> GetBlockResponse:
    return GetBlockResponse(
        invoke_id=request.invoke_id, last=True, block_number=request.block_number, block=problem
    )
