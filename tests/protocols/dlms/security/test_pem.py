from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from quince.model.errors import InvalidValueError
from quince.protocols.dlms.security.elliptic import generate
from quince.protocols.dlms.security.pem import read_private_key, read_public_key
from quince.protocols.dlms.security.suite import Suite

KEY = generate(Suite.AES_128_P256)
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
OTHER = ed25519.Ed25519PrivateKey.generate()


def _certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "QNM0000000000001")])
    builder = x509.CertificateBuilder(subject_name=name, issuer_name=name, serial_number=1)
    builder = builder.public_key(KEY.public_key())
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.PEM)


def test_a_private_key_is_read() -> None:
    assert read_private_key("key", PRIVATE).private_numbers() == KEY.private_numbers()


@pytest.mark.parametrize("pem", [PUBLIC, _certificate()], ids=["bare", "certificate"])
def test_a_public_key_is_read_bare_and_from_a_certificate(pem: bytes) -> None:
    assert read_public_key("key", pem) == KEY.public_key()


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"secret",
        PUBLIC,
        PRIVATE[:60],
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        OTHER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ],
)
def test_what_is_no_private_key_is_refused_and_not_shown(pem: bytes) -> None:
    with pytest.raises(InvalidValueError, match="signing_key_file = '…'"):
        read_private_key("signing_key_file", pem)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        PRIVATE,
        b"-----BEGIN CERTIFICATE-----\n",
        OTHER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
)
def test_what_is_no_public_key_is_refused(pem: bytes) -> None:
    with pytest.raises(InvalidValueError, match="public"):
        read_public_key("meter_signing_file", pem)
