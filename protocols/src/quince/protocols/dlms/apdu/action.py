"""ACTION: calls methods, one or a list, and in blocks what does not fit one APDU, both ways.

Source: the APDU definitions of IEC 62056-5-3, as copied into public sources.
"""

from dataclasses import dataclass

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.invocation import Invoked, read_head
from quince.protocols.dlms.apdu.reference import (
    AccessResult,
    DataBlock,
    Outcome,
    Ref,
    Result,
    encode_list,
    encode_outcome,
    encode_refs,
    encode_values,
    read_block,
    read_outcome,
    read_outcomes,
    read_ref,
    read_refs,
    read_values,
)
from quince.protocols.dlms.encoding.axdr import Data, encode, read_data
from quince.protocols.dlms.encoding.reader import Reader

ACTION_REQUEST = 0xC3
ACTION_RESPONSE = 0xC7


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest(Invoked):
    """Calls one method."""

    ref: Ref
    data: Data | None

    def encode(self) -> bytes:
        """Write an action-request-normal."""
        parameter = b"\x00" if self.data is None else b"\x01" + encode(self.data)
        return self.head(ACTION_REQUEST, 1) + self.ref.encode() + parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionNextRequest(Invoked):
    """Asks for the block of the answer behind `block_number`."""

    block_number: int

    def encode(self) -> bytes:
        """Write an action-request-next-pblock."""
        return self.head(ACTION_REQUEST, 2) + self.block_number.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionListRequest(Invoked):
    """Calls several methods, each with the parameter in its place; NULL where it has none."""

    refs: tuple[Ref, ...]
    values: tuple[Data, ...]

    def encode(self) -> bytes:
        """Write an action-request-with-list."""
        return self.head(ACTION_REQUEST, 3) + encode_refs(self.refs) + encode_values(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFirstBlockRequest(Invoked):
    """Calls one method with a long parameter, of which this is the first block."""

    ref: Ref
    block: DataBlock

    def encode(self) -> bytes:
        """Write an action-request-with-first-pblock."""
        return self.head(ACTION_REQUEST, 4) + self.ref.encode() + self.block.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionListFirstBlockRequest(Invoked):
    """Calls several methods; their list of parameters begins in this block."""

    refs: tuple[Ref, ...]
    block: DataBlock

    def encode(self) -> bytes:
        """Write an action-request-with-list-and-first-pblock."""
        return self.head(ACTION_REQUEST, 5) + encode_refs(self.refs) + self.block.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionBlockRequest(Invoked):
    """Goes on with a long parameter."""

    block: DataBlock

    def encode(self) -> bytes:
        """Write an action-request-with-pblock."""
        return self.head(ACTION_REQUEST, 6) + self.block.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResponse(Invoked):
    """What the method returned, if anything."""

    result: AccessResult
    data: Result | None = None

    def encode(self) -> bytes:
        """Write an action-response-normal."""
        outcome = Outcome(result=self.result, data=self.data)
        return self.head(ACTION_RESPONSE, 1) + encode_outcome(outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionBlockResponse(Invoked):
    """One block of a long answer.

    The blocks of one method are the bare value it returned, as Gurux's client reads them; those
    of a list begin with its count.
    """

    block: DataBlock

    def encode(self) -> bytes:
        """Write an action-response-with-pblock."""
        return self.head(ACTION_RESPONSE, 2) + self.block.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionListResponse(Invoked):
    """What each method returned."""

    outcomes: tuple[Outcome, ...]

    def encode(self) -> bytes:
        """Write an action-response-with-list."""
        outcomes = [encode_outcome(outcome) for outcome in self.outcomes]
        return self.head(ACTION_RESPONSE, 3) + encode_list(outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionNextResponse(Invoked):
    """Takes a block of the parameter, and waits for the next."""

    block_number: int

    def encode(self) -> bytes:
        """Write an action-response-next-pblock."""
        return self.head(ACTION_RESPONSE, 4) + self.block_number.to_bytes(4, "big")


AnyActionRequest = (
    ActionRequest
    | ActionNextRequest
    | ActionListRequest
    | ActionFirstBlockRequest
    | ActionListFirstBlockRequest
    | ActionBlockRequest
)
AnyActionResponse = ActionResponse | ActionBlockResponse | ActionListResponse | ActionNextResponse


def read_action_request(reader: Reader) -> AnyActionRequest:
    """Read what follows the tag of an action-request."""
    kind, invoke_id = read_head(reader)
    match kind:
        case 1:  # normal
            ref = read_ref(reader)
            data = read_data(reader) if reader.flag() else None
            return ActionRequest(invoke_id=invoke_id, ref=ref, data=data)
        case 2:  # next-pblock
            return ActionNextRequest(invoke_id=invoke_id, block_number=reader.uint(4))
        case 3:  # with-list
            refs, values = read_refs(reader), read_values(reader)
            if len(refs) != len(values):
                raise CodecError(f"{len(values)} parameters for {len(refs)} methods")
            return ActionListRequest(invoke_id=invoke_id, refs=refs, values=values)
        case 4:  # with-first-pblock
            ref, block = read_ref(reader), read_block(reader)
            return ActionFirstBlockRequest(invoke_id=invoke_id, ref=ref, block=block)
        case 5:  # with-list-and-first-pblock
            refs, block = read_refs(reader), read_block(reader)
            return ActionListFirstBlockRequest(invoke_id=invoke_id, refs=refs, block=block)
        case 6:  # with-pblock
            return ActionBlockRequest(invoke_id=invoke_id, block=read_block(reader))
        case _:
            raise CodecError(f"a action-request of kind {kind}")


def read_action_response(reader: Reader) -> AnyActionResponse:
    """Read what follows the tag of an action-response."""
    kind, invoke_id = read_head(reader)
    match kind:
        case 1:  # normal
            one = read_outcome(reader)
            return ActionResponse(invoke_id=invoke_id, result=one.result, data=one.data)
        case 2:  # with-pblock
            return ActionBlockResponse(invoke_id=invoke_id, block=read_block(reader))
        case 3:  # with-list
            return ActionListResponse(invoke_id=invoke_id, outcomes=read_outcomes(reader))
        case 4:  # next-pblock
            return ActionNextResponse(invoke_id=invoke_id, block_number=reader.uint(4))
        case _:
            raise CodecError(f"a action-response of kind {kind}")
