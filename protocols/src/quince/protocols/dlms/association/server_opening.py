"""The meter's side of the opening handshake: AARQ, AARE, and under HLS the two proofs."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.constant_time import bytes_eq

from quince.model.rng import Rng
from quince.protocols.dlms.apdu import acse, initiate
from quince.protocols.dlms.apdu.action import ActionRequest, ActionResponse
from quince.protocols.dlms.apdu.apdu import Apdu
from quince.protocols.dlms.apdu.reference import AccessResult
from quince.protocols.dlms.association.states import REPLY_TO_HLS, Terms
from quince.protocols.dlms.encoding.axdr import octet_string
from quince.protocols.dlms.errors import AuthenticationError, ProtectionError, ReplayError
from quince.protocols.dlms.security.credentials import (
    Authentication,
    Hls,
    Password,
    ciphering_of,
    mechanism_of,
    title_of,
)
from quince.protocols.dlms.security.envelopes import GLO_INITIATE_REQUEST, GLO_INITIATE_RESPONSE
from quince.protocols.dlms.security.proofs import Challenges, check_proof, new_challenge, prove
from quince.protocols.dlms.security.protection import Clear, Protection

# A client that receives less could not even be sent a block under protection.
CLIENT_PDU_OCTETS_MIN = 64


class _RefusedError(Exception):
    """Ends the handling of an AARQ with a diagnostic."""

    def __init__(self, diagnostic: acse.Diagnostic) -> None:
        super().__init__(diagnostic.name)
        self.diagnostic = diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProofDue:
    """What the client's proof is to be checked against."""

    own: Hls
    challenges: Challenges


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The AARE, and the terms if it lets the client in; `proves` says that its proof is due."""

    aare: bytes
    terms: Terms | None = None
    proves: bool = False


class ServerOpening:
    """Answers AARQs, each from the start; `accepts` holds the authentications to choose from."""

    def __init__(self, accepts: Sequence[Authentication], *, rng: Rng, pdu_octets_max: int) -> None:
        self._accepts: dict[int, Authentication] = {mechanism_of(one): one for one in accepts}
        self._rng = rng
        self._pdu_octets_max = pdu_octets_max
        self._due: _ProofDue | None = None

    def associate(self, request: acse.AssociationRequest) -> Answer:
        """Answer an AARQ.

        ReplayError if its counter was seen before: that is answered by an exception-response.
        """
        self._due = None
        try:
            return self._accept(self._chosen(request), request)
        except _RefusedError as refused:
            diagnostic = refused.diagnostic
        except AuthenticationError:
            diagnostic = acse.Diagnostic.AUTHENTICATION_FAILED
        own = self._accepts.get(request.mechanism)
        response = acse.AssociationResponse(
            ciphered=request.ciphered,
            result=acse.REJECTED_PERMANENTLY,
            diagnostic=diagnostic,
            system_title=b"" if own is None else title_of(own),
        )
        return Answer(aare=response.encode())

    def _chosen(self, request: acse.AssociationRequest) -> Authentication:
        own = self._accepts.get(request.mechanism)
        if own is None and request.mechanism == acse.Mechanism.NONE:
            raise _RefusedError(acse.Diagnostic.MECHANISM_REQUIRED)
        if own is None:
            raise _RefusedError(acse.Diagnostic.MECHANISM_NOT_RECOGNISED)
        if request.ciphered != (ciphering_of(own) is not None):
            raise _RefusedError(acse.Diagnostic.CONTEXT_NOT_SUPPORTED)
        if isinstance(own, Password) and not bytes_eq(own.secret, request.value):
            raise _RefusedError(acse.Diagnostic.AUTHENTICATION_FAILED)
        return own

    def _accept(self, own: Authentication, request: acse.AssociationRequest) -> Answer:
        challenge = self._challenge(own, request)
        protection, octets = self._open(own, request)
        proposal = initiate.decode_request(octets)
        if proposal.pdu_octets_max < CLIENT_PDU_OCTETS_MIN:
            raise _RefusedError(acse.Diagnostic.NO_REASON)
        if isinstance(protection, Protection) and proposal.dedicated_key:
            protection.dedicate(proposal.dedicated_key)
        terms = Terms(
            peer_pdu_octets_max=proposal.pdu_octets_max,
            conformance=proposal.conformance & initiate.SERVED,
            protection=protection,
        )
        diagnostic = acse.Diagnostic.NONE
        if challenge:
            diagnostic = acse.Diagnostic.AUTHENTICATION_REQUIRED
        response = acse.AssociationResponse(
            ciphered=request.ciphered,
            result=acse.ACCEPTED,
            diagnostic=diagnostic,
            user_information=self._accepted(terms),
            mechanism=mechanism_of(own) if challenge else acse.Mechanism.NONE,
            value=challenge,
            system_title=title_of(own),
        )
        return Answer(aare=response.encode(), terms=terms, proves=bool(challenge))

    def _challenge(self, own: Authentication, request: acse.AssociationRequest) -> bytes:
        """Return our challenge, and keep what the proof will be checked against; empty if none."""
        if not isinstance(own, Hls):
            return b""
        challenges = Challenges(
            own_title=title_of(own),
            peer_title=request.system_title,
            own=new_challenge(own, self._rng),
            peer=request.value,
        )
        self._due = _ProofDue(own=own, challenges=challenges)
        return challenges.own

    def _open(
        self, own: Authentication, request: acse.AssociationRequest
    ) -> tuple[Protection | Clear, bytes]:
        ciphering = ciphering_of(own)
        if ciphering is None:
            return Clear(), request.user_information
        protection = Protection(ciphering, rng=self._rng, answers=True)
        try:
            protection.meet(request.system_title)
            octets = protection.open_initiate(GLO_INITIATE_REQUEST, request.user_information)
        except ReplayError:
            raise
        except ProtectionError:
            raise _RefusedError(acse.Diagnostic.AUTHENTICATION_FAILED) from None
        return protection, octets

    def _accepted(self, terms: Terms) -> bytes:
        octets = initiate.encode_response(
            initiate.Initiate(conformance=terms.conformance, pdu_octets_max=self._pdu_octets_max)
        )
        if not isinstance(terms.protection, Protection):
            return octets
        return terms.protection.seal_initiate(GLO_INITIATE_RESPONSE, octets)

    def prove(self, request: Apdu) -> ActionResponse:
        """Take the client's proof and give ours; any other request is refused until then.

        Only a response with SUCCESS makes the association stand.
        """
        due, self._due = self._due, None
        if due is None or not isinstance(request, ActionRequest) or request.ref != REPLY_TO_HLS:
            raise ProtectionError("a request before the proof")
        refused = ActionResponse(invoke_id=request.invoke_id, result=AccessResult.READ_WRITE_DENIED)
        if request.data is None:
            return refused
        try:
            check_proof(due.own, due.challenges, request.data.as_octets())
        except AuthenticationError:
            return refused
        return ActionResponse(
            invoke_id=request.invoke_id,
            result=AccessResult.SUCCESS,
            data=octet_string(prove(due.own, due.challenges)),
        )
