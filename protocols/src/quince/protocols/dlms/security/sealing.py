"""AES-GCM over APDUs and challenges, and AES key wrap over keys.

Law: a nonce (system title and invocation counter) is used once with a key. Source of the layouts:
Green Book, 9.2.7.2.4 as public summaries quote it; its suite 0 examples are among the tests.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap,
    aes_key_wrap,
)

from quince.model.errors import InvalidValueError
from quince.protocols.dlms.encoding.reader import Reader
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.security.counters import COUNTER_OCTETS
from quince.protocols.dlms.security.suite import Keys

SUITE_BITS = 0x0F
AUTHENTICATED = 0x10
ENCRYPTED = 0x20
AUTHENTICATED_ENCRYPTED = AUTHENTICATED | ENCRYPTED
BROADCAST = 0x40
COMPRESSED = 0x80
SYSTEM_TITLE_OCTETS = 8
TAG_OCTETS = 12
# Control and counter in front, the tag behind.
SEAL_OCTETS = 1 + COUNTER_OCTETS + TAG_OCTETS
# GCM numbers its key stream from 2: block 1 makes the tag (NIST SP 800-38D).
_FIRST_STREAM_BLOCK = b"\x00\x00\x00\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """What was under the protection: which bits of it were set, and the counter."""

    control: int
    counter: int
    plain: bytes

    def covers(self, policy: int) -> bool:
        """Whether all protection that `policy` wants was there."""
        return self.control & policy == policy


def seal(
    keys: Keys,
    *,
    protection: int,
    system_title: bytes,
    counter: int,
    plain: bytes,
    heading: bytes = b"",
) -> bytes:
    """Return security control, counter, protected `plain` and, if authenticated, the tag.

    `protection` is made of AUTHENTICATED, ENCRYPTED and BROADCAST; `heading` is what the tag
    covers besides: the fields of general-ciphering.
    """
    control = bytes((protection | keys.suite,))
    nonce = system_title + counter.to_bytes(COUNTER_OCTETS, "big")
    header, aes = control + nonce[SYSTEM_TITLE_OCTETS:], _cipher(keys, protection)
    if not protection & AUTHENTICATED:
        stream = Cipher(aes, modes.CTR(nonce + _FIRST_STREAM_BLOCK)).encryptor()
        return header + stream.update(plain) + stream.finalize()
    ciphered, clear = (plain, b"") if protection & ENCRYPTED else (b"", plain)
    encryptor = Cipher(aes, modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(control + keys.authentication + heading + clear)
    body = clear + encryptor.update(ciphered) + encryptor.finalize()
    return header + body + encryptor.tag[:TAG_OCTETS]


def unseal(keys: Keys, *, system_title: bytes, sealed: bytes, heading: bytes = b"") -> Unsealed:
    """Return what `seal` was given; CodecError if it is cut short, ProtectionError if forged.

    What protection there was is for the caller to judge, and the counter too.
    """
    if len(system_title) != SYSTEM_TITLE_OCTETS:
        raise ProtectionError(
            f"sealed under the system title {system_title.hex()!r}, which is none"
        )
    reader = Reader(sealed)
    control, counter = reader.octet(), reader.uint(COUNTER_OCTETS)
    if control & SUITE_BITS != keys.suite:
        raise ProtectionError(f"suite {control & SUITE_BITS}, not {int(keys.suite)}")
    if control & COMPRESSED or not control & AUTHENTICATED_ENCRYPTED:
        raise ProtectionError(f"security control {control:#04x} is not spoken here")
    tag_octets = TAG_OCTETS if control & AUTHENTICATED else 0
    body = reader.take(max(0, reader.remaining - tag_octets))
    nonce = system_title + sealed[1 : 1 + COUNTER_OCTETS]
    plain = _open(keys, nonce, control, heading, body, reader.take(tag_octets))
    return Unsealed(control=control, counter=counter, plain=plain)


def gmac(keys: Keys, *, system_title: bytes, counter: int, text: bytes) -> bytes:
    """Return control, counter and the tag over `text`: the proof of HLS mechanism 5."""
    sealed = seal(
        keys, protection=AUTHENTICATED, system_title=system_title, counter=counter, plain=text
    )
    return sealed[: 1 + COUNTER_OCTETS] + sealed[-TAG_OCTETS:]


def wrap_key(master: bytes, key: bytes) -> bytes:
    """Return `key` wrapped under the master key (RFC 3394): 8 octets longer."""
    try:
        return aes_key_wrap(master, key)
    except ValueError:
        raise InvalidValueError("key", "…", "16, 24 or 32 octets, and the master key too") from None


def unwrap_key(master: bytes, wrapped: bytes) -> bytes:
    """Return the key in `wrapped`; ProtectionError if another master key wrapped it."""
    try:
        return aes_key_unwrap(master, wrapped)
    except (InvalidUnwrap, ValueError):
        raise ProtectionError("the key does not unwrap: another master key") from None


def _cipher(keys: Keys, control: int) -> algorithms.AES:
    if not control & BROADCAST:
        return algorithms.AES(keys.encryption)
    if keys.broadcast is None:
        raise ProtectionError("sealed with a broadcast key, and none is known")
    return algorithms.AES(keys.broadcast)


def _open(keys: Keys, nonce: bytes, control: int, heading: bytes, body: bytes, tag: bytes) -> bytes:
    aes = _cipher(keys, control)
    if not control & AUTHENTICATED:
        stream = Cipher(aes, modes.CTR(nonce + _FIRST_STREAM_BLOCK)).decryptor()
        return stream.update(body) + stream.finalize()
    decryptor = Cipher(aes, modes.GCM(nonce, tag, min_tag_length=TAG_OCTETS)).decryptor()
    ciphered, clear = (body, b"") if control & ENCRYPTED else (b"", body)
    covered = bytes((control,)) + keys.authentication + heading + clear
    decryptor.authenticate_additional_data(covered)
    try:
        return clear + decryptor.update(ciphered) + decryptor.finalize()
    except InvalidTag:
        raise ProtectionError("the tag does not verify: other keys, or a changed APDU") from None
