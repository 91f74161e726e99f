"""Elliptic curves in suites 1 and 2: ECDSA signatures, and keys agreed by ECDH.

Points travel as x and y, signatures as r and s, both of fixed length and without ASN.1. Source:
Green Book, 9.2.3.4 as public summaries quote it. Its table C.2 is among the tests as Gurux's tests
quote it: there the key derivation names the algorithm 60 85 74 05 08 03. Its eighth edition prints
06 for 05 (so EnergyICT's tests), and meters built after that one derive other keys.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.security.suite import Suite

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey

_ALGORITHM = bytes.fromhex("608574050803")
_UNCOMPRESSED = b"\x04"
_ONE_BLOCK = (1).to_bytes(4, "big")

_Key = TypeVar("_Key", PrivateKey, PublicKey)


class Scheme(IntEnum):
    """How a key is agreed, as general-ciphering numbers it."""

    ONE_PASS = 1  # C(1e, 1s): the originator's ephemeral key, signed, and the recipient's own
    STATIC = 2  # C(0e, 2s): both sides' own keys, and the transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPairs:
    """Our private keys and the other side's public ones; one pair signs, the other agrees.

    A pair may be missing where nothing needs it.
    """

    signing: PrivateKey | None = field(default=None, repr=False)
    peer_signing: PublicKey | None = None
    agreement: PrivateKey | None = field(default=None, repr=False)
    peer_agreement: PublicKey | None = None

    @property
    def can_sign(self) -> bool:
        """Whether both sides can sign, and check it."""
        return self.signing is not None and self.peer_signing is not None

    @property
    def can_agree(self) -> bool:
        """Whether keys can be agreed on, both ways."""
        return self.agreement is not None and self.peer_agreement is not None

    def require(self, suite: Suite) -> None:
        """Raise InvalidValueError if a key is on another curve than the suite's."""
        for name in ("signing", "peer_signing", "agreement", "peer_agreement"):
            key = getattr(self, name)
            if key is not None and key.curve.name != curve_of(suite).name:
                reason = f"on {curve_of(suite).name} in suite {int(suite)}"
                raise InvalidValueError(f"key_pairs.{name}", key.curve.name, reason)


def present(key: _Key | None, what: str) -> _Key:
    """Return the key; ProtectionError if the configuration does not have it."""
    if key is None:
        raise ProtectionError(f"no {what} key is known")
    return key


def curve_of(suite: Suite) -> ec.EllipticCurve:
    """Return the suite's curve; InvalidValueError for suite 0, which has none."""
    match suite:
        case Suite.AES_128:
            raise InvalidValueError("suite", 0, "has no elliptic curve")
        case Suite.AES_128_P256:
            return ec.SECP256R1()
        case Suite.AES_256_P384:
            return ec.SECP384R1()


def generate(suite: Suite) -> PrivateKey:
    """Return a new private key; its randomness is the operating system's."""
    return ec.generate_private_key(curve_of(suite))


def encode_point(key: PublicKey) -> bytes:
    """Return x and y."""
    numbers, octets = key.public_numbers(), coordinate_octets(key)
    return numbers.x.to_bytes(octets, "big") + numbers.y.to_bytes(octets, "big")


def decode_point(suite: Suite, octets: bytes) -> PublicKey:
    """Read x and y; CodecError if that is no point of the suite's curve."""
    curve = curve_of(suite)
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, _UNCOMPRESSED + octets)
    except ValueError:
        raise CodecError(f"{len(octets)} octets are no point of {curve.name}") from None


def sign(key: PrivateKey, text: bytes) -> bytes:
    """Return r and s."""
    r, s = decode_dss_signature(key.sign(text, ec.ECDSA(_hash_of(key))))
    octets = coordinate_octets(key)
    return r.to_bytes(octets, "big") + s.to_bytes(octets, "big")


def verifies(key: PublicKey, text: bytes, signature: bytes) -> bool:
    """Tell whether r and s are this key's over this text."""
    octets = coordinate_octets(key)
    if len(signature) != 2 * octets:
        return False
    r, s = int.from_bytes(signature[:octets], "big"), int.from_bytes(signature[octets:], "big")
    try:
        key.verify(encode_dss_signature(r, s), text, ec.ECDSA(_hash_of(key)))
    except InvalidSignature:
        return False
    return True


def agree(
    suite: Suite,
    own: PrivateKey,
    peer: PublicKey,
    *,
    originator: bytes,
    recipient: bytes,
    wraps: bool = False,
) -> bytes:
    """Return the key that both sides derive (NIST SP 800-56A, concatenation).

    `originator` is party U: its system title, and for the static scheme the transaction behind
    it, with its length; `recipient` is party V. `wraps` derives a master key. Either hash is
    longer than its suite's keys, so one block is enough.
    """
    secret = own.exchange(ec.ECDH(), peer)
    algorithm = (1 if suite is Suite.AES_256_P384 else 0) + (2 if wraps else 0)
    digest = hashes.Hash(_hash_of(own))
    digest.update(_ONE_BLOCK + secret + _ALGORITHM + bytes((algorithm,)) + originator + recipient)
    return digest.finalize()[: suite.key_octets]


def coordinate_octets(key: PrivateKey | PublicKey) -> int:
    """Return how long one coordinate is, and half a signature."""
    return (key.curve.key_size + 7) // 8


def _hash_of(key: PrivateKey | PublicKey) -> hashes.HashAlgorithm:
    return hashes.SHA384() if key.curve.name == ec.SECP384R1.name else hashes.SHA256()
