"""The meter's side of an association: every APDU gets its answer, wrong ones a refusal."""

from collections.abc import Sequence

from quince.model.errors import CodecError, LocalProtocolError, RemoteProtocolError
from quince.model.rng import Rng
from quince.protocols.dlms.apdu import acse
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.block_transfer import GeneralBlock, decode_general_block
from quince.protocols.dlms.apdu.exception import ExceptionResponse, ServiceError, StateError
from quince.protocols.dlms.apdu.initiate import Conformance
from quince.protocols.dlms.apdu.reference import AccessResult
from quince.protocols.dlms.association.general_blocks import BlockTransfer
from quince.protocols.dlms.association.objects import ObjectModel
from quince.protocols.dlms.association.server_opening import CLIENT_PDU_OCTETS_MIN, ServerOpening
from quince.protocols.dlms.association.serving import Services
from quince.protocols.dlms.association.states import State, Terms
from quince.protocols.dlms.encoding.reader import Reader
from quince.protocols.dlms.errors import ProtectionError, ReplayError
from quince.protocols.dlms.security.counters import COUNTER_MAX
from quince.protocols.dlms.security.credentials import Authentication
from quince.protocols.dlms.security.protection import Clear

# How many general blocks we take in a row. A client sends them as fast as its link lets it.
_WINDOW = 8


class ServerAssociation:
    """Answers one client. `accepts` holds the authentications it may choose from.

    `public` is what a client sees that proves nothing; all of `objects` if it is not given.
    """

    def __init__(
        self,
        objects: ObjectModel,
        accepts: Sequence[Authentication],
        *,
        rng: Rng,
        pdu_octets_max: int = 1024,
        public: ObjectModel | None = None,
    ) -> None:
        self.state = State.IDLE
        self._objects = objects
        self._public = objects if public is None else public
        self._opening = ServerOpening(accepts, rng=rng, pdu_octets_max=pdu_octets_max)
        self._terms = Terms(
            peer_pdu_octets_max=CLIENT_PDU_OCTETS_MIN, conformance=0, protection=Clear()
        )
        self._seen = objects
        self._services: Services | None = None
        self._blocks: BlockTransfer | None = None
        self._begun_by: GeneralBlock | None = None
        self._further: tuple[bytes, ...] = ()

    def receive(self, apdu: bytes) -> bytes:
        """Take one APDU from the client, return the answer, or the first APDU of it.

        Nothing is returned for what wants no answer.
        """
        first, *rest = self._answered(apdu) or (b"",)
        self._further = tuple(rest)
        return first

    def further(self) -> tuple[bytes, ...]:
        """Return the rest of the last answer, once: the client takes several blocks in a row."""
        rest, self._further = self._further, ()
        return rest

    def _answered(self, apdu: bytes) -> tuple[bytes, ...]:
        try:
            return self._on_apdu(apdu)
        except ReplayError as error:
            # A transaction counts further than a counter, and behind the last counter comes none.
            expected = error.expected_counter
            known = expected if expected <= COUNTER_MAX else None
            return _exception(ServiceError.INVOCATION_COUNTER_ERROR, known)
        except ProtectionError:
            return _exception(ServiceError.DECIPHERING_ERROR)
        except (CodecError, RemoteProtocolError):
            return _exception(ServiceError.SERVICE_NOT_SUPPORTED)
        except LocalProtocolError:
            return _exception(ServiceError.PDU_TOO_LONG)  # not even a block of it fits

    def _on_apdu(self, apdu: bytes) -> tuple[bytes, ...]:
        tag = Reader(apdu).octet()
        if tag == acse.AARQ:
            return (self._on_aarq(acse.decode_request(apdu)),)
        if tag == acse.RLRQ:
            acse.decode_release(acse.RLRQ, apdu)
            self.state = State.IDLE
            return (acse.encode_release(acse.RLRE),)
        if self.state is State.IDLE:
            return _exception(
                ServiceError.OPERATION_NOT_POSSIBLE, state=StateError.SERVICE_NOT_ALLOWED
            )
        block = decode_general_block(apdu)
        if block is not None:
            return self._on_general_block(block)
        self._blocks = None
        answer = self._answer(apdu)
        if len(answer) > self._terms.peer_pdu_octets_max:
            return self._in_general_blocks(answer)
        return (answer,) if answer else ()

    # -- association ---------------------------------------------------------------------

    def _on_aarq(self, request: acse.AssociationRequest) -> bytes:
        self.state, self._blocks = State.IDLE, None
        answer = self._opening.associate(request)
        if answer.terms is not None:
            self._terms, self._services = answer.terms, None
            is_public = request.mechanism == acse.Mechanism.NONE
            self._seen = self._public if is_public else self._objects
            self.state = State.HLS_PENDING if answer.proves else State.ASSOCIATED
        return answer.aare

    @property
    def _room_octets(self) -> int:
        return self._terms.peer_pdu_octets_max - self._terms.protection.overhead_octets

    # -- services ------------------------------------------------------------------------

    def _answer(self, apdu: bytes) -> bytes:
        """Return the answer in one piece, nothing if none is wanted."""
        request = decode_apdu(self._terms.protection.open_apdu(apdu))
        if self.state is State.HLS_PENDING:
            self.state = State.IDLE  # where a wrong proof leaves us
            proof = self._opening.prove(request)
            if proof.result is AccessResult.SUCCESS:
                self.state = State.ASSOCIATED
            return self._terms.protection.seal_apdu(proof.encode())
        if self._services is None:
            # Not before a request has shown the form of its protection, and so what that adds.
            self._services = Services(
                self._seen, room_octets=self._room_octets, conformance=self._terms.conformance
            )
        response = self._services.answer(request)
        return b"" if response is None else self._terms.protection.seal_apdu(response.encode())

    # -- general block transfer ----------------------------------------------------------

    def _in_general_blocks(self, answer: bytes) -> tuple[bytes, ...]:
        if not self._terms.conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            return _exception(ServiceError.PDU_TOO_LONG)
        self._blocks, self._begun_by = self._new_transfer(), None
        return self._blocks.send(answer)

    def _new_transfer(self) -> BlockTransfer:
        return BlockTransfer(pdu_octets_max=self._terms.peer_pdu_octets_max, window=_WINDOW)

    def _on_general_block(self, block: GeneralBlock) -> tuple[bytes, ...]:
        # The same first block again is one that was not heard to be answered.
        begins = block.number == 1 and block.octets and block != self._begun_by
        if self._blocks is None or begins:
            self._blocks, self._begun_by = self._new_transfer(), block
        step = self._blocks.receive(block)
        if step.apdu is None:
            return step.to_send
        answer = self._answer(step.apdu)
        return self._blocks.send(answer) if answer else ()


def _exception(
    service: ServiceError,
    expected_counter: int | None = None,
    state: StateError = StateError.SERVICE_UNKNOWN,
) -> tuple[bytes, ...]:
    response = ExceptionResponse(
        state_error=state, service_error=service, expected_counter=expected_counter
    )
    return (response.encode(),)
