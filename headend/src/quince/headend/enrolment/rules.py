"""Who may have a certificate, what a request for one must be, and what the broker is to allow.

Law: the name in a certificate is the one the head-end gives. It is the user and the session at the
broker, so no two gateways bear the same, and none bears one of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from cryptography.x509 import CertificateSigningRequest, load_pem_x509_csr

from quince.model.errors import InvalidValueError
from quince.protocols.gateway.topics import GatewayAddress, cell_down, cell_up

CSR_CHARS_MAX = 8_192  # one with a P-256 key and a name has some 400
OUR_NAMES = "quince-"  # the head-end's own identities at the broker begin so
CONTROL_NAME = f"{OUR_NAMES}control"
CONTROL_TOPIC = "$CONTROL/dynamic-security/v1"
_CURVE = ec.SECP256R1  # what TLS, and sealing, are done with


# --- certificates -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose a token or a certificate is."""

    tenant_id: int
    address: GatewayAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayCertificate:
    """A certificate we signed; `public_key` and `certificate` are PEM."""

    serial: str
    owner: Owner
    public_key: str
    certificate: str
    issued_utc: datetime
    not_after_utc: datetime
    revoked_utc: datetime | None = None

    def lives(self, now_utc: datetime) -> bool:
        """Whether it may still be used."""
        return self.revoked_utc is None and now_utc < self.not_after_utc

    @property
    def key(self) -> ec.EllipticCurvePublicKey:
        """The public key, as `read_request` let it in."""
        key = load_pem_public_key(self.public_key.encode())
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise InvalidValueError("public_key", self.serial, "an elliptic public key")
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is believed of a signing request: the key. Names and extensions asked for are not."""

    key: ec.EllipticCurvePublicKey
    der: bytes

    @property
    def public_key(self) -> str:
        """The key in PEM."""
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def read_request(pem: str) -> Request:
    """Read a signing request; InvalidValueError unless it is signed by the P-256 key it names."""
    if len(pem) > CSR_CHARS_MAX:
        raise InvalidValueError("csr", f"{len(pem)} characters", f"at most {CSR_CHARS_MAX}")
    try:
        request = load_pem_x509_csr(pem.encode())
        key = request.public_key()
        sound = _is_p256(key) and request.is_signature_valid
        der = request.public_bytes(Encoding.DER)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidValueError("csr", "…", "a certificate signing request in PEM") from error
    if not sound or not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidValueError("csr", _key_kind(request), "signed with the P-256 key it names")
    return Request(key=key, der=der)


def require_gateway_name(name: str) -> None:
    """Refuse what would be one of the head-end's own identities at the broker."""
    if name.lower().startswith(OUR_NAMES):
        raise InvalidValueError("gateway", name, f"{OUR_NAMES}… are the head-end's own names")


def _is_p256(key: object) -> bool:
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVE)


def _key_kind(request: CertificateSigningRequest) -> str:
    return type(request.public_key()).__name__


# --- what the broker allows -------------------------------------------------------------


class Way(StrEnum):
    """What a rule is about, in the words of Mosquitto's dynamic security."""

    PUBLISH = "publishClientSend"
    RECEIVE = "publishClientReceive"
    SUBSCRIBE = "subscribePattern"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Rule:
    """One thing that is allowed; everything else is refused."""

    way: Way
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """All that one identity may do; its certificate's name is its user name."""

    name: str
    rules: frozenset[Rule]


def gateway_grant(address: GatewayAddress) -> Grant:
    """Return a gateway's: speak in its own part of the tree, hear what is for it alone."""
    return _grant(address.gateway, publish=[address.all_up], hear=[address.all_down])


def headend_name(cell: str) -> str:
    """Return who the head-end of a cell is at the broker, as a user and as a session."""
    return f"{OUR_NAMES}headend-{cell}"


def headend_grant(cell: str) -> Grant:
    """Return the head-end's of one cell: hear all its gateways, speak to all of them."""
    return _grant(headend_name(cell), publish=[cell_down(cell)], hear=[cell_up(cell)])


def control_grant() -> Grant:
    """Return that of the identity that hands out grants, and does nothing else."""
    everything = ["$CONTROL/dynamic-security/#"]
    return _grant(CONTROL_NAME, publish=everything, hear=everything)


def _grant(name: str, *, publish: Sequence[str], hear: Sequence[str]) -> Grant:
    rules = {Rule(way=Way.PUBLISH, topic=topic) for topic in publish}
    rules |= {Rule(way=way, topic=topic) for topic in hear for way in (Way.RECEIVE, Way.SUBSCRIBE)}
    return Grant(name=name, rules=frozenset(rules))
