"""Elliptic keys as they are kept in files: PEM, private ones unencrypted, public ones or X.509.

A certificate is taken for the key in it: whoever configures it has checked it.
"""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from quince.model.errors import InvalidValueError
from quince.protocols.dlms.security.elliptic import PrivateKey, PublicKey

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)


def read_private_key(name: str, pem: bytes) -> PrivateKey:
    """Return the private key; InvalidValueError names `name` and shows nothing of the key."""
    try:
        key = load_pem_private_key(pem, password=None)
    except _UNREADABLE:
        raise InvalidValueError(name, "…", "an unencrypted private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidValueError(name, "…", "an elliptic private key")
    return key


def read_public_key(name: str, pem: bytes) -> PublicKey:
    """Return the public key, or that of a certificate; InvalidValueError names `name`."""
    try:
        key = _public_key(pem)
    except _UNREADABLE:
        raise InvalidValueError(name, "…", "a public key or a certificate in PEM") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidValueError(name, "…", "an elliptic public key")
    return key


def _public_key(pem: bytes) -> object:
    if _CERTIFICATE in pem:
        return load_pem_x509_certificate(pem).public_key()
    return load_pem_public_key(pem)
