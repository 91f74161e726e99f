"""The client's opening handshake: AARQ, AARE, and under high-level security the two proofs.

It ends in the terms under which the services then travel.
"""

from dataclasses import dataclass

from quince.model.errors import RemoteProtocolError
from quince.model.rng import Rng
from quince.protocols.dlms.apdu import acse, initiate
from quince.protocols.dlms.apdu.action import ActionRequest, ActionResponse
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.reference import AccessResult
from quince.protocols.dlms.association.states import REPLY_TO_HLS, NeedSend, Terms
from quince.protocols.dlms.encoding.axdr import Data, octet_string
from quince.protocols.dlms.errors import AssociationRefusedError, AuthenticationError
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
from quince.protocols.dlms.security.protection import ApduProtection, Clear, Protection

# The handshake asks one thing; the services behind it count on from here.
OPENING_INVOKE_ID = 1
_AUTHENTICATION_DIAGNOSTICS = frozenset(
    {
        acse.Diagnostic.MECHANISM_NOT_RECOGNISED,
        acse.Diagnostic.MECHANISM_REQUIRED,
        acse.Diagnostic.AUTHENTICATION_FAILED,
        acse.Diagnostic.AUTHENTICATION_REQUIRED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProofDue:
    """What the meter accepted, and what its proof is to be checked against."""

    own: Hls
    challenges: Challenges
    accepted: initiate.Initiate


class ClientOpening:
    """One opening, used once: `request()`, then `receive()` until it returns the terms."""

    def __init__(self, own: Authentication, *, rng: Rng, pdu_octets_max: int) -> None:
        self._own = own
        self._rng = rng
        self._pdu_octets_max = pdu_octets_max
        ciphering = ciphering_of(own)
        self._ciphered = None if ciphering is None else Protection(ciphering, rng=rng)
        self._protection: ApduProtection = self._ciphered or Clear()
        self._challenge = b""
        self._due: _ProofDue | None = None

    def request(self) -> bytes:
        """Return the AARQ."""
        value = b""
        if isinstance(self._own, Password):
            value = self._own.secret
        elif isinstance(self._own, Hls):
            value = self._challenge = new_challenge(self._own, self._rng)
        return acse.AssociationRequest(
            ciphered=self._ciphered is not None,
            mechanism=mechanism_of(self._own),
            value=value,
            system_title=title_of(self._own),
            user_information=self._proposal(),
        ).encode()

    def _proposal(self) -> bytes:
        proposal = initiate.Initiate(
            conformance=initiate.SERVED,
            pdu_octets_max=self._pdu_octets_max,
            dedicated_key=b"" if self._ciphered is None else self._ciphered.new_dedicated_key(),
        )
        octets = initiate.encode_request(proposal)
        if self._ciphered is None:
            return octets
        return self._ciphered.seal_initiate(GLO_INITIATE_REQUEST, octets)

    def receive(self, apdu: bytes) -> NeedSend | Terms:
        """Take the AARE, or the answer to our proof."""
        if self._due is None:
            return self._on_aare(acse.decode_response(apdu))
        return self._on_proof(self._due, self._protection.open_apdu(apdu))

    def _on_aare(self, response: acse.AssociationResponse) -> NeedSend | Terms:
        if response.result != acse.ACCEPTED:
            raise _refusal(response.diagnostic)
        octets = response.user_information
        if self._ciphered is not None:
            self._ciphered.meet(response.system_title)
            octets = self._ciphered.open_initiate(GLO_INITIATE_RESPONSE, octets)
        accepted = initiate.decode_response(octets)
        if not isinstance(self._own, Hls):
            return self._terms(accepted)
        # Some meters leave the mechanism out; none may choose another.
        if response.mechanism not in (acse.Mechanism.NONE, mechanism_of(self._own)):
            raise AuthenticationError(f"the meter wants mechanism {response.mechanism}")
        challenges = Challenges(
            own_title=title_of(self._own),
            peer_title=response.system_title,
            own=self._challenge,
            peer=response.value,
        )
        self._due = _ProofDue(own=self._own, challenges=challenges, accepted=accepted)
        proof = octet_string(prove(self._own, challenges))
        request = ActionRequest(invoke_id=OPENING_INVOKE_ID, ref=REPLY_TO_HLS, data=proof)
        return NeedSend(apdu=self._protection.seal_apdu(request.encode()))

    def _on_proof(self, due: _ProofDue, octets: bytes) -> Terms:
        response = decode_apdu(octets)
        if not isinstance(response, ActionResponse):
            raise RemoteProtocolError("a response of another kind")
        if response.invoke_id != OPENING_INVOKE_ID:
            raise RemoteProtocolError("a response to another request")
        if response.result is not AccessResult.SUCCESS or not isinstance(response.data, Data):
            raise AuthenticationError(f"the meter refused our proof: {response.result.name}")
        check_proof(due.own, due.challenges, response.data.as_octets())
        return self._terms(due.accepted)

    def _terms(self, accepted: initiate.Initiate) -> Terms:
        if self._ciphered is not None:
            self._ciphered.establish()
        return Terms(
            peer_pdu_octets_max=accepted.pdu_octets_max,
            conformance=accepted.conformance,
            protection=self._protection,
        )


def _refusal(diagnostic: int) -> AssociationRefusedError:
    if diagnostic in _AUTHENTICATION_DIAGNOSTICS:
        return AuthenticationError(f"the meter says {acse.Diagnostic(diagnostic).name}")
    return AssociationRefusedError(f"the meter says diagnostic {diagnostic}")
