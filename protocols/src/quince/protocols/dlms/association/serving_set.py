"""The meter's side of SET: values, lists of them, and both in blocks."""

from dataclasses import dataclass

from quince.model.errors import CodecError, RemoteProtocolError
from quince.protocols.dlms.apdu.reference import AccessResult, DataBlock, Item, read_values
from quince.protocols.dlms.apdu.set import (
    AnySetRequest,
    AnySetResponse,
    SetBlockRequest,
    SetBlockResponse,
    SetFirstBlockRequest,
    SetLastBlockResponse,
    SetListFirstBlockRequest,
    SetListLastBlockResponse,
    SetListRequest,
    SetListResponse,
    SetRequest,
    SetResponse,
)
from quince.protocols.dlms.association.joining import Joining
from quince.protocols.dlms.association.objects import ObjectModel, set_selected
from quince.protocols.dlms.encoding.axdr import Data, decode
from quince.protocols.dlms.encoding.reader import Reader


@dataclass(frozen=True, slots=True)
class _LongSet:
    """A request that comes in blocks."""

    head: SetFirstBlockRequest | SetListFirstBlockRequest
    joining: Joining


class SetService:
    """Writes, and joins what comes in blocks before it writes anything of it."""

    def __init__(self, objects: ObjectModel) -> None:
        self._objects = objects
        self._under_way: _LongSet | None = None

    def forget(self) -> None:
        """Give up a request that is half taken."""
        self._under_way = None

    def answer(self, request: AnySetRequest) -> AnySetResponse:
        """Return whether all was written, or that the next block may come."""
        under_way, self._under_way = self._under_way, None
        match request:
            case SetRequest(ref=ref, access=access, data=data):
                result = set_selected(self._objects, ref, access, data)
                return SetResponse(invoke_id=request.invoke_id, result=result)
            case SetListRequest(items=items, values=values):
                results = self._write(items, values)
                return SetListResponse(invoke_id=request.invoke_id, results=results)
            case SetFirstBlockRequest() | SetListFirstBlockRequest():
                return self._on_block(_LongSet(request, Joining()), request.block)
            case SetBlockRequest(block=block):
                if under_way is None or under_way.head.invoke_id != request.invoke_id:
                    return _refused(request.invoke_id, block, AccessResult.NO_LONG_SET)
                return self._on_block(under_way, block)

    def _write(self, items: tuple[Item, ...], values: tuple[Data, ...]) -> tuple[AccessResult, ...]:
        return tuple(
            [
                set_selected(self._objects, ref, access, data)
                for (ref, access), data in zip(items, values, strict=True)
            ]
        )

    def _on_block(self, under_way: _LongSet, block: DataBlock) -> AnySetResponse:
        head, joining = under_way.head, under_way.joining
        if block.number != joining.number + 1:
            return _refused(head.invoke_id, block, AccessResult.DATA_BLOCK_NUMBER_INVALID)
        try:
            whole = joining.take(block)
        except RemoteProtocolError:
            return _refused(head.invoke_id, block, AccessResult.LONG_SET_ABORTED)
        if whole is None:
            self._under_way = under_way
            return SetBlockResponse(invoke_id=head.invoke_id, block_number=block.number)
        return self._finish(head, block.number, whole)

    def _finish(
        self, head: SetFirstBlockRequest | SetListFirstBlockRequest, number: int, whole: bytes
    ) -> AnySetResponse:
        if isinstance(head, SetFirstBlockRequest):
            result = set_selected(self._objects, head.ref, head.access, decode(whole))
            return SetLastBlockResponse(
                invoke_id=head.invoke_id, result=result, block_number=number
            )
        reader = Reader(whole)
        values = read_values(reader)
        reader.finish("list of values")
        if len(values) != len(head.items):
            raise CodecError(f"{len(values)} values for {len(head.items)} attributes")
        results = self._write(head.items, values)
        return SetListLastBlockResponse(
            invoke_id=head.invoke_id, results=results, block_number=number
        )


def _refused(invoke_id: int, block: DataBlock, problem: AccessResult) -> SetLastBlockResponse:
    return SetLastBlockResponse(invoke_id=invoke_id, result=problem, block_number=block.number)
