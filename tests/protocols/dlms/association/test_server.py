"""A meter alone, and what it makes of clients that ask wrongly, out of turn or too much."""

from random import Random

import pytest

from quince.model.obis import Obis
from quince.protocols.dlms.apdu.access import AccessPart, AccessRequest, AccessService
from quince.protocols.dlms.apdu.action import (
    ActionBlockRequest,
    ActionBlockResponse,
    ActionFirstBlockRequest,
    ActionListFirstBlockRequest,
    ActionNextRequest,
    ActionNextResponse,
    ActionRequest,
    ActionResponse,
)
from quince.protocols.dlms.apdu.apdu import Apdu, decode_apdu
from quince.protocols.dlms.apdu.block_transfer import GeneralBlock
from quince.protocols.dlms.apdu.exception import ExceptionResponse
from quince.protocols.dlms.apdu.get import (
    GetBlockResponse,
    GetListRequest,
    GetListResponse,
    GetNextRequest,
    GetRequest,
    GetResponse,
)
from quince.protocols.dlms.apdu.reference import Access, AccessResult, DataBlock, Ref
from quince.protocols.dlms.apdu.set import (
    SetBlockRequest,
    SetBlockResponse,
    SetFirstBlockRequest,
    SetLastBlockResponse,
    SetListFirstBlockRequest,
    SetRequest,
    SetResponse,
)
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.joining import TRANSFER_OCTETS_MAX
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.serving import Services
from quince.protocols.dlms.association.states import Associated
from quince.protocols.dlms.encoding.axdr import NULL, Data, Encoded, encode, octet_string
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.security.credentials import NoSecurity

REGISTER = Ref(3, Obis(1, 0, 1, 8, 0), 2)
SHELF = Ref(1, Obis(0, 0, 96, 1, 0), 2)
VALUE = Data(Tag.UINT8, 7)
BOOK = octet_string(bytes(300))
DONE = AccessResult.SUCCESS
NO_TRANSFER = AccessResult.NO_LONG_TRANSFER
ABORTED = AccessResult.LONG_TRANSFER_ABORTED


class _Library:
    """A meter whose attributes and methods are one book; what is written stays on the shelf."""

    def __init__(self) -> None:
        self.written: list[Data] = []
        self.called: list[Data | None] = []

    def get(self, ref: Ref, access: Access | None) -> Encoded | AccessResult:
        del access
        return AccessResult.OBJECT_UNDEFINED if ref == REGISTER else Encoded(encode(BOOK))

    def set(self, ref: Ref, data: Data) -> AccessResult:
        del ref
        self.written.append(data)
        return DONE

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        self.called.append(data)
        return (AccessResult.HARDWARE_FAULT if ref == REGISTER else DONE), BOOK


class _Meter:
    """A meter that a client of 100 octets has associated with."""

    def __init__(self) -> None:
        self.library = _Library()
        self._server = ServerAssociation(self.library, (NoSecurity(),), rng=Random(2))
        client = ClientAssociation(NoSecurity(), rng=Random(1), pdu_octets_max=100)
        assert client.receive(self._server.receive(client.open())) == [Associated()]

    def ask(self, request: Apdu) -> Apdu:
        return decode_apdu(self.answer(request.encode()))

    def answer(self, octets: bytes) -> bytes:
        return self._server.receive(octets)

    def further(self) -> list[Apdu]:
        return [decode_apdu(one) for one in self._server.further()]


@pytest.fixture
def meter() -> _Meter:
    return _Meter()


# -- what is no request --------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets",
    ["ff", "c401c100", "c001", "", "0f00000000000001", "d80101", "e0", "e080000100000100"],
)
def test_what_is_no_request_is_answered_with_an_exception(meter: _Meter, octets: str) -> None:
    assert meter.answer(bytes.fromhex(octets)) == bytes.fromhex("d80202")


def test_a_request_outside_of_an_association_is_answered_with_an_exception() -> None:
    server = ServerAssociation(_Library(), (NoSecurity(),), rng=Random(2))
    request = GetRequest(invoke_id=1, ref=SHELF).encode()
    block = GeneralBlock(last=True, window=1, number=1, acknowledged=0, octets=request)
    assert server.receive(request) == bytes.fromhex("d80101")
    assert server.receive(block.encode()) == bytes.fromhex("d80101")


def test_a_released_association_takes_no_requests(meter: _Meter) -> None:
    assert meter.answer(bytes.fromhex("6200")) == bytes.fromhex("6303800100")
    assert meter.ask(GetRequest(invoke_id=1, ref=SHELF)) == ExceptionResponse(
        state_error=1, service_error=1
    )


# -- invocations ---------------------------------------------------------------------------


def test_an_answer_has_its_request_s_id_and_priority(meter: _Meter) -> None:
    request = GetRequest(invoke_id=9, ref=REGISTER, is_urgent=False)
    assert meter.answer(request.encode()) == bytes.fromhex("c40149 0104")


def test_an_unconfirmed_write_or_call_is_done_and_not_answered(meter: _Meter) -> None:
    write = SetRequest(invoke_id=1, ref=SHELF, data=VALUE, is_confirmed=False)
    call = ActionRequest(invoke_id=1, ref=SHELF, data=VALUE, is_confirmed=False)
    assert (meter.answer(write.encode()), meter.answer(call.encode())) == (b"", b"")
    assert (meter.library.written, meter.library.called) == ([VALUE], [VALUE])


def test_an_unconfirmed_read_is_answered_all_the_same(meter: _Meter) -> None:
    request = GetRequest(invoke_id=1, ref=REGISTER, is_confirmed=False)
    assert isinstance(meter.ask(request), GetResponse)


# -- long answers --------------------------------------------------------------------------


def _invoked(response: Apdu) -> object:
    assert isinstance(response, GetBlockResponse)
    return response.block


def test_a_block_out_of_turn_ends_the_transfer(meter: _Meter) -> None:
    meter.ask(GetRequest(invoke_id=1, ref=SHELF))
    wrong = meter.ask(GetNextRequest(invoke_id=1, block_number=5))
    over = meter.ask(GetNextRequest(invoke_id=1, block_number=1))
    assert _invoked(wrong) is AccessResult.DATA_BLOCK_NUMBER_INVALID
    assert _invoked(over) is NO_TRANSFER


def test_a_block_of_another_invocation_is_not_given(meter: _Meter) -> None:
    meter.ask(GetRequest(invoke_id=1, ref=SHELF))
    assert _invoked(meter.ask(GetNextRequest(invoke_id=2, block_number=1))) is NO_TRANSFER


@pytest.mark.parametrize(
    "between",
    [
        SetRequest(invoke_id=2, ref=SHELF, data=VALUE),
        ActionRequest(invoke_id=2, ref=REGISTER, data=None),
        AccessRequest(
            invoke_id=2,
            parts=(AccessPart(service=AccessService.GET, ref=REGISTER),),
            values=(NULL,),
        ),
        GetRequest(invoke_id=2, ref=REGISTER),
    ],
    ids=lambda request: type(request).__name__,
)
def test_another_request_ends_what_is_half_given(meter: _Meter, between: Apdu) -> None:
    meter.ask(GetRequest(invoke_id=1, ref=SHELF))
    meter.ask(between)
    assert _invoked(meter.ask(GetNextRequest(invoke_id=1, block_number=1))) is NO_TRANSFER


def test_the_last_block_was_the_last(meter: _Meter) -> None:
    meter.ask(GetRequest(invoke_id=1, ref=SHELF))
    answers = [meter.ask(GetNextRequest(invoke_id=1, block_number=n)) for n in range(1, 5)]
    assert [one.last for one in answers if isinstance(one, GetBlockResponse)] == [0, 0, 1, 1]
    assert _invoked(answers[-1]) is NO_TRANSFER


def test_a_list_of_one_is_answered_with_a_list(meter: _Meter) -> None:
    response = meter.ask(GetListRequest(invoke_id=1, items=((REGISTER, None),)))
    assert response == GetListResponse(invoke_id=1, results=(AccessResult.OBJECT_UNDEFINED,))


@pytest.mark.parametrize(("invoke_id", "number", "problem"), [(1, 2, ABORTED), (2, 1, NO_TRANSFER)])
def test_the_next_piece_of_a_method_s_answer_is_given_in_turn(
    meter: _Meter, invoke_id: int, number: int, problem: AccessResult
) -> None:
    first = meter.ask(ActionRequest(invoke_id=1, ref=SHELF, data=None))
    wrong = meter.ask(ActionNextRequest(invoke_id=invoke_id, block_number=number))
    over = meter.ask(ActionNextRequest(invoke_id=1, block_number=1))
    assert isinstance(first, ActionBlockResponse)
    assert wrong == ActionResponse(invoke_id=invoke_id, result=problem)
    assert over == ActionResponse(invoke_id=1, result=NO_TRANSFER)


def test_a_failed_method_s_long_answer_does_not_go_in_blocks(meter: _Meter) -> None:
    general = meter.ask(ActionRequest(invoke_id=1, ref=REGISTER, data=None))
    assert isinstance(general, GeneralBlock)
    assert general.octets[:4] == bytes.fromhex("c701c101")


# -- long requests -------------------------------------------------------------------------


def _block(number: int, octets: bytes = b"", *, last: bool = False) -> DataBlock:
    return DataBlock(last=last, number=number, octets=octets)


def _set(number: int, octets: bytes = b"", *, last: bool = False) -> SetFirstBlockRequest:
    return SetFirstBlockRequest(invoke_id=1, ref=SHELF, block=_block(number, octets, last=last))


def test_a_long_write_is_done_when_all_is_there(meter: _Meter) -> None:
    octets = encode(BOOK)
    first = meter.ask(_set(1, octets[:200]))
    assert (first, meter.library.written) == (SetBlockResponse(invoke_id=1, block_number=1), [])
    rest = SetBlockRequest(invoke_id=1, block=_block(2, octets[200:], last=True))
    assert meter.ask(rest) == SetLastBlockResponse(invoke_id=1, result=DONE, block_number=2)
    assert meter.library.written == [BOOK]


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (_set(2, b"x"), AccessResult.DATA_BLOCK_NUMBER_INVALID),
        (_set(1), AccessResult.LONG_SET_ABORTED),
        (_set(1, bytes(TRANSFER_OCTETS_MAX + 1)), AccessResult.LONG_SET_ABORTED),
        (SetBlockRequest(invoke_id=1, block=_block(1, b"x")), AccessResult.NO_LONG_SET),
    ],
    ids=["not the first", "empty", "too long", "never begun"],
)
def test_a_wrong_block_of_a_write_ends_it(
    meter: _Meter, request_: Apdu, problem: AccessResult
) -> None:
    response = meter.ask(request_)
    assert isinstance(response, SetLastBlockResponse)
    assert response.result is problem
    over = meter.ask(SetBlockRequest(invoke_id=1, block=_block(2, b"x")))
    assert over == SetLastBlockResponse(
        invoke_id=1, result=AccessResult.NO_LONG_SET, block_number=2
    )


def test_a_block_of_another_write_is_not_taken(meter: _Meter) -> None:
    meter.ask(_set(1, b"\x11"))
    other = SetBlockRequest(invoke_id=2, block=_block(2, b"\x07", last=True))
    response = meter.ask(other)
    assert isinstance(response, SetLastBlockResponse)
    assert response.result is AccessResult.NO_LONG_SET
    assert meter.library.written == []


def test_values_that_are_not_as_many_as_their_attributes_are_not_written(meter: _Meter) -> None:
    block = _block(1, b"\x02\x11\x07\x11\x07", last=True)
    request = SetListFirstBlockRequest(invoke_id=1, items=((SHELF, None),), block=block)
    assert isinstance(meter.ask(request), ExceptionResponse)
    assert meter.library.written == []


@pytest.mark.parametrize("octets", [b"", b"\x11", b"\x11\x07\x00"])
def test_blocks_that_make_no_value_are_not_written(meter: _Meter, octets: bytes) -> None:
    assert isinstance(meter.ask(_set(1, octets, last=True)), ExceptionResponse)
    assert meter.library.written == []


def test_a_part_of_an_attribute_is_not_written(meter: _Meter) -> None:
    access = Access(selector=2, parameter=VALUE)
    request = SetRequest(invoke_id=1, ref=SHELF, access=access, data=VALUE)
    violated = AccessResult.SCOPE_OF_ACCESS_VIOLATED
    assert meter.ask(request) == SetResponse(invoke_id=1, result=violated)


def _call(number: int, octets: bytes = b"", *, last: bool = False) -> ActionFirstBlockRequest:
    block = _block(number, octets, last=last)
    return ActionFirstBlockRequest(invoke_id=1, ref=SHELF, block=block)


def test_a_long_call_is_made_when_all_is_there(meter: _Meter) -> None:
    octets = encode(BOOK)
    first = meter.ask(_call(1, octets[:200]))
    assert (first, meter.library.called) == (ActionNextResponse(invoke_id=1, block_number=1), [])
    meter.ask(ActionBlockRequest(invoke_id=1, block=_block(2, octets[200:], last=True)))
    assert meter.library.called == [BOOK]


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (_call(2, b"x"), ABORTED),
        (_call(1), ABORTED),
        (ActionBlockRequest(invoke_id=1, block=_block(1, b"x")), NO_TRANSFER),
    ],
    ids=["not the first", "empty", "never begun"],
)
def test_a_wrong_block_of_a_call_ends_it(
    meter: _Meter, request_: Apdu, problem: AccessResult
) -> None:
    assert meter.ask(request_) == ActionResponse(invoke_id=1, result=problem)
    over = meter.ask(ActionBlockRequest(invoke_id=1, block=_block(2, b"x")))
    assert over == ActionResponse(invoke_id=1, result=NO_TRANSFER)


def test_a_block_of_another_call_is_not_taken(meter: _Meter) -> None:
    meter.ask(_call(1, b"\x11"))
    other = ActionBlockRequest(invoke_id=2, block=_block(2, b"\x07", last=True))
    assert meter.ask(other) == ActionResponse(invoke_id=2, result=NO_TRANSFER)


def test_parameters_that_are_not_as_many_as_their_methods_call_nothing(meter: _Meter) -> None:
    block = _block(1, b"\x02\x11\x07\x11\x07", last=True)
    request = ActionListFirstBlockRequest(invoke_id=1, refs=(SHELF,), block=block)
    assert isinstance(meter.ask(request), ExceptionResponse)
    assert meter.library.called == []


# -- general blocks ------------------------------------------------------------------------


def _general(request: Apdu, *, window: int = 1) -> GeneralBlock:
    octets = request.encode()
    return GeneralBlock(last=True, window=window, number=1, acknowledged=0, octets=octets)


def test_a_request_in_general_blocks_is_answered_in_them(meter: _Meter) -> None:
    short = meter.ask(_general(GetRequest(invoke_id=1, ref=REGISTER)))
    assert isinstance(short, GeneralBlock)
    assert (short.last, short.acknowledged) == (True, 1)
    assert short.octets == bytes.fromhex("c401c10104")


def test_the_same_first_block_again_is_answered_again_and_not_done_twice(meter: _Meter) -> None:
    request = _general(SetRequest(invoke_id=1, ref=SHELF, data=VALUE))
    assert meter.ask(request) == meter.ask(request)
    assert meter.library.written == [VALUE]
    meter.ask(_general(SetRequest(invoke_id=2, ref=SHELF, data=VALUE)))
    assert meter.library.written == [VALUE, VALUE]


def test_an_unconfirmed_request_in_general_blocks_is_not_answered(meter: _Meter) -> None:
    request = SetRequest(invoke_id=1, ref=SHELF, data=VALUE, is_confirmed=False)
    assert meter.answer(_general(request).encode()) == b""
    assert meter.library.written == [VALUE]


def _numbers(blocks: list[Apdu]) -> list[int]:
    return [one.number for one in blocks if isinstance(one, GeneralBlock)]


def test_lost_blocks_come_again_from_the_first_that_is_missing(meter: _Meter) -> None:
    action = ActionRequest(invoke_id=1, ref=REGISTER, data=None)
    first = meter.ask(_general(action, window=4))
    stream = [first, *meter.further()]
    assert meter.further() == []
    assert _numbers(stream) == [1, 2, 3, 4]
    missing = GeneralBlock(last=True, window=4, number=2, acknowledged=2)
    again = [meter.ask(missing), *meter.further()]
    assert _numbers(again) == [3, 4]


def test_another_request_ends_a_general_block_transfer(meter: _Meter) -> None:
    meter.ask(ActionRequest(invoke_id=1, ref=REGISTER, data=None))
    meter.ask(GetRequest(invoke_id=2, ref=REGISTER))
    acknowledgement = GeneralBlock(last=True, window=1, number=1, acknowledged=1)
    assert meter.answer(acknowledgement.encode()) == bytes.fromhex("d80202")


def test_a_client_that_leaves_no_room_for_a_block_is_told_so() -> None:
    server = ServerAssociation(_Library(), (NoSecurity(),), rng=Random(2))
    client = ClientAssociation(NoSecurity(), rng=Random(1), pdu_octets_max=64)
    client.receive(server.receive(client.open()))
    server._services = Services(_Library(), room_octets=5, conformance=1 << 12)
    request = GetRequest(invoke_id=1, ref=SHELF).encode()
    assert server.receive(request) == bytes.fromhex("d80204")
