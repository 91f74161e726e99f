"""Ciphered APDUs: what leaves is sealed, what arrives is opened and its counter checked.

Law: under GMAC an APDU that is not authenticated and encrypted is refused, whatever it says.
"""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.constant_time import bytes_eq

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.encoding.reader import Reader, sized
from quince.protocols.dlms.errors import AuthenticationError, ProtectionError
from quince.protocols.dlms.security.suite import (
    AUTHENTICATED,
    AUTHENTICATED_ENCRYPTED,
    SYSTEM_TITLE_OCTETS,
    Counters,
    Keys,
    gmac,
    seal,
    unseal,
)

GENERAL_GLO = 0xDB
GLO_INITIATE_REQUEST = 0x21
GLO_INITIATE_RESPONSE = 0x28
# Each service-specific glo tag is the plain tag and 8: C0..C3 become C8..CB, C4..C7 CC..CF.
_GLO = 8
_GLO_TAGS = frozenset({0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCF})
# The most that protection adds: a general-glo envelope with its title, security header and tag.
PROTECTION_OCTETS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Gmac:
    """HLS mechanism 5 and suite 0: our own system title, the keys we share, and who counts."""

    system_title: bytes
    keys: Keys
    counters: Counters = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.system_title) != SYSTEM_TITLE_OCTETS:
            raise InvalidValueError("system_title", self.system_title.hex(), "8 octets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A ciphered APDU as it travels; `system_title` is empty in the service-specific form."""

    tag: int
    system_title: bytes
    sealed: bytes

    @property
    def is_general(self) -> bool:
        """Whether this is a general-glo-ciphering."""
        return self.tag == GENERAL_GLO

    def encode(self) -> bytes:
        """Write the envelope."""
        title = sized(self.system_title) if self.is_general else b""
        return bytes((self.tag,)) + title + sized(self.sealed)


def decode_envelope(apdu: bytes) -> Envelope | None:
    """Read a ciphered APDU; None if `apdu` is a plain one."""
    reader = Reader(apdu)
    tag = reader.octet()
    if tag not in _GLO_TAGS and tag != GENERAL_GLO:
        return None
    title = reader.sized() if tag == GENERAL_GLO else b""
    envelope = Envelope(tag=tag, system_title=title, sealed=reader.sized())
    reader.finish("ciphered APDU")
    return envelope


def decode_initiate_envelope(tag: int, octets: bytes) -> bytes:
    """Return what is sealed in a glo-initiate; ProtectionError if it is not ciphered."""
    reader = Reader(octets)
    if reader.octet() != tag:
        raise ProtectionError("the initiate is not ciphered")
    sealed = reader.sized()
    reader.finish("glo-initiate")
    return sealed


class Protection:
    """One side of a ciphered association."""

    def __init__(self, own: Gmac) -> None:
        self._own = own
        self._peer_title = b""

    def meet(self, peer_title: bytes) -> None:
        """Learn the other side's system title; ProtectionError if it is none, or our own.

        Under our own title both sides would use the same nonces.
        """
        if len(peer_title) != SYSTEM_TITLE_OCTETS or peer_title == self._own.system_title:
            raise ProtectionError(f"system title {peer_title.hex()!r} cannot be the other side's")
        self._peer_title = peer_title

    def seal(self, plain: bytes) -> bytes:
        """Authenticate and encrypt under the next counter."""
        return seal(
            self._own.keys,
            control=AUTHENTICATED_ENCRYPTED,
            system_title=self._own.system_title,
            counter=self._own.counters.reserve(),
            plain=plain,
        )

    def open(self, sealed: bytes) -> bytes:
        """Verify, decrypt, and then refuse an old counter; ProtectionError or ReplayError."""
        unsealed = unseal(self._own.keys, system_title=self._peer_title, sealed=sealed)
        if unsealed.control != AUTHENTICATED_ENCRYPTED:
            raise ProtectionError(f"security control {unsealed.control:#04x} protects too little")
        self._own.counters.accept(self._peer_title, unsealed.counter)
        return unsealed.plain

    def seal_apdu(self, plain: bytes, *, general: bool) -> bytes:
        """Wrap a plain APDU, service-specific or general-glo."""
        tag = GENERAL_GLO if general else plain[0] + _GLO
        title = self._own.system_title if general else b""
        return Envelope(tag=tag, system_title=title, sealed=self.seal(plain)).encode()

    def open_apdu(self, envelope: Envelope) -> bytes:
        """Return the plain APDU; its tag must be what the envelope announced."""
        if envelope.is_general and envelope.system_title != self._peer_title:
            raise ProtectionError("another system title than at the association")
        plain = self.open(envelope.sealed)
        if not plain or (not envelope.is_general and plain[0] + _GLO != envelope.tag):
            raise CodecError("the envelope announced another APDU")
        return plain

    def prove(self, challenge: bytes) -> bytes:
        """Return control, counter and GMAC over the other side's challenge.

        The APDU that carries it takes a counter of its own: one nonce for both would give the
        authentication subkey away.
        """
        counter = self._own.counters.reserve()
        proof = gmac(
            self._own.keys,
            system_title=self._own.system_title,
            counter=counter,
            challenge=challenge,
        )
        return bytes((AUTHENTICATED,)) + counter.to_bytes(4, "big") + proof

    def verify(self, proof: bytes, challenge: bytes) -> None:
        """Check the other side's proof over our challenge; AuthenticationError if it is wrong.

        Its counter is not held against replay: the challenge is fresh, and some clients send
        proof and APDU under the same one.
        """
        reader = Reader(proof)
        control, counter, given = reader.octet(), reader.uint(4), reader.rest()
        expected = gmac(
            self._own.keys, system_title=self._peer_title, counter=counter, challenge=challenge
        )
        if control != AUTHENTICATED or not bytes_eq(given, expected):
            raise AuthenticationError("the other side does not hold the keys")
