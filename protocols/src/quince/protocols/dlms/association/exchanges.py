"""A client's invocations: a request, in blocks if it is long, and its answer, likewise.

An exchange's `request` is what to send first; `receive` takes a response and returns what to send
next, or None once `replies` holds the answers, one for each attribute or method asked for.

Law: a response that does not fit the request, or its place in a block transfer, is a
RemoteProtocolError.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from quince.model.errors import RemoteProtocolError
from quince.protocols.dlms.apdu.access import AccessRequest, AccessResponse
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
)
from quince.protocols.dlms.apdu.apdu import Request, Response
from quince.protocols.dlms.apdu.get import (
    GetBlockResponse,
    GetListRequest,
    GetListResponse,
    GetNextRequest,
    GetRequest,
    GetResponse,
)
from quince.protocols.dlms.apdu.reference import (
    AccessResult,
    DataBlock,
    Outcome,
    encode_values,
    read_outcome,
    read_outcomes,
    read_results,
)
from quince.protocols.dlms.apdu.set import (
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
from quince.protocols.dlms.association.joining import Cutting, Joining
from quince.protocols.dlms.association.states import Reply
from quince.protocols.dlms.encoding.axdr import NULL, Encoded, encode
from quince.protocols.dlms.encoding.reader import Reader

_NO_BLOCK = DataBlock(last=False, number=0, octets=b"")
_NO_BLOCK_OCTETS = len(_NO_BLOCK.encode())
# Tag, kind and invoke id.
_BLOCK_REQUEST_HEAD_OCTETS = 3


class Exchange(Protocol):
    """One invocation."""

    request: Request
    replies: tuple[Reply, ...]

    def receive(self, response: Response) -> Request | None:
        """Take a response, return what to send next; None when the answer is whole."""
        ...


class GetExchange:
    """Reads one attribute, or a list."""

    def __init__(self, request: GetRequest | GetListRequest) -> None:
        self.request: Request = request
        self.replies: tuple[Reply, ...] = ()
        self._as_list = isinstance(request, GetListRequest)
        self._count = len(request.items) if isinstance(request, GetListRequest) else 1
        self._joining = Joining()

    def receive(self, response: Response) -> Request | None:
        """Take data, refusals, or a block of them."""
        match response:
            case GetResponse() if not self._as_list:
                self.replies = (Reply.of(response.result),)
            case GetListResponse() if self._as_list:
                self.replies = _for_each(self._count, map(Reply.of, response.results))
            case GetBlockResponse(block=AccessResult() as refusal):
                self.replies = (Reply(result=refusal),) * self._count
            case GetBlockResponse(block=bytes() as octets):
                return self._on_block(response, octets)
            case _:
                raise _another_kind(response)
        return None

    def _on_block(self, response: GetBlockResponse, octets: bytes) -> Request | None:
        block = DataBlock(last=response.last, number=response.block_number, octets=octets)
        whole = self._joining.take(block)
        if whole is None:
            return GetNextRequest(invoke_id=response.invoke_id, block_number=block.number)
        if not self._as_list:
            self.replies = (Reply.of(Encoded(whole)),)
            return None
        reader = Reader(whole)
        self.replies = _for_each(self._count, map(Reply.of, read_results(reader)))
        reader.finish("list of results")
        return None


class SetExchange:
    """Writes one attribute, or a list; in APDUs of `room_octets`, or whole if that is None."""

    def __init__(self, whole: SetRequest | SetListRequest, room_octets: int | None) -> None:
        self.request: Request = whole
        self.replies: tuple[Reply, ...] = ()
        self._count = len(whole.items) if isinstance(whole, SetListRequest) else 1
        self._sending: _Sending | None = None
        if room_octets is not None:
            self.request = self._begin(whole, room_octets)

    def _begin(self, whole: SetRequest | SetListRequest, room_octets: int) -> Request:
        head: SetFirstBlockRequest | SetListFirstBlockRequest
        if isinstance(whole, SetListRequest):
            octets = encode_values(whole.values)
            head = SetListFirstBlockRequest(
                invoke_id=whole.invoke_id, items=whole.items, block=_NO_BLOCK
            )
        else:
            octets = encode(whole.data)
            head = SetFirstBlockRequest(
                invoke_id=whole.invoke_id, ref=whole.ref, access=whole.access, block=_NO_BLOCK
            )
        self._sending = _Sending(octets, room_octets)
        return replace(head, block=self._sending.first(head.encode()))

    def receive(self, response: Response) -> Request | None:
        """Take outcomes, or the wish for the next block."""
        match response:
            case SetBlockResponse(block_number=number) if self._sending is not None:
                block = self._sending.next(number)
                return SetBlockRequest(invoke_id=response.invoke_id, block=block)
            case SetResponse(result=result) | SetLastBlockResponse(result=result):
                _require_refusal_of_many(self._count, result)
                results = (result,) * self._count
            case SetListResponse(results=results) | SetListLastBlockResponse(results=results):
                pass
            case _:
                raise _another_kind(response)
        if AccessResult.SUCCESS in results:
            _require_sent(self._sending)
        self.replies = _for_each(self._count, [Reply(result=result) for result in results])
        return None


class ActionExchange:
    """Calls one method, or a list; in APDUs of `room_octets`, or whole if that is None."""

    def __init__(self, whole: ActionRequest | ActionListRequest, room_octets: int | None) -> None:
        self.request: Request = whole
        self.replies: tuple[Reply, ...] = ()
        self._as_list = isinstance(whole, ActionListRequest)
        self._count = len(whole.refs) if isinstance(whole, ActionListRequest) else 1
        self._sending: _Sending | None = None
        self._joining = Joining()
        if room_octets is not None:
            self.request = self._begin(whole, room_octets)

    def _begin(self, whole: ActionRequest | ActionListRequest, room_octets: int) -> Request:
        head: ActionFirstBlockRequest | ActionListFirstBlockRequest
        if isinstance(whole, ActionListRequest):
            octets = encode_values(whole.values)
            head = ActionListFirstBlockRequest(
                invoke_id=whole.invoke_id, refs=whole.refs, block=_NO_BLOCK
            )
        else:
            octets = encode(NULL if whole.data is None else whole.data)
            head = ActionFirstBlockRequest(
                invoke_id=whole.invoke_id, ref=whole.ref, block=_NO_BLOCK
            )
        self._sending = _Sending(octets, room_octets)
        return replace(head, block=self._sending.first(head.encode()))

    def receive(self, response: Response) -> Request | None:
        """Take what was returned or a block of it, or the wish for the next block."""
        match response:
            case ActionNextResponse(block_number=number) if self._sending is not None:
                block = self._sending.next(number)
                return ActionBlockRequest(invoke_id=response.invoke_id, block=block)
            case ActionBlockResponse(block=block):
                _require_sent(self._sending)
                return self._on_block(response.invoke_id, block)
            case ActionResponse(result=result, data=data):
                _require_refusal_of_many(self._count, result)
                outcomes = (Outcome(result=result, data=data),) * self._count
            case ActionListResponse(outcomes=outcomes):
                pass
            case _:
                raise _another_kind(response)
        self._finish(outcomes)
        return None

    def _on_block(self, invoke_id: int, block: DataBlock) -> Request | None:
        whole = self._joining.take(block)
        if whole is None:
            return ActionNextRequest(invoke_id=invoke_id, block_number=block.number)
        if not self._as_list:
            self._finish((_joined_outcome(whole),))
            return None
        reader = Reader(whole)
        self._finish(read_outcomes(reader))
        reader.finish("list of outcomes")
        return None

    def _finish(self, outcomes: Sequence[Outcome]) -> None:
        if any(outcome.result is AccessResult.SUCCESS for outcome in outcomes):
            _require_sent(self._sending)
        self.replies = _for_each(self._count, [Reply.of_outcome(one) for one in outcomes])


class AccessExchange:
    """Reads, writes and calls in one request."""

    def __init__(self, request: AccessRequest) -> None:
        self.request: Request = request
        self.replies: tuple[Reply, ...] = ()
        self._services = [part.service for part in request.parts]

    def receive(self, response: Response) -> Request | None:
        """Take all outcomes."""
        if not isinstance(response, AccessResponse):
            raise _another_kind(response)
        if [one.service for one in response.outcomes] != self._services:
            raise RemoteProtocolError("outcomes of other parts than were asked for")
        self.replies = tuple([Reply(result=one.result, data=one.data) for one in response.outcomes])
        return None


class _Sending:
    """The blocks of a long request, each asked for by the response to the one before."""

    def __init__(self, octets: bytes, room_octets: int) -> None:
        self._cutting = Cutting(octets)
        self._room_octets = room_octets

    @property
    def is_done(self) -> bool:
        return self._cutting.is_done

    def first(self, head: bytes) -> DataBlock:
        """Return the block that goes with `head`, a request with an empty block."""
        return self._cutting.next(self._room_octets - len(head) + _NO_BLOCK_OCTETS)

    def next(self, acknowledged: int) -> DataBlock:
        """Return the block behind the one that was acknowledged."""
        if acknowledged != self._cutting.number or self.is_done:
            raise RemoteProtocolError(f"block {acknowledged} acknowledged out of turn")
        return self._cutting.next(self._room_octets - _BLOCK_REQUEST_HEAD_OCTETS)


def _require_sent(sending: _Sending | None) -> None:
    if sending is not None and not sending.is_done:
        raise RemoteProtocolError("success, before all was said")


def _require_refusal_of_many(count: int, result: AccessResult) -> None:
    """Let one result stand for a whole list only if nothing of it was done."""
    if count > 1 and result is AccessResult.SUCCESS:
        raise RemoteProtocolError(f"one success for {count} questions")


def _joined_outcome(octets: bytes) -> Outcome:
    """Read the joined blocks of one method's answer: the bare value, or result and value.

    The standard does not say it in so many words, and both are met. A bare value of more than an
    octet cannot begin with 00, the tag of NULL; a result in front of a value is 00, success.
    """
    if len(octets) == 1 or octets[:1] != b"\x00":
        return Outcome(result=AccessResult.SUCCESS, data=Encoded(octets))
    reader = Reader(octets)
    outcome = read_outcome(reader)
    reader.finish("outcome")
    return outcome


def _for_each(count: int, replies: Iterable[Reply]) -> tuple[Reply, ...]:
    each = tuple(replies)
    if len(each) != count:
        raise RemoteProtocolError(f"{len(each)} answers to {count} questions")
    return each


def _another_kind(response: Response) -> RemoteProtocolError:
    return RemoteProtocolError(f"a {type(response).__name__} is no answer to this request")
