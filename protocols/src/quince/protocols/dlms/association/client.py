"""The client's side of an association: one request at a time, each answered by one Reply.

A list is one request too, answered by one ReplyList.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from quince.model.errors import LocalProtocolError, RemoteProtocolError
from quince.model.rng import Rng
from quince.protocols.dlms.apdu import acse
from quince.protocols.dlms.apdu.access import AccessPart
from quince.protocols.dlms.apdu.apdu import Request, Response, decode_apdu
from quince.protocols.dlms.apdu.block_transfer import GeneralBlock, decode_general_block
from quince.protocols.dlms.apdu.exception import (
    ConfirmedServiceError,
    ExceptionResponse,
    decode_refusal,
)
from quince.protocols.dlms.apdu.initiate import Conformance
from quince.protocols.dlms.apdu.notification import DataNotification, EventNotification
from quince.protocols.dlms.apdu.reference import Access, Item, Ref
from quince.protocols.dlms.association.client_opening import OPENING_INVOKE_ID, ClientOpening
from quince.protocols.dlms.association.exchanges import Exchange
from quince.protocols.dlms.association.general_blocks import BlockTransfer
from quince.protocols.dlms.association.requesting import Requests
from quince.protocols.dlms.association.states import (
    Associated,
    AssociationEvent,
    NeedSend,
    Released,
    Reply,
    ReplyList,
    ServerPush,
    State,
    Terms,
)
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.errors import ServiceRefusedError
from quince.protocols.dlms.security.credentials import Authentication
from quince.protocols.dlms.security.protection import Clear

# Answers to earlier requests, late or told twice by the network, that one request may meet.
STALE_RESPONSES_MAX = 8
# How often one request asks again for blocks that did not come.
REMINDERS_MAX = 3


class ClientAssociation:
    """Opens, reads, writes, calls and releases; APDUs in, events out.

    Errors of the other side are raised: AssociationRefusedError, ServiceRefusedError,
    ProtectionError, CodecError. Behind any of them but ServiceRefusedError the link should be
    closed. `pdu_octets_max` is the largest APDU we receive; a meter cuts its blocks to it.
    `window` is how many general blocks we take in a row: more than one only on links that let
    the meter send several APDUs unasked.
    """

    def __init__(
        self,
        authentication: Authentication,
        *,
        rng: Rng,
        pdu_octets_max: int = 1024,
        window: int = 1,
    ) -> None:
        self.state = State.IDLE
        self._authentication = authentication
        self._rng = rng
        self._pdu_octets_max = pdu_octets_max
        self._window = window
        self._opening = ClientOpening(authentication, rng=rng, pdu_octets_max=pdu_octets_max)
        self._terms = Terms(peer_pdu_octets_max=1, conformance=0, protection=Clear())
        self._requests = Requests(room_octets=0, conformance=0, last_invoke_id=0)
        # What is under way: the exchanges still to come, the replies so far.
        self._exchanges: deque[Exchange] = deque()
        self._replies: list[Reply] = []
        self._is_list = False
        self._blocks: BlockTransfer | None = None
        self._stale_responses = 0
        self._reminders = 0

    # -- requests ------------------------------------------------------------------------

    def open(self) -> bytes:
        """Return the AARQ."""
        self._require(State.IDLE)
        self._opening = ClientOpening(
            self._authentication, rng=self._rng, pdu_octets_max=self._pdu_octets_max
        )
        self.state = State.ASSOCIATING
        return self._opening.request()

    def get(self, ref: Ref, access: Access | None = None) -> bytes:
        """Return the APDU that reads an attribute, or the selected part of it."""
        self._require(State.ASSOCIATED)
        return self._begin([self._requests.get(ref, access)], is_list=False)

    def set(self, ref: Ref, data: Data, access: Access | None = None) -> bytes:
        """Return the APDU that writes an attribute, or the selected part of it."""
        self._require(State.ASSOCIATED)
        return self._begin([self._requests.set(ref, data, access)], is_list=False)

    def action(self, ref: Ref, data: Data | None = None) -> bytes:
        """Return the APDU that calls a method."""
        self._require(State.ASSOCIATED)
        return self._begin([self._requests.action(ref, data)], is_list=False)

    def get_list(self, items: Sequence[Item]) -> bytes:
        """Return the first APDU that reads attributes; as all lists, it ends in a ReplyList.

        Lists work with any meter: what it does not take at once is asked one by one.
        """
        self._require_some(items)
        return self._begin(self._requests.get_list(items), is_list=True)

    def set_list(self, items: Sequence[tuple[Ref, Data]]) -> bytes:
        """Return the first APDU that writes attributes."""
        self._require_some(items)
        return self._begin(self._requests.set_list(items), is_list=True)

    def action_list(self, items: Sequence[tuple[Ref, Data | None]]) -> bytes:
        """Return the first APDU that calls methods."""
        self._require_some(items)
        return self._begin(self._requests.action_list(items), is_list=True)

    def access(self, parts: Sequence[tuple[AccessPart, Data]]) -> bytes:
        """Return the first APDU that reads, writes and calls, in this order.

        Each part comes with its data, NULL where it has none.
        """
        self._require_some(parts)
        return self._begin(self._requests.access(parts), is_list=True)

    def release(self) -> bytes:
        """Return the RLRQ."""
        self._require(State.ASSOCIATED)
        self.state = State.RELEASING
        return acse.encode_release(acse.RLRQ)

    def remind(self) -> tuple[bytes, ...]:
        """Return what to send when a general block transfer stalls; nothing in any other case.

        Other APDUs are never sent again: under protection a counter is used once.
        """
        if self._blocks is None or self._reminders == REMINDERS_MAX:
            return ()
        self._reminders += 1
        return self._blocks.repeat()

    def _require(self, state: State) -> None:
        if self.state is not state or self._exchanges:
            raise LocalProtocolError(f"the association is {self.state.name}, or a reply is due")

    def _require_some(self, items: Sequence[object]) -> None:
        self._require(State.ASSOCIATED)
        if not items:
            raise LocalProtocolError("a list of nothing")

    def _begin(self, exchanges: Iterable[Exchange], *, is_list: bool) -> bytes:
        planned = deque(exchanges)
        octets = self._travelling(planned[0].request)
        self._exchanges, self._replies, self._is_list = planned, [], is_list
        self._stale_responses = self._reminders = 0
        return octets

    def _travelling(self, request: Request) -> bytes:
        """Return a request sealed, or the first block of it if it is too long in one piece."""
        self._blocks = None
        octets = self._terms.protection.seal_apdu(request.encode())
        if len(octets) <= self._terms.peer_pdu_octets_max:
            return octets
        if not self._terms.conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            raise LocalProtocolError(f"{len(octets)} octets are more than the meter receives")
        self._blocks = self._new_transfer()
        # One block, until the meter has told how many it takes in a row.
        (first,) = self._blocks.send(octets)
        return first

    def _new_transfer(self) -> BlockTransfer:
        return BlockTransfer(pdu_octets_max=self._terms.peer_pdu_octets_max, window=self._window)

    # -- what arrives --------------------------------------------------------------------

    def receive(self, apdu: bytes) -> list[AssociationEvent]:
        """Take one APDU from the meter."""
        refusal = decode_refusal(apdu)  # in clear, even in a ciphered association
        if refusal is not None:
            if self.state is State.RELEASING:
                return self._released()  # a meter that knows no release: hanging up is one
            raise self._refused(refusal)
        match self.state:
            case State.IDLE:
                raise RemoteProtocolError("an APDU outside of any association")
            case State.ASSOCIATING | State.HLS_PENDING:
                return self._on_opening(apdu)
            case State.RELEASING:
                acse.decode_release(acse.RLRE, apdu)
                return self._released()
            case State.ASSOCIATED:
                block = decode_general_block(apdu)
                return self._on_apdu(apdu) if block is None else self._on_general_block(block)

    def _released(self) -> list[AssociationEvent]:
        self.state = State.IDLE
        return [Released()]

    def _refused(self, refusal: ExceptionResponse | ConfirmedServiceError) -> ServiceRefusedError:
        self._exchanges.clear()
        self._blocks = None
        if self.state is not State.ASSOCIATED:
            self.state = State.IDLE
        counter = refusal.expected_counter if isinstance(refusal, ExceptionResponse) else None
        return ServiceRefusedError(f"the meter says {refusal}", counter)

    def _on_opening(self, apdu: bytes) -> list[AssociationEvent]:
        was, self.state = self.state, State.IDLE  # where an error leaves us
        step = self._opening.receive(apdu)
        if isinstance(step, NeedSend):
            self.state = State.HLS_PENDING
            return [step]
        self._terms = step
        self._requests = Requests(
            room_octets=step.peer_pdu_octets_max - step.protection.overhead_octets,
            conformance=step.conformance,
            last_invoke_id=OPENING_INVOKE_ID if was is State.HLS_PENDING else 0,
        )
        self.state = State.ASSOCIATED
        return [Associated()]

    def _on_general_block(self, block: GeneralBlock) -> list[AssociationEvent]:
        if self._blocks is None:
            if not self._exchanges and block.number != 1:
                return self._pass_over(block)  # of a transfer that is over
            self._blocks = self._new_transfer()
        step = self._blocks.receive(block)
        if step.apdu is None:
            return [NeedSend(apdu=one) for one in step.to_send]
        self._blocks = None
        refusal = decode_refusal(step.apdu)
        if refusal is not None:
            raise self._refused(refusal)
        return self._on_apdu(step.apdu)

    def _on_apdu(self, apdu: bytes) -> list[AssociationEvent]:
        response = decode_apdu(self._terms.protection.open_apdu(apdu))
        if isinstance(response, EventNotification | DataNotification):
            return [ServerPush(notification=response)]
        if not isinstance(response, Response):
            raise RemoteProtocolError(f"a {type(response).__name__} from a meter")
        exchange = self._exchanges[0] if self._exchanges else None
        if exchange is None or response.invoke_id != exchange.request.invoke_id:
            return self._pass_over(response)
        request = exchange.receive(response)
        if request is not None:
            return [NeedSend(apdu=self._travelling(request))]
        return self._on_whole(exchange)

    def _pass_over(self, response: Response | GeneralBlock) -> list[AssociationEvent]:
        """Let an answer to an earlier request go by: it was late, or the network told it twice."""
        self._stale_responses += 1
        if self._stale_responses > STALE_RESPONSES_MAX:
            raise RemoteProtocolError(f"a {type(response).__name__} to another request")
        return []

    def _on_whole(self, exchange: Exchange) -> list[AssociationEvent]:
        self._exchanges.popleft()
        self._replies.extend(exchange.replies)
        if self._exchanges:
            return [NeedSend(apdu=self._travelling(self._exchanges[0].request))]
        if self._is_list:
            return [ReplyList(replies=tuple(self._replies))]
        return list(self._replies)
