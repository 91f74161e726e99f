"""The client's side of an association: one request at a time, each answered by one Reply."""

from dataclasses import dataclass, field

from quince.model.errors import LocalProtocolError, RemoteProtocolError
from quince.model.rng import Rng
from quince.protocols.dlms.apdu import acse, initiate, services as plain
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.association.states import (
    CHALLENGE_OCTETS,
    CHALLENGE_OCTETS_MAX,
    CHALLENGE_OCTETS_MIN,
    REPLY_TO_HLS,
    Associated,
    AssociationEvent,
    Authentication,
    NeedSend,
    Password,
    Released,
    Reply,
    ServerPush,
    State,
    mechanism_of,
    open_apdu,
)
from quince.protocols.dlms.encoding.axdr import Data, decode, octet_string
from quince.protocols.dlms.encoding.reader import sized
from quince.protocols.dlms.errors import (
    AssociationRefusedError,
    AuthenticationError,
    ServiceRefusedError,
)
from quince.protocols.dlms.security.protection import (
    GLO_INITIATE_REQUEST,
    GLO_INITIATE_RESPONSE,
    PROTECTION_OCTETS,
    Gmac,
    Protection,
    decode_initiate_envelope,
)

# 65,536 values, the most axdr reads, are about 400 kB in a profile; strings may take more.
TRANSFER_OCTETS_MAX = 2**20
_INVOKE_IDS = 16
_AUTHENTICATION_DIAGNOSTICS = frozenset(
    {
        acse.Diagnostic.MECHANISM_NOT_RECOGNISED,
        acse.Diagnostic.MECHANISM_REQUIRED,
        acse.Diagnostic.AUTHENTICATION_FAILED,
        acse.Diagnostic.AUTHENTICATION_REQUIRED,
    }
)


@dataclass(slots=True, kw_only=True)
class _Pending:
    """The request under way, and the blocks of its answer so far."""

    request: plain.Request
    blocks: bytearray = field(default_factory=bytearray)
    block_number: int = 0


class ClientAssociation:
    """Opens, reads, writes, calls and releases; APDUs in, events out.

    Errors of the other side are raised: AssociationRefusedError, ServiceRefusedError,
    ProtectionError, CodecError. Behind any of them but ServiceRefusedError the link should be
    closed. `pdu_octets_max` is the largest APDU we receive; a meter cuts its blocks to it.
    """

    def __init__(
        self, authentication: Authentication, *, rng: Rng, pdu_octets_max: int = 1024
    ) -> None:
        self.state = State.IDLE
        self._authentication = authentication
        self._rng = rng
        self._pdu_octets_max = pdu_octets_max
        self._server_pdu_octets_max = initiate.PDU_OCTETS_MAX
        self._protection: Protection | None = None
        self._challenge = b""
        self._invoke_id = 0
        self._pending: _Pending | None = None

    # -- requests ------------------------------------------------------------------------

    def open(self) -> bytes:
        """Return the AARQ."""
        self._require(State.IDLE)
        own = self._authentication
        proposal = initiate.Initiate(
            conformance=initiate.SERVED, pdu_octets_max=self._pdu_octets_max
        )
        user_information, value = initiate.encode_request(proposal), b""
        if isinstance(own, Gmac):
            self._protection = Protection(own)
            sealed = self._protection.seal(user_information)
            user_information = bytes((GLO_INITIATE_REQUEST,)) + sized(sealed)
            value = self._challenge = self._rng.randbytes(CHALLENGE_OCTETS)
        elif isinstance(own, Password):
            value = own.secret
        self.state = State.ASSOCIATING
        return acse.AssociationRequest(
            ciphered=isinstance(own, Gmac),
            mechanism=mechanism_of(own),
            value=value,
            system_title=own.system_title if isinstance(own, Gmac) else b"",
            user_information=user_information,
        ).encode()

    def get(self, ref: Ref, access: Access | None = None) -> bytes:
        """Return the APDU that reads an attribute, or the selected part of it."""
        self._require(State.ASSOCIATED)
        return self._request(plain.GetRequest(invoke_id=self._count(), items=((ref, access),)))

    def set(self, ref: Ref, data: Data) -> bytes:
        """Return the APDU that writes an attribute."""
        self._require(State.ASSOCIATED)
        invoke_id = self._count()
        return self._request(plain.SetRequest(invoke_id=invoke_id, ref=ref, access=None, data=data))

    def action(self, ref: Ref, data: Data | None = None) -> bytes:
        """Return the APDU that calls a method."""
        self._require(State.ASSOCIATED)
        return self._request(plain.ActionRequest(invoke_id=self._count(), ref=ref, data=data))

    def release(self) -> bytes:
        """Return the RLRQ."""
        self._require(State.ASSOCIATED)
        self.state = State.RELEASING
        return acse.encode_release(acse.RLRQ)

    def _require(self, state: State) -> None:
        if self.state is not state or self._pending is not None:
            raise LocalProtocolError(f"the association is {self.state.name}, or a reply is due")

    def _count(self) -> int:
        self._invoke_id = (self._invoke_id + 1) % _INVOKE_IDS
        return self._invoke_id

    def _request(self, request: plain.Request) -> bytes:
        octets = self._send(request)
        self._pending = _Pending(request=request)
        return octets

    def _send(self, request: plain.Request) -> bytes:
        octets = request.encode()
        room = self._server_pdu_octets_max - (PROTECTION_OCTETS if self._protection else 0)
        if len(octets) > room:
            raise LocalProtocolError(f"{len(octets)} octets are more than the meter receives")
        return self._protection.seal_apdu(octets, general=False) if self._protection else octets

    # -- what arrives --------------------------------------------------------------------

    def receive(self, apdu: bytes) -> list[AssociationEvent]:
        """Take one APDU from the meter."""
        if apdu[:1] == bytes((plain.EXCEPTION_RESPONSE,)):
            # It comes in clear, even in a ciphered association.
            raise self._refused(plain.decode_exception(apdu))
        match self.state:
            case State.IDLE:
                raise RemoteProtocolError("an APDU outside of any association")
            case State.ASSOCIATING:
                return self._on_aare(acse.decode_response(apdu))
            case State.RELEASING:
                acse.decode_release(acse.RLRE, apdu)
                self.state, self._protection = State.IDLE, None
                return [Released()]
            case State.HLS_PENDING | State.ASSOCIATED:
                octets, _general = open_apdu(self._protection, apdu)
                return self._on_response(plain.decode_apdu(octets))

    def _refused(self, exception: plain.ExceptionResponse) -> ServiceRefusedError:
        self._pending = None
        if self.state is not State.ASSOCIATED:
            self.state = State.IDLE
        codes = f"state error {exception.state_error}, service error {exception.service_error}"
        return ServiceRefusedError(f"the meter says {codes}", exception.expected_counter)

    def _on_aare(self, response: acse.AssociationResponse) -> list[AssociationEvent]:
        self.state = State.IDLE
        if response.result != acse.ACCEPTED:
            raise _refusal(response.diagnostic)
        user_information = response.user_information
        if self._protection is not None:
            self._protection.meet(response.system_title)
            sealed = decode_initiate_envelope(GLO_INITIATE_RESPONSE, user_information)
            user_information = self._protection.open(sealed)
        accepted = initiate.decode_response(user_information)
        self._server_pdu_octets_max = accepted.pdu_octets_max
        if self._protection is None:
            self.state = State.ASSOCIATED
            return [Associated()]
        return self._prove(self._protection, response.value)

    def _prove(self, protection: Protection, challenge: bytes) -> list[AssociationEvent]:
        if not CHALLENGE_OCTETS_MIN <= len(challenge) <= CHALLENGE_OCTETS_MAX:
            raise AuthenticationError("the meter gave no challenge")
        proof = octet_string(protection.prove(challenge))
        request = plain.ActionRequest(invoke_id=self._count(), ref=REPLY_TO_HLS, data=proof)
        self.state = State.HLS_PENDING
        return [NeedSend(apdu=self._request(request))]

    def _on_response(self, response: plain.Apdu) -> list[AssociationEvent]:
        if isinstance(response, plain.EventNotification | plain.DataNotification):
            return [ServerPush(notification=response)]
        pending = self._pending
        if pending is None or isinstance(response, plain.ExceptionResponse):
            raise RemoteProtocolError("a response to nothing")
        if response.invoke_id != pending.request.invoke_id:
            raise RemoteProtocolError("a response to another request")
        match pending.request, response:
            case plain.GetRequest(), plain.GetBlockResponse():
                return self._on_block(pending, response)
            case plain.GetRequest(), plain.GetResponse(results=(result,)):
                return self._finish(_reply(result))
            case plain.SetRequest(), plain.SetResponse():
                return self._finish(Reply(result=response.result))
            case plain.ActionRequest(), plain.ActionResponse():
                return self._on_action(response)
            case _:
                raise RemoteProtocolError("a response of another kind")

    def _on_block(
        self, pending: _Pending, response: plain.GetBlockResponse
    ) -> list[AssociationEvent]:
        if isinstance(response.block, AccessResult):
            return self._finish(Reply(result=response.block))
        pending.block_number += 1
        if response.block_number != pending.block_number:
            raise RemoteProtocolError(f"block {response.block_number}, not {pending.block_number}")
        if not response.block and not response.last:
            raise RemoteProtocolError("an empty block, and more to come")
        pending.blocks += response.block
        if len(pending.blocks) > TRANSFER_OCTETS_MAX:
            raise RemoteProtocolError(f"more than {TRANSFER_OCTETS_MAX} octets in blocks")
        if response.last:
            return self._finish(_reply(decode(bytes(pending.blocks))))
        request = plain.GetNextRequest(
            invoke_id=response.invoke_id, block_number=response.block_number
        )
        return [NeedSend(apdu=self._send(request))]

    def _on_action(self, response: plain.ActionResponse) -> list[AssociationEvent]:
        if self._protection is not None and self.state is State.HLS_PENDING:
            return self._on_proof(self._protection, response)
        if isinstance(response.data, AccessResult):
            return self._finish(Reply(result=response.result or response.data))
        return self._finish(Reply(result=response.result, data=response.data))

    def _on_proof(
        self, protection: Protection, response: plain.ActionResponse
    ) -> list[AssociationEvent]:
        self.state, self._pending = State.IDLE, None
        if response.result is not AccessResult.SUCCESS or not isinstance(response.data, Data):
            raise AuthenticationError(f"the meter refused our proof: {response.result.name}")
        protection.verify(response.data.as_octets(), self._challenge)
        self.state = State.ASSOCIATED
        return [Associated()]

    def _finish(self, reply: Reply) -> list[AssociationEvent]:
        self._pending = None
        return [reply]


def _reply(result: Data | AccessResult) -> Reply:
    if isinstance(result, AccessResult):
        return Reply(result=result)
    return Reply(result=AccessResult.SUCCESS, data=result)


def _refusal(diagnostic: int) -> AssociationRefusedError:
    if diagnostic in _AUTHENTICATION_DIAGNOSTICS:
        return AuthenticationError(f"the meter says {acse.Diagnostic(diagnostic).name}")
    return AssociationRefusedError(f"the meter says diagnostic {diagnostic}")
