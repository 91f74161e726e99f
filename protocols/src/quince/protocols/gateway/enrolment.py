"""What a device and the head-end tell each other when it becomes a gateway, and when it renews.

Law: a certificate is renewed by whoever holds the old certificate's key, and by nobody else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificates

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.gateway.errors import SignatureError
from quince.protocols.gateway.topics import GatewayAddress

ANSWER_BYTES_MAX = 65_536  # two certificates and some signers are five kilobytes
_SIGNERS_MAX = 32  # a head-end in use has one or two, and a few on their way out
_PORT_MAX = 65_535
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,255}")
_URL = re.compile(r"https?://[A-Za-z0-9.:_\[\]-]{1,255}")
_SIGNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_KEY = re.compile(r"[0-9a-f]{64}")
# What else is ever signed with a gateway's key cannot be taken for its wish to renew.
_RENEWAL_DOMAIN = b"quince renewal v1\0"
_ALGORITHM = ec.ECDSA(SHA256())


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What a gateway is given: who it is, whom it trusts, where to go, whose commands to obey.

    `certificate` and `ca` are PEM; `ca` may hold several, while one authority follows another.
    `signers` are Ed25519 public keys in hexadecimal, by name.
    """

    address: GatewayAddress
    certificate: str
    ca: str
    broker_host: str
    broker_port: int
    headend_url: str
    signers: Mapping[str, str]

    def __post_init__(self) -> None:
        for field in ("certificate", "ca"):
            _require_certificates(field, getattr(self, field))
        _require_match("broker_host", self.broker_host, _HOST)
        _require_match("headend_url", self.headend_url, _URL)
        if not 1 <= self.broker_port <= _PORT_MAX:
            raise InvalidValueError("broker_port", self.broker_port, f"1..{_PORT_MAX}")
        if len(self.signers) > _SIGNERS_MAX:
            raise InvalidValueError("signers", len(self.signers), f"at most {_SIGNERS_MAX}")
        for name, key in self.signers.items():
            _require_match("signers", name, _SIGNER)
            _require_match(f"signers.{name}", key, _KEY)


def enrolled_document(enrolled: Enrolled) -> dict[str, Any]:
    """Return the answer as JSON has it."""
    return {
        "cell": enrolled.address.cell,
        "gateway": enrolled.address.gateway,
        "certificate": enrolled.certificate,
        "ca": enrolled.ca,
        "broker": {"host": enrolled.broker_host, "port": enrolled.broker_port},
        "headend_url": enrolled.headend_url,
        "signers": dict(enrolled.signers),
    }


def read_enrolled(document: Any) -> Enrolled:
    """Return what the answer says; CodecError if it does not say it whole."""
    try:
        return Enrolled(
            address=GatewayAddress(cell=document["cell"], gateway=document["gateway"]),
            certificate=document["certificate"],
            ca=document["ca"],
            broker_host=document["broker"]["host"],
            broker_port=document["broker"]["port"],
            headend_url=document["headend_url"],
            signers=dict(document["signers"]),
        )
    except (InvalidValueError, LookupError, TypeError, ValueError) as error:
        raise CodecError(f"not what an enrolment answers: {error}") from error


def sign_renewal(request: bytes, old_key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the proof that goes with a certificate signing request (DER)."""
    return old_key.sign(_RENEWAL_DOMAIN + request, _ALGORITHM)


def verify_renewal(request: bytes, signature: bytes, old_key: ec.EllipticCurvePublicKey) -> None:
    """Raise SignatureError unless the holder of the old key asks for this very request."""
    try:
        old_key.verify(signature, _RENEWAL_DOMAIN + request, _ALGORITHM)
    except InvalidSignature as error:
        raise SignatureError("not signed with the old certificate's key") from error


def _require_certificates(field: str, text: str) -> None:
    try:
        load_pem_x509_certificates(text.encode("ascii"))
    except (AttributeError, ValueError) as error:
        raise InvalidValueError(field, "…", "certificates in PEM") from error


def _require_match(field: str, text: str, pattern: re.Pattern[str]) -> None:
    if pattern.fullmatch(text) is None:
        raise InvalidValueError(field, text, f"expected {pattern.pattern}")
