"""The device authority: a P-256 key that signs gateways' certificates, and takes them back.

It is a folder: `ca.key` (mode 0600), `ca.crt`, and `ca.crl`, the list of what was taken back. Small
installations let it sign their servers' and the head-end's own certificates as well.
"""

import ipaddress
import os
from collections.abc import Iterable, Sequence
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
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from quince.headend.platform.moments import to_ms
from quince.headend.platform.secret_files import write_secret
from quince.model.errors import InvalidValueError

# Longer than a gateway hangs in its substation: another authority would mean another visit.
AUTHORITY_LIFE = timedelta(days=25 * 365)
# A gateway whose clock is a little slow shall believe its new certificate at once.
BACKDATED = timedelta(hours=1)
NAME_CHARS_MAX = 64  # of a common name, RFC 5280, appendix A.1
_PUBLIC = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The authority's key and its own certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """Its certificate, for those who are to trust it."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def sign_client(
        self,
        name: str,
        public_key: ec.EllipticCurvePublicKey,
        *,
        now_utc: datetime,
        life: timedelta,
    ) -> x509.Certificate:
        """Return a certificate that lets its holder be `name` towards servers."""
        builder = self._builder(name, public_key, now_utc=now_utc, life=life)
        return self._sign(builder, ExtendedKeyUsageOID.CLIENT_AUTH)

    def sign_server(
        self,
        hosts: Sequence[str],
        public_key: ec.EllipticCurvePublicKey,
        *,
        now_utc: datetime,
        life: timedelta,
    ) -> x509.Certificate:
        """Return a certificate for a server reached by these names and addresses."""
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        builder = self._builder(hosts[0], public_key, now_utc=now_utc, life=life)
        builder = builder.add_extension(names, critical=False)
        return self._sign(builder, ExtendedKeyUsageOID.SERVER_AUTH)

    def revocation_list(
        self, revoked: Iterable[tuple[str, datetime]], *, now_utc: datetime
    ) -> bytes:
        """Return the list (PEM) of serial numbers taken back, and since when.

        It is good for as long as the authority is: Mosquitto refuses everyone, of any standing,
        once its list has run out, and a list is written anew whenever something is taken back.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now_utc - BACKDATED)
            .next_update(self.certificate.not_valid_after_utc)
            .add_extension(x509.CRLNumber(to_ms(now_utc)), critical=False)
            .add_extension(self._own_key_identifier(), critical=False)
        )
        for serial, revoked_utc in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16))
            builder = builder.add_revoked_certificate(entry.revocation_date(revoked_utc).build())
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM)

    def _builder(
        self,
        name: str,
        public_key: ec.EllipticCurvePublicKey,
        *,
        now_utc: datetime,
        life: timedelta,
    ) -> x509.CertificateBuilder:
        own = self.certificate
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(own.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(now_utc - BACKDATED, own.not_valid_before_utc))
            .not_valid_after(min(now_utc + life, own.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(self._own_key_identifier(), critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder, usage: ObjectIdentifier) -> x509.Certificate:
        # One usage only: a server's certificate must not pass for a gateway's, nor the other way.
        usages = x509.ExtendedKeyUsage([usage])
        return builder.add_extension(usages, critical=False).sign(self.key, SHA256())

    def _own_key_identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())


def create_authority(folder: Path, name: str, *, now_utc: datetime) -> Authority:
    """Make an authority in `folder`; InvalidValueError if there is one already."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    public_key = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(name))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now_utc - BACKDATED)
        .not_valid_after(now_utc + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(key, SHA256())
    )
    authority = Authority(key=key, certificate=certificate)
    write_key(folder / "ca.key", key)
    (folder / "ca.crt").write_text(authority.pem)
    write_revocation_list(folder, authority.revocation_list([], now_utc=now_utc))
    return authority


def open_authority(folder: Path) -> Authority:
    """Return the authority in `folder`; InvalidValueError if it cannot be read."""
    try:
        key = load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        certificate = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidValueError("device_ca", str(folder), "no authority's folder") from error
    if (
        not isinstance(key, ec.EllipticCurvePrivateKey)
        or key.public_key() != certificate.public_key()
    ):
        raise InvalidValueError(
            "device_ca", str(folder), "its key and its certificate do not match"
        )
    return Authority(key=key, certificate=certificate)


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a private key nobody else may read; InvalidValueError if the file is there already."""
    octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_secret(path, octets)


def write_revocation_list(folder: Path, octets: bytes) -> None:
    """Put a new list in the old one's place, whole: a broker may read it at any moment."""
    beside = folder / f"ca.crl.{os.getpid()}.new"  # the command line may write one as well
    with beside.open("wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    beside.chmod(_PUBLIC)
    beside.replace(folder / "ca.crl")


def _name(name: str) -> x509.Name:
    if not 1 <= len(name) <= NAME_CHARS_MAX:
        raise InvalidValueError("name", name, f"1..{NAME_CHARS_MAX} characters")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise InvalidValueError("host", host, "an address, or a name in ASCII") from error


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
