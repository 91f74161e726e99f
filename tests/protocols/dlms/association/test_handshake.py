"""How an association opens, and what is refused on the way."""

from dataclasses import replace
from random import Random

import pytest

from quince.model.errors import CodecError, RemoteProtocolError
from quince.protocols.dlms.apdu import acse, initiate
from quince.protocols.dlms.apdu.action import ActionResponse
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.exception import ExceptionResponse
from quince.protocols.dlms.apdu.get import GetRequest
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.states import REPLY_TO_HLS, NeedSend, Released, State
from quince.protocols.dlms.cosem.names import ACTIVE_IMPORT
from quince.protocols.dlms.encoding.axdr import Data, octet_string
from quince.protocols.dlms.errors import (
    AssociationRefusedError,
    AuthenticationError,
    ProtectionError,
    ServiceRefusedError,
)
from quince.protocols.dlms.security.counters import COUNTER_MAX, MemoryCounters
from quince.protocols.dlms.security.credentials import Gmac, Hashed, NoSecurity, Password
from quince.protocols.dlms.security.envelopes import Form
from quince.protocols.dlms.security.protection import Protection
from quince.protocols.dlms.security.suite import Keys

KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(0xD0, 0xE0)))
REGISTER = ACTIVE_IMPORT
MD5 = Hashed(mechanism=acse.Mechanism.MD5, secret=b"s3cret")
CLIENT_TITLE, METER_TITLE = b"CLI\x00\x00\x00\x00\x01", b"MTR\x00\x00\x00\x00\x01"


def _client(security: str = "none") -> ClientAssociation:
    own = Gmac(system_title=CLIENT_TITLE, keys=KEYS, counters=MemoryCounters())
    authentication = {"none": NoSecurity(), "password": Password(secret=b"12345678"), "gmac": own}
    return ClientAssociation(authentication[security], rng=Random(1))  # type: ignore[arg-type] # one of the three


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


def _server(security: str = "none") -> ServerAssociation:
    own = Gmac(system_title=METER_TITLE, keys=KEYS, counters=MemoryCounters())
    accepts = {"none": NoSecurity(), "password": Password(secret=b"12345678"), "gmac": own}
    return ServerAssociation(_Nothing(), (accepts[security],), rng=Random(2))  # type: ignore[arg-type] # one of the three


def _protection(own: bytes, peer: bytes) -> Protection:
    """Return what a side of its own could do with the keys."""
    counters = MemoryCounters(9)
    protection = Protection(
        Gmac(system_title=own, keys=KEYS, counters=counters, form=Form.GENERAL_GLO), rng=Random(3)
    )
    protection.meet(peer)
    return protection


def _exception(apdu: bytes) -> tuple[int, int]:
    response = decode_apdu(apdu)
    assert isinstance(response, ExceptionResponse)
    return response.state_error, response.service_error


def test_a_wrong_password_is_refused_clearly() -> None:
    client = ClientAssociation(Password(secret=b"87654321"), rng=Random(1))
    with pytest.raises(AuthenticationError, match="AUTHENTICATION_FAILED"):
        client.receive(_server("password").receive(client.open()))
    assert client.state is State.IDLE


@pytest.mark.parametrize(
    ("client", "server", "diagnostic"),
    [
        ("none", "password", acse.Diagnostic.MECHANISM_REQUIRED),
        ("password", "gmac", acse.Diagnostic.MECHANISM_NOT_RECOGNISED),
    ],
)
def test_a_mechanism_the_meter_does_not_accept_is_refused(
    client: str, server: str, diagnostic: acse.Diagnostic
) -> None:
    response = acse.decode_response(_server(server).receive(_client(client).open()))
    assert (response.result, response.diagnostic) == (acse.REJECTED_PERMANENTLY, diagnostic)


@pytest.mark.parametrize("mechanism", [2, 3, 8, 255])
def test_a_mechanism_that_is_a_makers_own_or_unknown_is_refused(mechanism: int) -> None:
    request = replace(acse.decode_request(_client().open()), mechanism=mechanism, value=bytes(16))
    response = acse.decode_response(_server("gmac").receive(request.encode()))
    assert response.diagnostic == acse.Diagnostic.MECHANISM_NOT_RECOGNISED


def test_a_refusal_for_another_reason_is_no_matter_of_authentication() -> None:
    client = _client()
    client.open()
    refusal = acse.AssociationResponse(ciphered=False, result=1, diagnostic=2)
    with pytest.raises(AssociationRefusedError) as refused:
        client.receive(refusal.encode())
    assert not isinstance(refused.value, AuthenticationError)


def test_a_meter_that_answers_an_aarq_with_an_exception_refuses_it() -> None:
    client = _client("gmac")
    client.open()
    with pytest.raises(ServiceRefusedError):
        client.receive(bytes.fromhex("d80202"))
    assert client.state is State.IDLE


def test_a_replayed_aarq_is_answered_with_the_expected_counter() -> None:
    server, aarq = _server("gmac"), _client("gmac").open()
    server.receive(aarq)
    response = decode_apdu(server.receive(aarq))
    assert response == ExceptionResponse(state_error=2, service_error=6, expected_counter=2)


def test_a_counter_behind_the_last_is_not_named() -> None:
    own = Gmac(system_title=METER_TITLE, keys=KEYS, counters=MemoryCounters())
    own.counters.accept(CLIENT_TITLE, COUNTER_MAX)
    server = ServerAssociation(_Nothing(), (own,), rng=Random(2))
    response = decode_apdu(server.receive(_client("gmac").open()))
    assert response == ExceptionResponse(state_error=2, service_error=6)


def test_a_request_before_the_proof_ends_the_association() -> None:
    client, server = _client("gmac"), _server("gmac")
    own = _protection(CLIENT_TITLE, METER_TITLE)
    server.receive(client.open())
    get = GetRequest(invoke_id=1, ref=REGISTER).encode()
    assert _exception(server.receive(own.seal_apdu(get))) == (2, 5)
    assert server.state is State.IDLE


@pytest.mark.parametrize("proof", ["1000000009" + "00" * 12, "30", "20000000090000"])
def test_a_wrong_proof_is_refused_by_the_meter(proof: str) -> None:
    client, server = _client("gmac"), _server("gmac")
    own = _protection(CLIENT_TITLE, METER_TITLE)
    server.receive(client.open())
    head = bytes.fromhex("c301c1") + REPLY_TO_HLS.encode() + b"\x01\x09"
    action = head + bytes((len(proof) // 2,)) + bytes.fromhex(proof)
    server.receive(own.seal_apdu(action))
    assert server.state is State.IDLE


def test_a_proof_that_is_missing_is_refused_by_the_meter() -> None:
    client, server = _client("gmac"), _server("gmac")
    own = _protection(CLIENT_TITLE, METER_TITLE)
    server.receive(client.open())
    action = bytes.fromhex("c301c1") + REPLY_TO_HLS.encode() + b"\x00"
    server.receive(own.seal_apdu(action))
    assert server.state is State.IDLE


def _meter_answers_the_proof(response: ActionResponse) -> ClientAssociation:
    """Return a client that associates with a meter of `response`'s opinion."""
    client, server = _client("gmac"), _server("gmac")
    client.receive(server.receive(client.open()))
    client.receive(_protection(METER_TITLE, CLIENT_TITLE).seal_apdu(response.encode()))
    return client


@pytest.mark.parametrize(
    "response",
    [
        ActionResponse(invoke_id=1, result=AccessResult.READ_WRITE_DENIED),
        ActionResponse(invoke_id=1, result=AccessResult.SUCCESS),
        ActionResponse(
            invoke_id=1,
            result=AccessResult.SUCCESS,
            data=octet_string(bytes.fromhex("1000000001") + bytes(12)),
        ),
    ],
)
def test_a_meter_that_does_not_prove_itself_is_refused(response: ActionResponse) -> None:
    with pytest.raises(AuthenticationError):
        _meter_answers_the_proof(response)


def test_a_meter_without_a_challenge_is_refused() -> None:
    client = _client("gmac")
    server = _server("gmac")
    answer = acse.decode_response(server.receive(client.open()))
    bare = acse.AssociationResponse(
        ciphered=True,
        result=acse.ACCEPTED,
        diagnostic=acse.Diagnostic.NONE,
        system_title=answer.system_title,
        user_information=answer.user_information,
    )
    with pytest.raises(AuthenticationError):
        client.receive(bare.encode())


def test_a_meter_that_forgets_the_ciphering_is_refused() -> None:
    client = _client("gmac")
    client.open()
    answer = acse.AssociationResponse(
        ciphered=True,
        result=acse.ACCEPTED,
        diagnostic=acse.Diagnostic.NONE,
        system_title=METER_TITLE,
        user_information=bytes.fromhex("0800065f1f040000501f01f40007"),
    )
    with pytest.raises(ProtectionError):
        client.receive(answer.encode())


def test_a_client_without_a_challenge_or_a_context_is_refused() -> None:
    for ciphered, value in ((True, b"short"), (False, bytes(16))):
        request = acse.AssociationRequest(
            ciphered=ciphered,
            mechanism=acse.Mechanism.GMAC,
            value=value,
            system_title=CLIENT_TITLE,
            user_information=b"\x21\x01\x00",
        )
        response = acse.decode_response(_server("gmac").receive(request.encode()))
        assert response.result == acse.REJECTED_PERMANENTLY


def test_a_client_that_receives_next_to_nothing_is_refused() -> None:
    client = ClientAssociation(NoSecurity(), rng=Random(1), pdu_octets_max=20)
    with pytest.raises(AssociationRefusedError):
        client.receive(_server().receive(client.open()))


def test_a_plain_apdu_in_a_ciphered_association_is_refused() -> None:
    client, server = _client("gmac"), _server("gmac")
    client.receive(server.receive(client.open()))
    assert _exception(server.receive(bytes.fromhex("c001c100080000010000ff0200"))) == (2, 5)
    with pytest.raises(ProtectionError):
        client.receive(bytes.fromhex("c401c100"))


@pytest.mark.parametrize("clear", ["c401c100", "0000"])
def test_an_answer_in_clear_to_a_ciphered_proof_is_refused(clear: str) -> None:
    client, server = _client("gmac"), _server("gmac")
    client.receive(server.receive(client.open()))
    with pytest.raises((ProtectionError, CodecError)):
        client.receive(bytes.fromhex(clear))
    assert client.state is State.IDLE


@pytest.mark.parametrize("title", [b"", CLIENT_TITLE, b"short"])
def test_a_meter_without_a_title_of_its_own_is_refused(title: bytes) -> None:
    client, server = _client("gmac"), _server("gmac")
    answer = acse.decode_response(server.receive(client.open()))
    with pytest.raises(ProtectionError):
        client.receive(replace(answer, system_title=title).encode())


def test_a_meter_that_reflects_our_challenge_is_refused() -> None:
    client = ClientAssociation(MD5, rng=Random(1))
    challenge = acse.decode_request(client.open()).value
    server = ServerAssociation(_Nothing(), (MD5,), rng=Random(2))
    other = ClientAssociation(MD5, rng=Random(3))
    answer = acse.decode_response(server.receive(other.open()))
    with pytest.raises(AuthenticationError, match="came back"):
        client.receive(replace(answer, value=challenge).encode())


def test_a_meter_that_wants_another_mechanism_is_refused() -> None:
    client = ClientAssociation(MD5, rng=Random(1))
    server = ServerAssociation(_Nothing(), (MD5,), rng=Random(2))
    answer = acse.decode_response(server.receive(client.open()))
    with pytest.raises(AuthenticationError, match="mechanism 4"):
        client.receive(replace(answer, mechanism=acse.Mechanism.SHA1).encode())


def test_a_meter_that_leaves_the_mechanism_out_is_proven_to_all_the_same() -> None:
    client = ClientAssociation(MD5, rng=Random(1))
    server = ServerAssociation(_Nothing(), (MD5,), rng=Random(2))
    answer = acse.decode_response(server.receive(client.open()))
    bare = replace(answer, mechanism=acse.Mechanism.NONE)
    (step,) = client.receive(bare.encode())
    assert isinstance(step, NeedSend)
    client.receive(server.receive(step.apdu))
    assert client.state is State.ASSOCIATED


def test_a_meter_with_a_long_challenge_answers_in_a_long_aare() -> None:
    client = ClientAssociation(MD5, rng=Random(1))
    server = ServerAssociation(_Nothing(), (MD5,), rng=Random(2))
    answer = acse.decode_response(server.receive(client.open()))
    aare = replace(answer, value=b"x" * 64, system_title=b"y" * 8).encode()
    assert aare[1] == 0x81
    (step,) = client.receive(aare)
    assert isinstance(step, NeedSend)


def test_a_response_to_another_request_than_the_proof_is_refused() -> None:
    for response in (ActionResponse(invoke_id=2, result=AccessResult.SUCCESS), None):
        client, server = _client("gmac"), _server("gmac")
        client.receive(server.receive(client.open()))
        octets = bytes.fromhex("c401c10000") if response is None else response.encode()
        with pytest.raises(RemoteProtocolError):
            client.receive(_protection(METER_TITLE, CLIENT_TITLE).seal_apdu(octets))


def test_a_proof_is_taken_once() -> None:
    client, server = _client("gmac"), _server("gmac")
    (step,) = client.receive(server.receive(client.open()))
    assert isinstance(step, NeedSend)
    server.receive(step.apdu)
    assert server.state is State.ASSOCIATED
    assert _exception(server.receive(step.apdu)) == (2, 6)


def test_a_dedicated_key_of_no_length_of_the_suite_is_refused_by_the_meter() -> None:
    server, own = _server("gmac"), _protection(CLIENT_TITLE, METER_TITLE)
    proposal = initiate.Initiate(
        conformance=initiate.SERVED, pdu_octets_max=1024, dedicated_key=b"short"
    )
    request = acse.decode_request(_client("gmac").open())
    sealed = own.seal_initiate(0x21, initiate.encode_request(proposal))
    answer = server.receive(replace(request, user_information=sealed).encode())
    assert _exception(answer) == (2, 5)
    assert server.state is State.IDLE


@pytest.mark.parametrize("answer", ["d80101", "6303800100", "0e010203"])
def test_a_release_ends_however_the_meter_takes_it(answer: str) -> None:
    client, server = _client(), _server()
    client.receive(server.receive(client.open()))
    client.release()
    assert client.receive(bytes.fromhex(answer)) == [Released()]
    assert client.state is State.IDLE
