"""What both sides of an association share: its states, its security, its events.

    IDLE ── AARQ ──▶ ASSOCIATING ── AARE ──▶ ASSOCIATED ── RLRQ ──▶ RELEASING ── RLRE ──▶ IDLE
                          └─ AARE (GMAC) ──▶ HLS_PENDING ── action 1 ──▲

A server passes ASSOCIATING and RELEASING within one call.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from quince.model.obis import Obis
from quince.protocols.dlms.apdu.acse import Mechanism
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.apdu.services import DataNotification, EventNotification
from quince.protocols.dlms.encoding.axdr import NULL, Data
from quince.protocols.dlms.errors import AccessRefusedError, ProtectionError
from quince.protocols.dlms.security.protection import Gmac, Protection, decode_envelope

REPLY_TO_HLS = Ref(15, Obis(0, 0, 40, 0, 0), 1)
CHALLENGE_OCTETS = 16
# The shortest and the longest challenge that mechanism 5 allows.
CHALLENGE_OCTETS_MIN, CHALLENGE_OCTETS_MAX = 8, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSecurity:
    """The public client: it proves nothing and nothing is ciphered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """LLS, mechanism 1: a password in clear, and nothing is ciphered."""

    secret: bytes = field(repr=False)


Authentication = NoSecurity | Password | Gmac


def mechanism_of(authentication: Authentication) -> Mechanism:
    """Return the mechanism's number."""
    match authentication:
        case NoSecurity():
            return Mechanism.NONE
        case Password():
            return Mechanism.PASSWORD
        case Gmac():
            return Mechanism.GMAC


class State(Enum):
    """Where an association stands."""

    IDLE = auto()
    ASSOCIATING = auto()
    HLS_PENDING = auto()
    ASSOCIATED = auto()
    RELEASING = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Associated:
    """The association stands; with GMAC both sides have proven themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedSend:
    """An APDU that the protocol wants sent now."""

    apdu: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to the request under way: the result, and data if there is any."""

    result: AccessResult
    data: Data | None = None

    def require(self) -> Data:
        """Return the data, NULL if there is none; AccessRefusedError if the access failed."""
        if self.result is not AccessResult.SUCCESS:
            raise AccessRefusedError(f"the meter says {self.result.name}")
        return NULL if self.data is None else self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPush:
    """What the meter said unasked."""

    notification: EventNotification | DataNotification


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The association is over, as agreed."""


AssociationEvent = Associated | NeedSend | Reply | ServerPush | Released


def open_apdu(protection: Protection | None, apdu: bytes) -> tuple[bytes, bool]:
    """Return the plain APDU and whether it came in general-glo; protected exactly if it must."""
    envelope = decode_envelope(apdu)
    if protection is None:
        if envelope is not None:
            raise ProtectionError("a ciphered APDU in an association without keys")
        return apdu, False
    if envelope is None:
        raise ProtectionError("a plain APDU in a ciphered association")
    return protection.open_apdu(envelope), envelope.is_general
