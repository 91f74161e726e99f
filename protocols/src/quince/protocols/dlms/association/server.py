"""The meter's side of an association: every APDU gets its answer, wrong ones a refusal."""

from collections.abc import Sequence
from typing import Protocol

from cryptography.hazmat.primitives.constant_time import bytes_eq

from quince.model.errors import CodecError
from quince.model.rng import Rng
from quince.protocols.dlms.apdu import acse, initiate, services as plain
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.association.states import (
    CHALLENGE_OCTETS,
    CHALLENGE_OCTETS_MAX,
    CHALLENGE_OCTETS_MIN,
    REPLY_TO_HLS,
    Authentication,
    Password,
    State,
    mechanism_of,
    open_apdu,
)
from quince.protocols.dlms.encoding.axdr import Data, octet_string
from quince.protocols.dlms.encoding.reader import sized
from quince.protocols.dlms.errors import AuthenticationError, ProtectionError, ReplayError
from quince.protocols.dlms.security.protection import (
    GLO_INITIATE_REQUEST,
    GLO_INITIATE_RESPONSE,
    PROTECTION_OCTETS,
    Gmac,
    Protection,
    decode_initiate_envelope,
)

# Tag, kind, invoke id, last, number, choice and a length in long form.
_BLOCK_HEAD_OCTETS = 12
# A client that receives less could not even be sent a block under protection.
_CLIENT_PDU_OCTETS_MIN = 64


class ObjectModel(Protocol):
    """What the meter holds."""

    def get(self, ref: Ref, access: Access | None) -> Data | AccessResult:
        """Return an attribute, or why not."""
        ...

    def set(self, ref: Ref, data: Data) -> AccessResult:
        """Write an attribute."""
        ...

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        """Call a method."""
        ...


class _RefusedError(Exception):
    """Ends the handling of an AARQ with a diagnostic."""

    def __init__(self, diagnostic: acse.Diagnostic) -> None:
        super().__init__(diagnostic.name)
        self.diagnostic = diagnostic


class ServerAssociation:
    """Answers one client. `accepts` holds the authentications it may choose from."""

    def __init__(
        self,
        objects: ObjectModel,
        accepts: Sequence[Authentication],
        *,
        rng: Rng,
        pdu_octets_max: int = 1024,
    ) -> None:
        self.state = State.IDLE
        self._objects = objects
        self._accepts: dict[int, Authentication] = {mechanism_of(one): one for one in accepts}
        self._rng = rng
        self._pdu_octets_max = pdu_octets_max
        self._client_pdu_octets_max = _CLIENT_PDU_OCTETS_MIN
        self._protection: Protection | None = None
        self._client_challenge = b""
        self._challenge = b""
        self._transfer = b""
        self._block_number = 0

    def receive(self, apdu: bytes) -> bytes:
        """Take one APDU from the client, return the answer: there always is one."""
        try:
            if apdu[:1] == bytes((acse.AARQ,)):
                return self._on_aarq(acse.decode_request(apdu))
            if apdu[:1] == bytes((acse.RLRQ,)):
                acse.decode_release(acse.RLRQ, apdu)
                self.state = State.IDLE
                return acse.encode_release(acse.RLRE)
            return self._on_request(apdu)
        except ReplayError as error:
            return _exception(plain.ServiceError.INVOCATION_COUNTER_ERROR, error.expected_counter)
        except ProtectionError:
            return _exception(plain.ServiceError.DECIPHERING_ERROR)
        except CodecError:
            return _exception(plain.ServiceError.SERVICE_NOT_SUPPORTED)

    # -- association ---------------------------------------------------------------------

    def _on_aarq(self, request: acse.AssociationRequest) -> bytes:
        self.state, self._protection, self._transfer = State.IDLE, None, b""
        try:
            proposal, self._protection = self._open_proposal(request)
        except _RefusedError as refused:
            return self._aare(request, acse.REJECTED_PERMANENTLY, refused.diagnostic)
        self._client_pdu_octets_max = proposal.pdu_octets_max
        accepted = initiate.encode_response(
            initiate.Initiate(
                conformance=proposal.conformance & initiate.SERVED,
                pdu_octets_max=self._pdu_octets_max,
            )
        )
        if self._protection is None:
            self.state = State.ASSOCIATED
            return self._aare(request, acse.ACCEPTED, acse.Diagnostic.NONE, accepted)
        self.state = State.HLS_PENDING
        self._challenge = self._rng.randbytes(CHALLENGE_OCTETS)
        sealed = bytes((GLO_INITIATE_RESPONSE,)) + sized(self._protection.seal(accepted))
        return self._aare(request, acse.ACCEPTED, acse.Diagnostic.AUTHENTICATION_REQUIRED, sealed)

    def _open_proposal(
        self, request: acse.AssociationRequest
    ) -> tuple[initiate.Initiate, Protection | None]:
        own = self._accepts.get(request.mechanism)
        if own is None:
            if request.mechanism == acse.Mechanism.NONE:
                raise _RefusedError(acse.Diagnostic.MECHANISM_REQUIRED)
            raise _RefusedError(acse.Diagnostic.MECHANISM_NOT_RECOGNISED)
        if request.ciphered != isinstance(own, Gmac):
            raise _RefusedError(acse.Diagnostic.CONTEXT_NOT_SUPPORTED)
        protection, user_information = None, request.user_information
        if isinstance(own, Gmac):
            protection, user_information = self._meet(own, request)
        elif isinstance(own, Password) and not bytes_eq(own.secret, request.value):
            raise _RefusedError(acse.Diagnostic.AUTHENTICATION_FAILED)
        proposal = initiate.decode_request(user_information)
        if proposal.pdu_octets_max < _CLIENT_PDU_OCTETS_MIN:
            raise _RefusedError(acse.Diagnostic.NO_REASON)
        return proposal, protection

    def _meet(self, own: Gmac, request: acse.AssociationRequest) -> tuple[Protection, bytes]:
        if not CHALLENGE_OCTETS_MIN <= len(request.value) <= CHALLENGE_OCTETS_MAX:
            raise _RefusedError(acse.Diagnostic.AUTHENTICATION_FAILED)
        protection = Protection(own)
        try:
            protection.meet(request.system_title)
            sealed = decode_initiate_envelope(GLO_INITIATE_REQUEST, request.user_information)
            user_information = protection.open(sealed)
        except ReplayError:
            raise
        except ProtectionError:
            raise _RefusedError(acse.Diagnostic.AUTHENTICATION_FAILED) from None
        self._client_challenge = request.value
        return protection, user_information

    def _aare(
        self,
        request: acse.AssociationRequest,
        result: int,
        diagnostic: acse.Diagnostic,
        user_information: bytes = b"",
    ) -> bytes:
        own = self._accepts.get(request.mechanism)
        proves = isinstance(own, Gmac) and result == acse.ACCEPTED
        response = acse.AssociationResponse(
            ciphered=request.ciphered,
            result=result,
            diagnostic=diagnostic,
            user_information=user_information,
            mechanism=acse.Mechanism.GMAC if proves else acse.Mechanism.NONE,
            value=self._challenge if proves else b"",
            system_title=own.system_title if isinstance(own, Gmac) else b"",
        )
        return response.encode()

    # -- requests ------------------------------------------------------------------------

    def _on_request(self, apdu: bytes) -> bytes:
        if self.state is State.IDLE:
            return _exception(
                plain.ServiceError.OPERATION_NOT_POSSIBLE,
                state=plain.StateError.SERVICE_NOT_ALLOWED,
            )
        octets, general = open_apdu(self._protection, apdu)
        request = plain.decode_apdu(octets)
        if self._protection is not None and self.state is State.HLS_PENDING:
            response: plain.Response = self._on_proof(self._protection, request)
        else:
            response = self._answer(request)
        answer = response.encode()
        if self._protection is not None:
            answer = self._protection.seal_apdu(answer, general=general)
        return answer

    def _on_proof(self, protection: Protection, request: plain.Apdu) -> plain.ActionResponse:
        """Take the client's proof and give ours; any other request is refused until then."""
        self.state = State.IDLE
        if not isinstance(request, plain.ActionRequest) or request.ref != REPLY_TO_HLS:
            raise ProtectionError("a request before the proof")
        refused = plain.ActionResponse(
            invoke_id=request.invoke_id, result=AccessResult.READ_WRITE_DENIED
        )
        if request.data is None:
            return refused
        try:
            protection.verify(request.data.as_octets(), self._challenge)
        except AuthenticationError:
            return refused
        self.state = State.ASSOCIATED
        return plain.ActionResponse(
            invoke_id=request.invoke_id,
            result=AccessResult.SUCCESS,
            data=octet_string(protection.prove(self._client_challenge)),
        )

    def _answer(self, request: plain.Apdu) -> plain.Response:
        match request:
            case plain.GetRequest():
                return self._get(request)
            case plain.GetNextRequest():
                return self._next(request)
            case plain.SetRequest(access=None):
                result = self._objects.set(request.ref, request.data)
                return plain.SetResponse(invoke_id=request.invoke_id, result=result)
            case plain.ActionRequest():
                result, data = self._objects.action(request.ref, request.data)
                return plain.ActionResponse(invoke_id=request.invoke_id, result=result, data=data)
            case _:
                raise CodecError("not a request this server knows")

    def _get(self, request: plain.GetRequest) -> plain.Response:
        self._transfer, self._block_number = b"", 0
        response = plain.GetResponse(
            invoke_id=request.invoke_id,
            results=tuple(self._objects.get(ref, access) for ref, access in request.items),
            is_list=len(request.items) > 1,
        )
        if len(response.encode()) <= self._room_octets:
            return response
        self._transfer = response.body()
        return self._block(request.invoke_id)

    def _next(self, request: plain.GetNextRequest) -> plain.GetBlockResponse:
        if self._transfer and request.block_number == self._block_number:
            return self._block(request.invoke_id)
        problem = AccessResult.NO_LONG_TRANSFER
        if self._transfer:
            problem = AccessResult.DATA_BLOCK_NUMBER_INVALID
        self._transfer = b""
        return plain.GetBlockResponse(
            invoke_id=request.invoke_id,
            last=True,
            block_number=request.block_number,
            block=problem,
        )

    def _block(self, invoke_id: int) -> plain.GetBlockResponse:
        size = self._room_octets - _BLOCK_HEAD_OCTETS
        block, self._transfer = self._transfer[:size], self._transfer[size:]
        self._block_number += 1
        return plain.GetBlockResponse(
            invoke_id=invoke_id,
            last=not self._transfer,
            block_number=self._block_number,
            block=block,
        )

    @property
    def _room_octets(self) -> int:
        return self._client_pdu_octets_max - (PROTECTION_OCTETS if self._protection else 0)


def _exception(
    service: plain.ServiceError,
    expected_counter: int | None = None,
    state: plain.StateError = plain.StateError.SERVICE_UNKNOWN,
) -> bytes:
    response = plain.ExceptionResponse(
        state_error=state, service_error=service, expected_counter=expected_counter
    )
    return response.encode()
