"""Security suite 0: AES-128-GCM over APDUs, GMAC over challenges, and who counts.

Law: a nonce (system title and invocation counter) is used once with a key. Counters are taken
from a port that keeps them before they are used, and a counter is believed only after the tag
behind it verified.
"""

from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.encoding.reader import Reader
from quince.protocols.dlms.errors import CounterExhaustedError, ProtectionError, ReplayError

AUTHENTICATED = 0x10
ENCRYPTED = 0x20
AUTHENTICATED_ENCRYPTED = AUTHENTICATED | ENCRYPTED
SYSTEM_TITLE_OCTETS = 8
_KEY_OCTETS = 16
_TAG_OCTETS = 12
_COUNTER_OCTETS = 4
_COUNTER_MAX = 2**32 - 1
# GCM numbers its key stream from 2: block 1 makes the tag (NIST SP 800-38D).
_FIRST_STREAM_BLOCK = b"\x00\x00\x00\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The global unicast encryption key and the authentication key; never shown."""

    encryption: bytes = field(repr=False)
    authentication: bytes = field(repr=False)

    def __post_init__(self) -> None:
        for name, key in (("encryption", self.encryption), ("authentication", self.authentication)):
            if len(key) != _KEY_OCTETS:
                raise InvalidValueError(f"keys.{name}", "…", f"{_KEY_OCTETS} octets in suite 0")


class Counters(Protocol):
    """The invocation counters of one key: our own, and the last seen of each peer."""

    def reserve(self) -> int:
        """Return a counter that was never returned before, kept before it is used."""
        ...

    def accept(self, system_title: bytes, counter: int) -> None:
        """Remember a peer's counter; ReplayError if it is not above the last one."""
        ...


class MemoryCounters:
    """Counters of a process's lifetime, for simulated meters and tests."""

    def __init__(self, first: int = 1) -> None:
        self._next = first
        # Grows by peers that hold the key alone: their tags verified before.
        self._expected: dict[bytes, int] = {}

    def reserve(self) -> int:
        """Return the next counter; CounterExhaustedError behind the last."""
        if self._next > _COUNTER_MAX:
            raise CounterExhaustedError("all invocation counters are used: change the key")
        self._next += 1
        return self._next - 1

    def accept(self, system_title: bytes, counter: int) -> None:
        """Remember a peer's counter; ReplayError if it is not above the last one."""
        expected = self._expected.get(system_title, 0)
        if counter < expected:
            raise ReplayError(counter, expected)
        self._expected[system_title] = counter + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """What was under the protection: which bits of it were set, and the counter."""

    control: int
    counter: int
    plain: bytes


def seal(keys: Keys, *, control: int, system_title: bytes, counter: int, plain: bytes) -> bytes:
    """Return security control, counter, protected `plain` and, if authenticated, the tag."""
    header = bytes((control,)) + counter.to_bytes(_COUNTER_OCTETS, "big")
    nonce = system_title + header[1:]
    if control == AUTHENTICATED:
        return header + plain + _tag(keys, nonce, header[:1], plain)
    encryptor = Cipher(algorithms.AES(keys.encryption), modes.GCM(nonce)).encryptor()
    if control & AUTHENTICATED:
        encryptor.authenticate_additional_data(header[:1] + keys.authentication)
    ciphered = encryptor.update(plain) + encryptor.finalize()
    return header + ciphered + (encryptor.tag[:_TAG_OCTETS] if control & AUTHENTICATED else b"")


def unseal(keys: Keys, *, system_title: bytes, sealed: bytes) -> Unsealed:
    """Return what `seal` was given; CodecError if it is cut short, ProtectionError if forged."""
    reader = Reader(sealed)
    control, counter = reader.octet(), reader.uint(_COUNTER_OCTETS)
    if control not in (AUTHENTICATED, ENCRYPTED, AUTHENTICATED_ENCRYPTED):
        raise CodecError(f"security control {control:#04x} is not one of suite 0")
    tag_octets = _TAG_OCTETS if control & AUTHENTICATED else 0
    body = reader.take(max(0, reader.remaining - tag_octets))
    nonce = system_title + sealed[1 : 1 + _COUNTER_OCTETS]
    plain = _open(keys, nonce, control, body, reader.take(tag_octets))
    return Unsealed(control=control, counter=counter, plain=plain)


def gmac(keys: Keys, *, system_title: bytes, counter: int, challenge: bytes) -> bytes:
    """Return the 12-octet proof of HLS mechanism 5 over `challenge`."""
    nonce = system_title + counter.to_bytes(_COUNTER_OCTETS, "big")
    return _tag(keys, nonce, bytes((AUTHENTICATED,)), challenge)


def _tag(keys: Keys, nonce: bytes, control: bytes, text: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(keys.encryption), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(control + keys.authentication + text)
    encryptor.finalize()
    return encryptor.tag[:_TAG_OCTETS]


def _open(keys: Keys, nonce: bytes, control: int, body: bytes, tag: bytes) -> bytes:
    aes = algorithms.AES(keys.encryption)
    if not control & AUTHENTICATED:
        stream = Cipher(aes, modes.CTR(nonce + _FIRST_STREAM_BLOCK)).decryptor()
        return stream.update(body) + stream.finalize()
    decryptor = Cipher(aes, modes.GCM(nonce, tag, min_tag_length=_TAG_OCTETS)).decryptor()
    ciphered, clear = (body, b"") if control & ENCRYPTED else (b"", body)
    decryptor.authenticate_additional_data(bytes((control,)) + keys.authentication + clear)
    try:
        return clear + decryptor.update(ciphered) + decryptor.finalize()
    except InvalidTag:
        raise ProtectionError("the tag does not verify: other keys, or a changed APDU") from None
