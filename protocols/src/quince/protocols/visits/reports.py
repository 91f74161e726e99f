"""A visit's report, signed by the technician's own key (Ed25519).

Law: what counts is the report's one spelling, so a report copied, printed and sorted by other
tools still verifies.
"""

from dataclasses import dataclass
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from quince.model.errors import CodecError, RemoteProtocolError
from quince.protocols.visits.documents import Document, read_document, write_document

REPORT_FORM = "quince visit report 1"

# What else is ever signed with such a key cannot be taken for a report.
_DOMAIN = b"quince visit report v1\0"
_KEY_OCTETS, _SIGNATURE_OCTETS = 32, 64


class ReportSignatureError(RemoteProtocolError):
    """A report that was not signed by the key it names."""

    code: ClassVar[str] = "report_signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReport:
    """A report and who says so: `key` is the public key, as its 32 octets."""

    report: Document
    signature: bytes
    key: bytes

    def __post_init__(self) -> None:
        if len(self.key) != _KEY_OCTETS or len(self.signature) != _SIGNATURE_OCTETS:
            raise CodecError("a key has 32 octets, a signature 64")


def sign_report(report: Document, key: Ed25519PrivateKey) -> SignedReport:
    """Return the report as its technician vouches for it."""
    return SignedReport(
        report=report,
        signature=key.sign(_DOMAIN + write_document(report)),
        key=key.public_key().public_bytes_raw(),
    )


def verify_report(signed: SignedReport) -> Document:
    """Return the report; ReportSignatureError if its key did not sign it.

    Whose key that is, is for the caller to know.
    """
    octets = _DOMAIN + write_document(signed.report)
    try:
        Ed25519PublicKey.from_public_bytes(signed.key).verify(signed.signature, octets)
    except InvalidSignature as error:
        raise ReportSignatureError(f"not signed by {signed.key.hex()}") from error
    return signed.report


def write_report(signed: SignedReport) -> bytes:
    """Return the file of a signed report: `report`, `signature` and `key`, in one spelling."""
    return write_document(
        {
            "report": signed.report,
            "signature": signed.signature.hex(),
            "key": signed.key.hex(),
        }
    )


def read_report(octets: bytes) -> SignedReport:
    """Read such a file; nothing is verified yet. CodecError for anything else."""
    match read_document(octets):
        case {"report": dict(report), "signature": str(signature), "key": str(key), **rest} if (
            not rest
        ):
            if report.get("form") != REPORT_FORM:
                raise CodecError(f"not a {REPORT_FORM}")
            return SignedReport(report=report, signature=_octets(signature), key=_octets(key))
        case _:
            raise CodecError("a signed report has report, signature and key")


def _octets(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError as error:
        raise CodecError("expected hexadecimal digits") from error
