"""What both sides of an association share: its states, its terms, its events.

    IDLE ── AARQ ──▶ ASSOCIATING ── AARE ──▶ ASSOCIATED ── RLRQ ──▶ RELEASING ── RLRE ──▶ IDLE
                          └─ AARE (HLS) ──▶ HLS_PENDING ── action 1 ──▲

A server passes ASSOCIATING and RELEASING within one call.
"""

from dataclasses import dataclass
from enum import Enum, auto

from quince.model.obis import Obis
from quince.protocols.dlms.apdu.notification import DataNotification, EventNotification
from quince.protocols.dlms.apdu.reference import AccessResult, Outcome, Ref, Result
from quince.protocols.dlms.encoding.axdr import NULL, Data, Encoded, Value
from quince.protocols.dlms.errors import AccessRefusedError
from quince.protocols.dlms.security.protection import ApduProtection

REPLY_TO_HLS = Ref(15, Obis(0, 0, 40, 0, 0), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an opening ends in: what the other side receives and speaks, and how APDUs travel."""

    peer_pdu_octets_max: int
    conformance: int
    protection: ApduProtection


class State(Enum):
    """Where an association stands."""

    IDLE = auto()
    ASSOCIATING = auto()
    HLS_PENDING = auto()
    ASSOCIATED = auto()
    RELEASING = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Associated:
    """The association stands; under HLS both sides have proven themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedSend:
    """An APDU that the protocol wants sent now."""

    apdu: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer for one attribute or method: the result, and data if there is any.

    Long data is Encoded: nobody has read it yet.
    """

    result: AccessResult
    data: Value | None = None

    @classmethod
    def of(cls, result: Result) -> "Reply":
        """Return the reply to a read: data, or the reason why there is none."""
        if isinstance(result, AccessResult):
            return cls(result=result)
        return cls(result=AccessResult.SUCCESS, data=result)

    @classmethod
    def of_outcome(cls, outcome: Outcome) -> "Reply":
        """Return the reply to a call, which can be done and still have failed to return."""
        if isinstance(outcome.data, AccessResult):
            return cls(result=outcome.result or outcome.data)
        return cls(result=outcome.result, data=outcome.data)

    def value(self) -> Value:
        """Return the data as it came, NULL if there is none; AccessRefusedError if it failed."""
        if self.result is not AccessResult.SUCCESS:
            raise AccessRefusedError(
                f"the meter says {self.result.name}",
                is_temporary=self.result is AccessResult.TEMPORARY_FAILURE,
            )
        return NULL if self.data is None else self.data

    def require(self) -> Data:
        """Return the data, read; CodecError if it is none."""
        value = self.value()
        return value.decode() if isinstance(value, Encoded) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyList:
    """The answers to a list, in the order of what was asked for."""

    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPush:
    """What the meter said unasked."""

    notification: EventNotification | DataNotification


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The association is over, as agreed."""


AssociationEvent = Associated | NeedSend | Reply | ReplyList | ServerPush | Released
