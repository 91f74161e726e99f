"""The meter's side of ACTION: calls, lists of them, and both in blocks, question and answer."""

from dataclasses import dataclass

from quince.model.errors import CodecError, RemoteProtocolError
from quince.protocols.dlms.apdu.action import (
    ActionBlockRequest,
    ActionBlockResponse,
    ActionFirstBlockRequest,
    ActionListFirstBlockRequest,
    ActionListRequest,
    ActionListResponse,
    ActionNextRequest,
    ActionNextResponse,
    ActionRequest,
    ActionResponse,
    AnyActionRequest,
    AnyActionResponse,
)
from quince.protocols.dlms.apdu.reference import (
    AccessResult,
    DataBlock,
    Outcome,
    Ref,
    encode_list,
    encode_outcome,
    read_values,
)
from quince.protocols.dlms.association.joining import Cutting, Joining
from quince.protocols.dlms.association.objects import ObjectModel
from quince.protocols.dlms.encoding.axdr import Data, Encoded, decode, encode
from quince.protocols.dlms.encoding.reader import Reader
from quince.protocols.dlms.encoding.tags import Tag

# Tag, kind, invoke id; and around data in one piece the result, its presence and its choice.
_HEAD_OCTETS = 3
_RESULT_OCTETS = 3


@dataclass(frozen=True, slots=True)
class _LongCall:
    """A request that comes in blocks."""

    head: ActionFirstBlockRequest | ActionListFirstBlockRequest
    joining: Joining


class ActionService:
    """Calls; answers in APDUs of `room_octets`, or whole if `in_blocks` was not agreed on."""

    def __init__(self, objects: ObjectModel, *, room_octets: int, in_blocks: bool) -> None:
        self._objects = objects
        self._room_octets = room_octets
        self._in_blocks = in_blocks
        self._under_way: _LongCall | None = None
        self._cutting: Cutting | None = None
        self._invoke_id = 0

    def forget(self) -> None:
        """Give up a request that is half taken, and an answer that is half given."""
        self._under_way = self._cutting = None

    def answer(self, request: AnyActionRequest) -> AnyActionResponse:
        """Return what was returned or its first block; or that the next block may come."""
        under_way, cutting = self._under_way, self._cutting
        self.forget()
        match request:
            case ActionRequest(ref=ref, data=data):
                return self._one(request.invoke_id, ref, data)
            case ActionListRequest(refs=refs, values=values):
                return self._list(request.invoke_id, refs, values)
            case ActionFirstBlockRequest() | ActionListFirstBlockRequest():
                return self._on_block(_LongCall(request, Joining()), request.block)
            case ActionBlockRequest():
                return self._next_block(request, under_way)
            case ActionNextRequest():
                return self._next_answer(request, cutting)

    # -- what comes ----------------------------------------------------------------------

    def _next_block(
        self, request: ActionBlockRequest, under_way: _LongCall | None
    ) -> AnyActionResponse:
        if under_way is None or under_way.head.invoke_id != request.invoke_id:
            return _refused(request.invoke_id, AccessResult.NO_LONG_TRANSFER)
        return self._on_block(under_way, request.block)

    def _on_block(self, under_way: _LongCall, block: DataBlock) -> AnyActionResponse:
        head = under_way.head
        try:
            whole = under_way.joining.take(block)
        except RemoteProtocolError:
            return _refused(head.invoke_id, AccessResult.LONG_TRANSFER_ABORTED)
        if whole is None:
            self._under_way = under_way
            return ActionNextResponse(invoke_id=head.invoke_id, block_number=block.number)
        if isinstance(head, ActionFirstBlockRequest):
            return self._one(head.invoke_id, head.ref, decode(whole))
        reader = Reader(whole)
        values = read_values(reader)
        reader.finish("list of parameters")
        if len(values) != len(head.refs):
            raise CodecError(f"{len(values)} parameters for {len(head.refs)} methods")
        return self._list(head.invoke_id, head.refs, values)

    # -- what is called, and goes --------------------------------------------------------

    def _one(self, invoke_id: int, ref: Ref, data: Data | None) -> AnyActionResponse:
        result, returned = self._objects.action(ref, data)
        if returned is None:
            return ActionResponse(invoke_id=invoke_id, result=result)
        octets = encode(returned)
        # Blocks have no place for a failure.
        if self._fits(_RESULT_OCTETS + len(octets)) or result is not AccessResult.SUCCESS:
            return ActionResponse(invoke_id=invoke_id, result=result, data=Encoded(octets))
        return self._begin(invoke_id, octets)

    def _list(
        self, invoke_id: int, refs: tuple[Ref, ...], values: tuple[Data, ...]
    ) -> AnyActionResponse:
        outcomes = []
        for ref, value in zip(refs, values, strict=True):
            result, data = self._objects.action(ref, None if value.tag is Tag.NULL else value)
            outcomes.append(Outcome(result=result, data=data))
        octets = encode_list([encode_outcome(outcome) for outcome in outcomes])
        if self._fits(len(octets)):
            return ActionListResponse(invoke_id=invoke_id, outcomes=tuple(outcomes))
        return self._begin(invoke_id, octets)

    def _fits(self, octets: int) -> bool:
        return not self._in_blocks or octets + _HEAD_OCTETS <= self._room_octets

    def _begin(self, invoke_id: int, octets: bytes) -> ActionBlockResponse:
        self._invoke_id = invoke_id
        return self._block(Cutting(octets))

    def _next_answer(
        self, request: ActionNextRequest, cutting: Cutting | None
    ) -> AnyActionResponse:
        if cutting is None or request.invoke_id != self._invoke_id:
            return _refused(request.invoke_id, AccessResult.NO_LONG_TRANSFER)
        if request.block_number != cutting.number:
            return _refused(request.invoke_id, AccessResult.LONG_TRANSFER_ABORTED)
        return self._block(cutting)

    def _block(self, cutting: Cutting) -> ActionBlockResponse:
        block = cutting.next(self._room_octets - _HEAD_OCTETS)
        self._cutting = None if block.last else cutting
        return ActionBlockResponse(invoke_id=self._invoke_id, block=block)


def _refused(invoke_id: int, problem: AccessResult) -> ActionResponse:
    return ActionResponse(invoke_id=invoke_id, result=problem)
