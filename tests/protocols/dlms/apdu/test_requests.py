"""Requests and responses of a plain association, each side alone."""

from random import Random

import pytest

from quince.model.errors import LocalProtocolError, RemoteProtocolError
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.apdu.services import (
    ActionResponse,
    EventNotification,
    ExceptionResponse,
    GetBlockResponse,
    GetNextRequest,
    GetRequest,
    GetResponse,
    SetRequest,
    SetResponse,
    decode_apdu,
)
from quince.protocols.dlms.association.client import TRANSFER_OCTETS_MAX, ClientAssociation
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.states import Associated, NoSecurity, Reply, ServerPush
from quince.protocols.dlms.cosem import objects as cosem
from quince.protocols.dlms.encoding.axdr import Data, Tag, octet_string
from quince.protocols.dlms.errors import ProtectionError, ServiceRefusedError

REGISTER = cosem.ACTIVE_IMPORT
VALUE = Data(Tag.UINT32, 123_456)


class _Nothing:
    """A meter without objects."""

    def get(self, ref: Ref, access: object) -> Data | AccessResult:
        del ref, access
        return AccessResult.OBJECT_UNDEFINED

    def set(self, ref: Ref, data: Data) -> AccessResult:
        del ref, data
        return AccessResult.OBJECT_UNDEFINED

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        del ref, data
        return AccessResult.OBJECT_UNDEFINED, None


class _OneBook(_Nothing):
    """A meter whose every attribute is one long string."""

    def get(self, ref: Ref, access: object) -> Data | AccessResult:
        del ref, access
        return octet_string(bytes(3_000))


def _client() -> ClientAssociation:
    return ClientAssociation(NoSecurity(), rng=Random(1))


def _server(objects: _Nothing | None = None) -> ServerAssociation:
    return ServerAssociation(objects or _Nothing(), (NoSecurity(),), rng=Random(2))


def _associated() -> ClientAssociation:
    client, server = _client(), _server()
    assert client.receive(server.receive(client.open())) == [Associated()]
    return client


def _serving(objects: _Nothing | None = None) -> ServerAssociation:
    server = _server(objects=objects)
    server.receive(_client().open())
    return server


def _exception(apdu: bytes) -> tuple[int, int]:
    response = decode_apdu(apdu)
    assert isinstance(response, ExceptionResponse)
    return response.state_error, response.service_error


def test_a_service_the_meter_refuses_is_raised_and_the_association_stands() -> None:
    client = _associated()
    client.get(REGISTER)
    with pytest.raises(ServiceRefusedError) as refused:
        client.receive(bytes.fromhex("d8020600000007"))
    assert refused.value.expected_counter == 7
    assert client.get(REGISTER)


@pytest.mark.parametrize(
    "response",
    [
        GetResponse(invoke_id=2, results=(VALUE,)),
        SetResponse(invoke_id=1, result=AccessResult.SUCCESS),
        GetResponse(invoke_id=1, results=(VALUE, VALUE), is_list=True),
        GetRequest(invoke_id=1, items=((REGISTER, None),)),
        GetBlockResponse(invoke_id=1, last=False, block_number=2, block=b"x"),
        GetBlockResponse(invoke_id=1, last=False, block_number=1, block=b""),
        GetBlockResponse(
            invoke_id=1, last=False, block_number=1, block=bytes(TRANSFER_OCTETS_MAX + 1)
        ),
    ],
)
def test_a_response_that_does_not_fit_the_request_is_refused(response: GetResponse) -> None:
    client = _associated()
    client.get(REGISTER)
    with pytest.raises(RemoteProtocolError):
        client.receive(response.encode())


def test_a_response_to_nothing_is_refused() -> None:
    response = GetResponse(invoke_id=1, results=(VALUE,)).encode()
    with pytest.raises(RemoteProtocolError):
        _associated().receive(response)
    with pytest.raises(RemoteProtocolError):
        _client().receive(response)


def test_a_transfer_the_meter_breaks_off_is_a_reply() -> None:
    client = _associated()
    client.get(REGISTER)
    broken = GetBlockResponse(
        invoke_id=1, last=True, block_number=1, block=AccessResult.LONG_TRANSFER_ABORTED
    )
    assert client.receive(broken.encode()) == [Reply(result=AccessResult.LONG_TRANSFER_ABORTED)]


def test_a_method_whose_result_is_refused_is_a_reply() -> None:
    client = _associated()
    client.action(REGISTER)
    response = ActionResponse(
        invoke_id=1, result=AccessResult.SUCCESS, data=AccessResult.TYPE_UNMATCHED
    )
    assert client.receive(response.encode()) == [Reply(result=AccessResult.TYPE_UNMATCHED)]


def test_a_push_between_request_and_response_disturbs_neither() -> None:
    client = _associated()
    client.get(REGISTER)
    push = EventNotification(date_time=None, ref=cosem.LAST_GASP, data=octet_string(b"M1"))
    assert client.receive(push.encode()) == [ServerPush(notification=push)]
    response = GetResponse(invoke_id=1, results=(VALUE,))
    assert client.receive(response.encode()) == [Reply(result=AccessResult.SUCCESS, data=VALUE)]


def test_one_request_is_under_way_at_a_time() -> None:
    client = _associated()
    client.get(REGISTER)
    with pytest.raises(LocalProtocolError):
        client.get(REGISTER)
    with pytest.raises(LocalProtocolError):
        _client().get(REGISTER)


def test_a_request_larger_than_the_meter_receives_is_not_sent() -> None:
    with pytest.raises(LocalProtocolError):
        _associated().set(REGISTER, octet_string(bytes(1_100)))


def test_a_meter_answers_a_list() -> None:
    request = GetRequest(invoke_id=1, items=((REGISTER, None), (REGISTER, None)))
    response = decode_apdu(_serving().receive(request.encode()))
    undefined = AccessResult.OBJECT_UNDEFINED
    assert response == GetResponse(invoke_id=1, results=(undefined, undefined), is_list=True)


def test_a_block_out_of_turn_ends_the_transfer() -> None:
    server = _serving(_OneBook())
    server.receive(GetRequest(invoke_id=1, items=((REGISTER, None),)).encode())
    wrong = decode_apdu(server.receive(GetNextRequest(invoke_id=1, block_number=5).encode()))
    over = decode_apdu(server.receive(GetNextRequest(invoke_id=1, block_number=1).encode()))
    assert isinstance(wrong, GetBlockResponse)
    assert isinstance(over, GetBlockResponse)
    assert wrong.block is AccessResult.DATA_BLOCK_NUMBER_INVALID
    assert over.block is AccessResult.NO_LONG_TRANSFER


def test_no_block_is_larger_than_the_client_receives() -> None:
    client = ClientAssociation(NoSecurity(), rng=Random(1), pdu_octets_max=200)
    server = _server(objects=_OneBook())
    client.receive(server.receive(client.open()))
    assert 190 < len(server.receive(client.get(REGISTER))) <= 200


@pytest.mark.parametrize(
    ("request_hex", "error"),
    [("ff", (2, 2)), ("c401c100", (2, 2)), ("c001", (2, 2)), ("", (2, 2))],
)
def test_a_request_a_meter_does_not_know_is_answered_with_an_exception(
    request_hex: str, error: tuple[int, int]
) -> None:
    assert _exception(_serving().receive(bytes.fromhex(request_hex))) == error


def test_a_selective_write_is_answered_with_an_exception() -> None:
    access = cosem.entry_access(cosem.Entries(first=1))
    request = SetRequest(invoke_id=1, ref=REGISTER, access=access, data=VALUE)
    assert _exception(_serving().receive(request.encode())) == (2, 2)


def test_a_request_outside_of_an_association_is_answered_with_an_exception() -> None:
    request = GetRequest(invoke_id=1, items=((REGISTER, None),))
    assert _exception(_server().receive(request.encode())) == (1, 1)


def test_a_released_association_takes_no_requests() -> None:
    server = _serving()
    assert server.receive(bytes.fromhex("6200")) == bytes.fromhex("6303800100")
    request = GetRequest(invoke_id=1, items=((REGISTER, None),))
    assert _exception(server.receive(request.encode())) == (1, 1)


def test_a_ciphered_apdu_in_a_plain_association_is_refused() -> None:
    with pytest.raises(ProtectionError):
        _associated().receive(bytes.fromhex("cc0100"))
