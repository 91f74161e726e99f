"""Secrets for one gateway alone: meters' keys pass the broker, and it cannot read them.

An ephemeral P-256 key agreed with the gateway's certificate key, HKDF-SHA-256, AES-256-GCM: ECIES
as in SEC 1, 5.1, with both public keys in the derivation (from memory, and tested against itself).
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from quince.protocols.gateway.errors import SealError

_CURVE = ec.SECP256R1()
_POINT_OCTETS = 65
_NONCE = bytes(12)  # every message has a key of its own
_PURPOSE = b"quince sealed v1"


def seal(plain: bytes, recipient: ec.EllipticCurvePublicKey, *, purpose: bytes) -> bytes:
    """Return `plain` for the holder of `recipient`'s private key, for nothing but `purpose`."""
    ephemeral = ec.generate_private_key(_CURVE)
    point = _octets(ephemeral.public_key())
    key = _derive(ephemeral.exchange(ec.ECDH(), recipient), point, _octets(recipient))
    return point + AESGCM(key).encrypt(_NONCE, plain, purpose)


def unseal(sealed: bytes, own: ec.EllipticCurvePrivateKey, *, purpose: bytes) -> bytes:
    """Return what was sealed for us and this purpose; SealError for anything else."""
    point = sealed[:_POINT_OCTETS]
    try:
        ephemeral = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
        shared = own.exchange(ec.ECDH(), ephemeral)
        key = _derive(shared, point, _octets(own.public_key()))
        return AESGCM(key).decrypt(_NONCE, sealed[_POINT_OCTETS:], purpose)
    except (ValueError, InvalidTag) as error:
        raise SealError("sealed for another gateway, for another purpose, or damaged") from error


def _derive(shared: bytes, ephemeral: bytes, recipient: bytes) -> bytes:
    info = _PURPOSE + ephemeral + recipient
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(shared)


def _octets(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
