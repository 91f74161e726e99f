"""Who this gateway is, in files: its key, its certificate, whom it trusts.

Law: the key never leaves the device; key and certificate change together, whatever crashes. The
next key lies beside the one in force until its certificate is there too; from that moment on the
change is decided, and `settle` finishes what a crash left of it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from quince.edge.config import TlsConfig
from quince.edge.errors import HeadendRefusedError
from quince.edge.files import replace_file
from quince.model.errors import InvalidValueError

_SECRET, _PUBLIC = 0o600, 0o644
_UNREADABLE = (OSError, ValueError, TypeError, UnsupportedAlgorithm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a gateway wants to know of its certificate; `serial` is hexadecimal."""

    serial: str
    not_before_utc: datetime
    not_after_utc: datetime

    @property
    def life(self) -> timedelta:
        """From its first moment to its last."""
        return self.not_after_utc - self.not_before_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The two files that change together."""

    key_file: Path
    certificate_file: Path

    @classmethod
    def of(cls, tls: TlsConfig) -> "Identity":
        """Return the identity a configuration names."""
        return cls(key_file=tls.key_file, certificate_file=tls.cert_file)

    def key(self) -> ec.EllipticCurvePrivateKey:
        """Return the key in force; InvalidValueError if there is none."""
        return _read_key(self.key_file)

    def certificate(self) -> Certificate:
        """Return the certificate in force; InvalidValueError if there is none."""
        try:
            found = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        except _UNREADABLE as error:
            reason = "no certificate in PEM"
            raise InvalidValueError("cert_file", str(self.certificate_file), reason) from error
        return Certificate(
            serial=f"{found.serial_number:x}",
            not_before_utc=found.not_valid_before_utc,
            not_after_utc=found.not_valid_after_utc,
        )

    def next_key(self) -> ec.EllipticCurvePrivateKey:
        """Return the key that waits for its certificate; it is made, and kept, once."""
        path = _next(self.key_file)
        if not path.exists():
            made = ec.generate_private_key(ec.SECP256R1())
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            replace_file(path, pem, mode=_SECRET)
        return _read_key(path)

    def forget_next(self) -> None:
        """Drop the key that waits: the head-end will not certify it."""
        _next(self.key_file).unlink(missing_ok=True)

    def adopt(self, certificate: str) -> None:
        """Change over to the next key; HeadendRefusedError for a certificate of another."""
        theirs = x509.load_pem_x509_certificate(certificate.encode()).public_key()
        if theirs != self.next_key().public_key():
            raise HeadendRefusedError("the head-end certified another key")
        replace_file(_next(self.certificate_file), certificate.encode(), mode=_PUBLIC)
        self.settle()

    def settle(self) -> None:
        """Finish a change that was decided, if there is one; the old key is gone then."""
        key, certificate = _next(self.key_file), _next(self.certificate_file)
        if not certificate.exists():
            return
        if key.exists():
            key.replace(self.key_file)
        certificate.replace(self.certificate_file)


def signing_request(key: ec.EllipticCurvePrivateKey) -> x509.CertificateSigningRequest:
    """Return a request for a certificate; the head-end gives the name, whatever is asked."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a gateway")])
    return x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256())


def _next(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except _UNREADABLE as error:
        raise InvalidValueError("key_file", str(path), "no private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidValueError("key_file", str(path), "an elliptic private key")
    return key
