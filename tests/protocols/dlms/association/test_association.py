from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from quince.model.errors import CodecError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu import acse
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.apdu.services import (
    ActionResponse,
    ExceptionResponse,
    GetRequest,
    decode_apdu,
)
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.session import Closed
from quince.protocols.dlms.association.states import (
    REPLY_TO_HLS,
    NoSecurity,
    Password,
    Reply,
    State,
)
from quince.protocols.dlms.cosem import objects as cosem
from quince.protocols.dlms.encoding.axdr import NULL, Data, Tag, array, octet_string, structure
from quince.protocols.dlms.encoding.date_time import encode_date_time
from quince.protocols.dlms.errors import (
    AccessRefusedError,
    AssociationRefusedError,
    AuthenticationError,
    ProtectionError,
    ServiceRefusedError,
)
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.protection import Gmac, Protection, decode_envelope
from quince.protocols.dlms.security.suite import Keys, MemoryCounters

LINKS = ["wrapper", "hdlc-128", "hdlc-1024"]
SECURITIES = ["none", "password", "gmac"]
KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(0xD0, 0xE0)))
OTHER_KEYS = Keys(encryption=bytes(16), authentication=bytes(16))
REGISTER = cosem.ACTIVE_IMPORT
VALUE = Data(Tag.UINT32, 123_456)
CLIENT_TITLE, METER_TITLE = b"CLI\x00\x00\x00\x00\x01", b"MTR\x00\x00\x00\x00\x01"
START = datetime(2025, 3, 3, 6, 0, tzinfo=UTC)


def _two_days() -> Data:
    stamps = (START + row * timedelta(minutes=15) for row in range(192))
    return array(
        structure(octet_string(encode_date_time(stamp, utc_offset_min=-360)), VALUE, VALUE)
        for stamp in stamps
    )


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("security", SECURITIES)
def test_two_days_of_a_profile_cross_every_link_and_security(
    line: Callable[..., Any], link: str, security: str
) -> None:
    meter = line(link, security)
    meter.shelf.attributes[cosem.PROFILE_BUFFER] = _two_days()
    selection = cosem.Range(from_utc=START, to_utc=START + timedelta(days=2))
    access = cosem.range_access(selection, utc_offset_min=-360)
    meter.associate()
    assert meter.get(cosem.PROFILE_BUFFER, access).require() == _two_days()
    assert meter.shelf.selections == [access]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("security", SECURITIES)
def test_reading_writing_calling_and_leaving_work_everywhere(
    line: Callable[..., Any], link: str, security: str
) -> None:
    meter = line(link, security)
    meter.associate()
    meter.session.set(REGISTER, VALUE)
    assert meter.until(Reply) == Reply(result=AccessResult.SUCCESS)
    assert meter.get(REGISTER).require() == VALUE
    meter.session.action(REGISTER, octet_string(bytes(200)))
    assert meter.until(Reply).require() == VALUE
    meter.session.action(Ref(70, Obis(0, 0, 96, 3, 10), 1))
    assert meter.until(Reply).require() == NULL
    meter.session.stop()
    assert meter.until(Closed) == Closed()


def test_nothing_readable_crosses_a_ciphered_line(line: Callable[..., Any]) -> None:
    meter = line("wrapper", "gmac")
    meter.associate()
    meter.session.set(REGISTER, octet_string(b"a secret value"))
    meter.until(Reply)
    assert meter.get(REGISTER).require() == octet_string(b"a secret value")
    assert b"secret" not in b"".join(meter.sent + meter.answered)


def test_no_counter_is_used_twice_in_either_direction(line: Callable[..., Any]) -> None:
    meter = line("wrapper", "gmac")
    meter.associate()
    meter.get(REGISTER)
    for octets in (meter.sent, meter.answered):
        frames = WrapperLink().receive(b"".join(octets))[1:]
        envelopes = [decode_envelope(frame.apdu) for frame in frames]  # type: ignore[union-attr] # a wrapper has APDUs alone
        counters = [int.from_bytes(one.sealed[1:5], "big") for one in envelopes if one]
        # 1 is the initiate's, 2 the proof's.
        assert counters == [3, 4]


def test_a_refused_object_is_a_reply_and_the_session_goes_on(line: Callable[..., Any]) -> None:
    meter = line("wrapper", "gmac")
    meter.associate()
    refused = meter.get(REGISTER)
    assert refused == Reply(result=AccessResult.OBJECT_UNDEFINED)
    with pytest.raises(AccessRefusedError):
        refused.require()
    assert meter.get(REGISTER) == refused


def test_other_keys_are_refused_by_the_meter(line: Callable[..., Any]) -> None:
    with pytest.raises(AuthenticationError, match="AUTHENTICATION_FAILED"):
        line("wrapper", "gmac", their_keys=OTHER_KEYS).associate()


# -- one side alone ------------------------------------------------------------------------


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


def test_a_request_before_the_proof_ends_the_association() -> None:
    client, server = _client("gmac"), _server("gmac")
    own = Protection(Gmac(system_title=CLIENT_TITLE, keys=KEYS, counters=MemoryCounters(9)))
    own.meet(METER_TITLE)
    server.receive(client.open())
    get = GetRequest(invoke_id=1, items=((REGISTER, None),)).encode()
    assert _exception(server.receive(own.seal_apdu(get, general=False))) == (2, 5)
    assert server.state is State.IDLE


@pytest.mark.parametrize("proof", ["1000000009" + "00" * 12, "30", "20000000090000"])
def test_a_wrong_proof_is_refused_by_the_meter(proof: str) -> None:
    client, server = _client("gmac"), _server("gmac")
    own = Protection(Gmac(system_title=CLIENT_TITLE, keys=KEYS, counters=MemoryCounters(9)))
    own.meet(METER_TITLE)
    server.receive(client.open())
    head = bytes.fromhex("c301c1") + REPLY_TO_HLS.encode() + b"\x01\x09"
    action = head + bytes((len(proof) // 2,)) + bytes.fromhex(proof)
    server.receive(own.seal_apdu(action, general=False))
    assert server.state is State.IDLE


def test_a_proof_that_is_missing_is_refused_by_the_meter() -> None:
    client, server = _client("gmac"), _server("gmac")
    own = Protection(Gmac(system_title=CLIENT_TITLE, keys=KEYS, counters=MemoryCounters(9)))
    own.meet(METER_TITLE)
    server.receive(client.open())
    action = bytes.fromhex("c301c1") + REPLY_TO_HLS.encode() + b"\x00"
    server.receive(own.seal_apdu(action, general=False))
    assert server.state is State.IDLE


def _meter_answers_the_proof(response: ActionResponse) -> ClientAssociation:
    """Return a client that associates with a meter of `response`'s opinion."""
    client, server = _client("gmac"), _server("gmac")
    client.receive(server.receive(client.open()))
    meter = Protection(Gmac(system_title=METER_TITLE, keys=KEYS, counters=MemoryCounters(9)))
    meter.meet(CLIENT_TITLE)
    client.receive(meter.seal_apdu(response.encode(), general=True))
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


def test_an_envelope_with_another_title_or_another_apdu_is_refused() -> None:
    client = _meter_answers_the_proof_never()
    other = Protection(
        Gmac(system_title=b"OTHER\x00\x00\x01", keys=KEYS, counters=MemoryCounters(9))
    )
    with pytest.raises(ProtectionError):
        client.receive(other.seal_apdu(b"\xc4", general=True))
    meter = Protection(Gmac(system_title=METER_TITLE, keys=KEYS, counters=MemoryCounters(9)))
    sealed = bytearray(meter.seal_apdu(bytes.fromhex("c401c100"), general=False))
    sealed[0] = 0xCF
    with pytest.raises(CodecError):
        client.receive(bytes(sealed))


def _meter_answers_the_proof_never() -> ClientAssociation:
    client, server = _client("gmac"), _server("gmac")
    client.receive(server.receive(client.open()))
    return client
