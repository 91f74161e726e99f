"""A client and a meter whose APDUs are handed over by hand, with what each of them can do."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from quince.protocols.dlms.apdu import acse, initiate
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.states import (
    Associated,
    AssociationEvent,
    NeedSend,
    Reply,
    ReplyList,
)
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Authentication, Gmac, NoSecurity
from quince.protocols.dlms.security.suite import Keys

EVENTS_MAX = 20_000  # a transfer of the largest kind in the smallest blocks has fewer


@dataclass
class Shelf:
    """Attributes that are read, written, and returned with what was said by methods."""

    attributes: dict[Ref, Data] = field(default_factory=dict)

    def get(self, ref: Ref, access: Access | None) -> Data | AccessResult:
        selected = self.attributes.get(ref, AccessResult.OBJECT_UNDEFINED)
        return selected if access is None else access.parameter

    def set(self, ref: Ref, data: Data) -> AccessResult:
        self.attributes[ref] = data
        return AccessResult.SUCCESS

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        if ref not in self.attributes:
            return AccessResult.OBJECT_UNDEFINED, data
        return AccessResult.SUCCESS, data or self.attributes[ref]


class Pair:
    """A client and a meter; `sent` and `answered` keep the APDUs of the last request."""

    def __init__(
        self,
        *,
        client_pdu: int,
        meter_pdu: int,
        conformance: int,
        window: int,
        ciphered: bool,
    ) -> None:
        self.shelf = Shelf()
        self.client = ClientAssociation(
            _authentication(b"CLI", ciphered=ciphered),
            rng=Random(1),
            pdu_octets_max=client_pdu,
            window=window,
        )
        self.meter = ServerAssociation(
            self.shelf,
            (_authentication(b"MTR", ciphered=ciphered),),
            rng=Random(2),
            pdu_octets_max=meter_pdu,
        )
        self.sent: list[bytes] = []
        self.answered: list[bytes] = []
        aarq = self.client.open()
        if not ciphered:  # under keys only what both propose can be agreed on
            aarq = _aarq(conformance, client_pdu)
        assert self.until(aarq) == Associated()

    def ask(self, apdu: bytes) -> tuple[Reply, ...]:
        """Return the replies to what `apdu` begins."""
        event = self.until(apdu)
        assert isinstance(event, Reply | ReplyList)
        return event.replies if isinstance(event, ReplyList) else (event,)

    def until(self, apdu: bytes) -> AssociationEvent:
        """Carry APDUs to and fro until the client has an event."""
        self.sent, self.answered = [], []
        to_send = deque([apdu])
        while to_send and len(self.sent) < EVENTS_MAX:
            self.sent.append(to_send.popleft())
            answers = (self.meter.receive(self.sent[-1]), *self.meter.further())
            for answer in filter(None, answers):
                self.answered.append(answer)
                for event in self.client.receive(answer):
                    if not isinstance(event, NeedSend):
                        return event
                    to_send.append(event.apdu)
        raise AssertionError("the conversation ended without an event")


def _aarq(conformance: int, pdu_octets_max: int) -> bytes:
    proposal = initiate.Initiate(conformance=conformance, pdu_octets_max=pdu_octets_max)
    return acse.AssociationRequest(
        ciphered=False,
        mechanism=acse.Mechanism.NONE,
        value=b"",
        system_title=b"",
        user_information=initiate.encode_request(proposal),
    ).encode()


def _authentication(who: bytes, *, ciphered: bool) -> Authentication:
    if not ciphered:
        return NoSecurity()
    keys = Keys(encryption=bytes(range(16)), authentication=bytes(range(0xD0, 0xE0)))
    return Gmac(system_title=who + b"\x00\x00\x00\x00\x01", keys=keys, counters=MemoryCounters())


@pytest.fixture(scope="session")
def pair() -> Callable[..., Pair]:
    """Return a maker of pairs: `pair(client_pdu=64)`."""

    def make(
        *,
        client_pdu: int = 1024,
        meter_pdu: int = 1024,
        conformance: int = initiate.SERVED,
        window: int = 1,
        ciphered: bool = False,
    ) -> Pair:
        return Pair(
            client_pdu=client_pdu,
            meter_pdu=meter_pdu,
            conformance=conformance,
            window=window,
            ciphered=ciphered,
        )

    return make
