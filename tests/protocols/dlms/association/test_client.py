"""A client alone, and what it makes of meters that answer wrongly, late or too much."""

from random import Random

import pytest

from quince.model.errors import CodecError, LocalProtocolError, RemoteProtocolError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu import acse, initiate
from quince.protocols.dlms.apdu.access import (
    AccessOutcome,
    AccessPart,
    AccessResponse,
    AccessService,
)
from quince.protocols.dlms.apdu.action import (
    ActionBlockResponse,
    ActionListResponse,
    ActionNextResponse,
    ActionResponse,
)
from quince.protocols.dlms.apdu.apdu import Apdu, decode_apdu
from quince.protocols.dlms.apdu.block_transfer import GeneralBlock
from quince.protocols.dlms.apdu.get import (
    GetBlockResponse,
    GetListResponse,
    GetNextRequest,
    GetRequest,
    GetResponse,
)
from quince.protocols.dlms.apdu.initiate import Conformance
from quince.protocols.dlms.apdu.notification import DataNotification, EventNotification
from quince.protocols.dlms.apdu.reference import AccessResult, DataBlock, Outcome, Ref
from quince.protocols.dlms.apdu.set import (
    SetBlockRequest,
    SetBlockResponse,
    SetLastBlockResponse,
    SetListLastBlockResponse,
    SetListResponse,
    SetResponse,
)
from quince.protocols.dlms.association.client import STALE_RESPONSES_MAX, ClientAssociation
from quince.protocols.dlms.association.joining import TRANSFER_OCTETS_MAX
from quince.protocols.dlms.association.states import (
    Associated,
    AssociationEvent,
    NeedSend,
    Released,
    Reply,
    ReplyList,
    ServerPush,
)
from quince.protocols.dlms.encoding.axdr import NULL, Data, Encoded, encode, octet_string
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.errors import AccessRefusedError, ProtectionError, ServiceRefusedError
from quince.protocols.dlms.security.credentials import NoSecurity

REGISTER = Ref(3, Obis(1, 0, 1, 8, 0), 2)
VALUE = Data(Tag.UINT32, 123_456)
LONG = octet_string(bytes(150))
DONE, DENIED = AccessResult.SUCCESS, AccessResult.READ_WRITE_DENIED
EVERYTHING = initiate.SERVED
RIGID = Conformance.GET | Conformance.SET | Conformance.ACTION


def _associated(
    conformance: int = EVERYTHING, pdu_octets_max: int = 100, window: int = 1
) -> ClientAssociation:
    """Return a client associated with a meter of these abilities."""
    client = ClientAssociation(NoSecurity(), rng=Random(1), window=window)
    client.open()
    agreed = initiate.Initiate(conformance=conformance, pdu_octets_max=pdu_octets_max)
    aare = acse.AssociationResponse(
        ciphered=False,
        result=acse.ACCEPTED,
        diagnostic=acse.Diagnostic.NONE,
        user_information=initiate.encode_response(agreed),
    )
    assert client.receive(aare.encode()) == [Associated()]
    return client


def _told(client: ClientAssociation, *responses: Apdu) -> AssociationEvent:
    """Return the event of the last of `responses`, which is the first that ends something."""
    events: list[AssociationEvent] = []
    for response in responses:
        events = client.receive(response.encode())
    (event,) = events
    return event


def _sent(event: AssociationEvent) -> Apdu:
    assert isinstance(event, NeedSend)
    return decode_apdu(event.apdu)


# -- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "words", "counter"),
    [
        ("d8020600000007", "state error 2, service error 6", 7),
        ("d80101", "state error 1, service error 1", None),
        ("0e010601", "confirmed service error 1, initiate 1", None),
        ("0e050363", "confirmed service error 5, service 99", None),
        ("0eff4201", "confirmed service error 255, 66 1", None),
    ],
)
def test_a_refused_service_is_raised_and_the_association_stands(
    refusal: str, words: str, counter: int | None
) -> None:
    client = _associated()
    client.get(REGISTER)
    with pytest.raises(ServiceRefusedError, match=words) as refused:
        client.receive(bytes.fromhex(refusal))
    assert refused.value.expected_counter == counter
    assert client.get(REGISTER)


def test_a_refusal_in_general_blocks_is_one_too() -> None:
    client = _associated()
    client.get(REGISTER)
    block = GeneralBlock(
        last=True, window=1, number=1, acknowledged=0, octets=bytes.fromhex("d80101")
    )
    with pytest.raises(ServiceRefusedError):
        client.receive(block.encode())
    assert client.get(REGISTER)


def test_a_refused_list_is_given_up_whole() -> None:
    client = _associated(conformance=RIGID)
    client.get_list([(REGISTER, None)] * 3)
    assert isinstance(_told(client, GetResponse(invoke_id=1, result=VALUE)), NeedSend)
    with pytest.raises(ServiceRefusedError):
        client.receive(bytes.fromhex("d80101"))
    assert decode_apdu(client.get(REGISTER)) == GetRequest(invoke_id=4, ref=REGISTER)


def test_a_refusal_cut_short_is_none() -> None:
    client = _associated()
    with pytest.raises(CodecError):
        client.receive(bytes.fromhex("d802"))


def test_a_meter_that_refuses_a_release_is_left_all_the_same() -> None:
    client = _associated()
    client.release()
    assert client.receive(bytes.fromhex("d80101")) == [Released()]


# -- replies -------------------------------------------------------------------------------


def test_a_value_is_left_as_it_came_until_it_is_wanted() -> None:
    client = _associated()
    client.get(REGISTER)
    reply = _told(client, GetResponse(invoke_id=1, result=VALUE))
    assert reply == Reply(result=DONE, data=Encoded(encode(VALUE)))
    assert isinstance(reply, Reply)
    assert reply.require() == VALUE


def test_a_value_that_is_none_is_found_out_when_it_is_wanted() -> None:
    client = _associated()
    client.get(REGISTER)
    (reply,) = client.receive(bytes.fromhex("c401c10006"))
    assert isinstance(reply, Reply)
    with pytest.raises(CodecError):
        reply.require()


def test_a_reply_without_data_is_null_and_a_refusal_has_none() -> None:
    assert Reply(result=DONE).require() == NULL
    with pytest.raises(AccessRefusedError, match="READ_WRITE_DENIED"):
        Reply(result=DENIED).value()


def test_a_transfer_the_meter_breaks_off_is_a_reply_for_each() -> None:
    client = _associated()
    client.get_list([(REGISTER, None)] * 2)
    broken = GetBlockResponse(
        invoke_id=1, last=True, block_number=1, block=AccessResult.LONG_TRANSFER_ABORTED
    )
    aborted = Reply(result=AccessResult.LONG_TRANSFER_ABORTED)
    assert _told(client, broken) == ReplyList(replies=(aborted, aborted))


def test_a_method_that_was_called_and_returned_nothing_is_refused() -> None:
    client = _associated()
    client.action(REGISTER)
    response = ActionResponse(invoke_id=1, result=DONE, data=AccessResult.TYPE_UNMATCHED)
    assert _told(client, response) == Reply(result=AccessResult.TYPE_UNMATCHED)


@pytest.mark.parametrize(
    "octets",
    [encode(LONG), b"\x00\x01\x00" + encode(LONG)],
    ids=["the bare value", "behind its result"],
)
def test_a_method_s_long_answer_is_read_in_both_forms(octets: bytes) -> None:
    client = _associated()
    client.action(REGISTER)
    first = DataBlock(last=False, number=1, octets=octets[:80])
    rest = DataBlock(last=True, number=2, octets=octets[80:])
    _told(client, ActionBlockResponse(invoke_id=1, block=first))
    reply = _told(client, ActionBlockResponse(invoke_id=1, block=rest))
    assert isinstance(reply, Reply)
    assert reply.require() == LONG


def test_a_method_s_answer_of_one_octet_is_null() -> None:
    client = _associated()
    client.action(REGISTER)
    block = DataBlock(last=True, number=1, octets=b"\x00")
    reply = _told(client, ActionBlockResponse(invoke_id=1, block=block))
    assert isinstance(reply, Reply)
    assert reply.require() == NULL


# -- pushes, and answers to others ---------------------------------------------------------


@pytest.mark.parametrize(
    "push",
    [
        EventNotification(date_time=None, ref=REGISTER, data=octet_string(b"M1")),
        DataNotification(date_time=bytes(12), invoke_id=7, data=VALUE),
    ],
    ids=["event", "data"],
)
def test_a_push_between_request_and_response_disturbs_neither(
    push: EventNotification | DataNotification,
) -> None:
    client = _associated()
    client.get(REGISTER)
    assert _told(client, push) == ServerPush(notification=push)
    reply = _told(client, GetResponse(invoke_id=1, result=DENIED))
    assert reply == Reply(result=DENIED)


def test_a_late_answer_to_an_earlier_request_is_passed_over() -> None:
    client = _associated()
    client.get(REGISTER)
    _told(client, GetResponse(invoke_id=1, result=VALUE))
    late = GetResponse(invoke_id=1, result=VALUE).encode()
    assert client.receive(late) == []
    client.get(REGISTER)
    assert client.receive(late) == []
    assert _told(client, GetResponse(invoke_id=2, result=DENIED)) == Reply(result=DENIED)


def test_answers_to_others_without_end_are_refused() -> None:
    client = _associated()
    client.get(REGISTER)
    late = GetResponse(invoke_id=9, result=VALUE).encode()
    for _ in range(STALE_RESPONSES_MAX):
        client.receive(late)
    with pytest.raises(RemoteProtocolError, match="another request"):
        client.receive(late)


def test_an_answer_outside_of_any_association_is_refused() -> None:
    client = ClientAssociation(NoSecurity(), rng=Random(1))
    with pytest.raises(RemoteProtocolError):
        client.receive(GetResponse(invoke_id=1, result=VALUE).encode())


def test_a_ciphered_apdu_in_a_plain_association_is_refused() -> None:
    with pytest.raises(ProtectionError):
        _associated().receive(bytes.fromhex("cc0100"))


# -- responses that do not fit -------------------------------------------------------------

_BLOCK = DataBlock(last=False, number=1, octets=b"x")
_SECOND_BLOCK = DataBlock(last=False, number=2, octets=b"x")
_NOTHING = DataBlock(last=False, number=1, octets=b"")


@pytest.mark.parametrize(
    "response",
    [
        SetResponse(invoke_id=1, result=DONE),
        GetListResponse(invoke_id=1, results=(VALUE, VALUE)),
        GetRequest(invoke_id=1, ref=REGISTER),
        GetBlockResponse(invoke_id=1, last=False, block_number=2, block=b"x"),
        GetBlockResponse(invoke_id=1, last=False, block_number=1, block=b""),
        GetBlockResponse(
            invoke_id=1, last=False, block_number=1, block=bytes(TRANSFER_OCTETS_MAX + 1)
        ),
    ],
    ids=lambda response: type(response).__name__,
)
def test_what_is_no_answer_to_a_get_is_refused(response: Apdu) -> None:
    client = _associated()
    client.get(REGISTER)
    with pytest.raises(RemoteProtocolError):
        client.receive(response.encode())


@pytest.mark.parametrize(
    "response",
    [
        GetResponse(invoke_id=1, result=VALUE),
        GetListResponse(invoke_id=1, results=(VALUE,)),
        GetBlockResponse(invoke_id=1, last=True, block_number=1, block=b"\x01\x01\x04"),
    ],
    ids=["no list", "too few", "too few in blocks"],
)
def test_what_is_no_answer_to_a_list_is_refused(response: Apdu) -> None:
    client = _associated()
    client.get_list([(REGISTER, None)] * 2)
    with pytest.raises(RemoteProtocolError):
        client.receive(response.encode())


def test_octets_behind_the_blocks_of_a_list_are_refused() -> None:
    client = _associated()
    client.get_list([(REGISTER, None)])
    block = GetBlockResponse(invoke_id=1, last=True, block_number=1, block=b"\x01\x01\x04\x00")
    with pytest.raises(CodecError):
        client.receive(block.encode())


@pytest.mark.parametrize(
    "response",
    [
        GetResponse(invoke_id=1, result=VALUE),
        SetBlockResponse(invoke_id=1, block_number=2),
        SetResponse(invoke_id=1, result=DONE),
        SetLastBlockResponse(invoke_id=1, result=DONE, block_number=1),
        SetListResponse(invoke_id=1, results=(DENIED, DENIED)),
    ],
    ids=["a get's", "another block's", "too early", "too early too", "two for one"],
)
def test_what_is_no_answer_to_a_long_set_is_refused(response: Apdu) -> None:
    client = _associated()
    client.set(REGISTER, LONG)
    with pytest.raises(RemoteProtocolError):
        client.receive(response.encode())


def test_a_long_set_that_is_done_takes_no_more_blocks() -> None:
    client = _associated()
    client.set(REGISTER, LONG)
    request = _sent(_told(client, SetBlockResponse(invoke_id=1, block_number=1)))
    assert isinstance(request, SetBlockRequest)
    assert request.block.last
    with pytest.raises(RemoteProtocolError, match="out of turn"):
        client.receive(SetBlockResponse(invoke_id=1, block_number=2).encode())


def test_a_meter_that_takes_no_blocks_after_all_refuses_each() -> None:
    client = _associated()
    client.set_list([(REGISTER, LONG), (REGISTER, LONG)])
    refused = SetLastBlockResponse(
        invoke_id=1, result=AccessResult.LONG_SET_ABORTED, block_number=1
    )
    aborted = Reply(result=AccessResult.LONG_SET_ABORTED)
    assert _told(client, refused) == ReplyList(replies=(aborted, aborted))


def test_one_success_is_none_for_a_whole_list() -> None:
    client = _associated()
    client.set_list([(REGISTER, VALUE), (REGISTER, VALUE)])
    with pytest.raises(RemoteProtocolError, match="one success for 2"):
        client.receive(SetResponse(invoke_id=1, result=DONE).encode())
    client = _associated()
    client.action_list([(REGISTER, VALUE), (REGISTER, VALUE)])
    with pytest.raises(RemoteProtocolError, match="one success for 2"):
        client.receive(ActionResponse(invoke_id=1, result=DONE).encode())


def test_a_list_may_end_before_all_of_it_was_sent_if_all_is_refused() -> None:
    client = _associated()
    client.set_list([(REGISTER, LONG), (REGISTER, LONG)])
    refused = SetListLastBlockResponse(invoke_id=1, results=(DENIED, DENIED), block_number=1)
    assert _told(client, refused) == ReplyList(replies=(Reply(result=DENIED),) * 2)


def test_a_set_without_blocks_is_not_answered_with_the_wish_for_one() -> None:
    client = _associated()
    client.set(REGISTER, VALUE)
    with pytest.raises(RemoteProtocolError):
        client.receive(SetBlockResponse(invoke_id=1, block_number=0).encode())


@pytest.mark.parametrize(
    "response",
    [
        GetResponse(invoke_id=1, result=VALUE),
        ActionNextResponse(invoke_id=1, block_number=2),
        ActionResponse(invoke_id=1, result=DONE),
        ActionBlockResponse(invoke_id=1, block=_BLOCK),
        ActionListResponse(invoke_id=1, outcomes=(Outcome(result=DENIED),) * 2),
    ],
    ids=["a get's", "another block's", "too early", "too early too", "two for one"],
)
def test_what_is_no_answer_to_a_long_action_is_refused(response: Apdu) -> None:
    client = _associated()
    client.action(REGISTER, LONG)
    with pytest.raises(RemoteProtocolError):
        client.receive(response.encode())


@pytest.mark.parametrize("block", [_SECOND_BLOCK, _NOTHING], ids=["out of turn", "empty"])
def test_wrong_blocks_of_a_method_s_answer_are_refused(block: DataBlock) -> None:
    client = _associated()
    client.action(REGISTER)
    with pytest.raises(RemoteProtocolError):
        client.receive(ActionBlockResponse(invoke_id=1, block=block).encode())


def test_an_action_without_blocks_is_not_answered_with_the_wish_for_one() -> None:
    client = _associated()
    client.action(REGISTER)
    with pytest.raises(RemoteProtocolError):
        client.receive(ActionNextResponse(invoke_id=1, block_number=0).encode())


@pytest.mark.parametrize(
    "response",
    [
        GetResponse(invoke_id=1, result=VALUE),
        AccessResponse(
            invoke_id=1, outcomes=(AccessOutcome(service=AccessService.SET, result=DONE),)
        ),
    ],
    ids=["a get's", "of another part"],
)
def test_what_is_no_answer_to_an_access_is_refused(response: Apdu) -> None:
    client = _associated()
    client.access([(AccessPart(service=AccessService.GET, ref=REGISTER), NULL)])
    with pytest.raises(RemoteProtocolError):
        client.receive(response.encode())


# -- general blocks ------------------------------------------------------------------------


def _general(number: int, octets: bytes, *, last: bool = False, window: int = 1) -> GeneralBlock:
    return GeneralBlock(last=last, window=window, number=number, acknowledged=0, octets=octets)


def test_a_request_too_long_for_the_meter_begins_with_one_general_block() -> None:
    client = _associated(conformance=RIGID | Conformance.GENERAL_BLOCK_TRANSFER)
    first = decode_apdu(client.set(REGISTER, LONG))
    assert isinstance(first, GeneralBlock)
    assert (first.number, first.last, len(first.octets)) == (1, False, 91)


def test_a_stalled_transfer_is_nudged_a_few_times() -> None:
    client = _associated()
    client.get(REGISTER)
    assert client.remind() == ()
    event = _told(client, _general(1, b"\xc4"))
    assert _sent(event) == GeneralBlock(last=True, window=1, number=1, acknowledged=1)
    reminders = [client.remind() for _ in range(5)]
    assert [len(one) for one in reminders] == [1, 1, 1, 0, 0]


def test_a_block_of_a_transfer_that_is_over_is_passed_over() -> None:
    client = _associated()
    assert client.receive(_general(5, b"\xc4").encode()) == []
    assert client.remind() == ()


def test_a_push_in_general_blocks_is_put_together() -> None:
    client = _associated()
    push = DataNotification(date_time=None, data=LONG)
    octets = push.encode()
    assert isinstance(_told(client, _general(1, octets[:90])), NeedSend)
    assert _told(client, _general(2, octets[90:], last=True)) == ServerPush(notification=push)


def test_blocks_within_blocks_are_refused() -> None:
    client = _associated()
    client.get(REGISTER)
    inner = _general(1, b"\xc4", last=True).encode()
    with pytest.raises(RemoteProtocolError):
        client.receive(_general(1, inner, last=True).encode())


def test_a_general_block_cut_short_is_refused() -> None:
    with pytest.raises(CodecError):
        _associated().receive(bytes.fromhex("e08000010000"))


# -- requests ------------------------------------------------------------------------------


def test_one_request_is_under_way_at_a_time() -> None:
    client = _associated()
    client.get(REGISTER)
    with pytest.raises(LocalProtocolError):
        client.get(REGISTER)
    with pytest.raises(LocalProtocolError):
        ClientAssociation(NoSecurity(), rng=Random(1)).get(REGISTER)


def test_a_list_of_nothing_is_not_asked_for() -> None:
    with pytest.raises(LocalProtocolError, match="nothing"):
        _associated().get_list([])


def test_a_request_that_could_not_be_sent_leaves_the_association_as_it_was() -> None:
    client = _associated(conformance=RIGID)
    with pytest.raises(LocalProtocolError):
        client.set(REGISTER, LONG)
    assert client.get(REGISTER)


def test_a_meter_that_receives_next_to_nothing_is_sent_no_blocks() -> None:
    client = _associated(pdu_octets_max=16)
    with pytest.raises(LocalProtocolError, match="no block fits"):
        client.set(REGISTER, VALUE)


def test_the_next_block_is_asked_for_by_the_number_of_the_last() -> None:
    client = _associated()
    client.get(REGISTER)
    block = GetBlockResponse(invoke_id=1, last=False, block_number=1, block=b"\x09")
    assert _sent(_told(client, block)) == GetNextRequest(invoke_id=1, block_number=1)
