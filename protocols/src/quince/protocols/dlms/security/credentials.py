"""Who one side says it is: what it proves itself with, and what it ciphers with."""

from dataclasses import dataclass, field, replace

from quince.model.errors import InvalidValueError
from quince.protocols.dlms.apdu.acse import Mechanism
from quince.protocols.dlms.security.counters import Counters
from quince.protocols.dlms.security.elliptic import KeyPairs
from quince.protocols.dlms.security.envelopes import Form
from quince.protocols.dlms.security.sealing import SYSTEM_TITLE_OCTETS
from quince.protocols.dlms.security.suite import Keys, Suite

_HASHES = (Mechanism.MD5, Mechanism.SHA1, Mechanism.SHA256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ciphering:
    """What seals APDUs: our own system title, the keys we share, and who counts.

    A client seals in `form`; a server answers in the form of the request. With `signs`, each APDU
    is signed before it is sealed, and one that is not signed is refused. `peer_title` is the
    other side's, where it is known beforehand: then no other is met.
    """

    system_title: bytes
    keys: Keys
    counters: Counters = field(repr=False)
    form: Form = Form.SERVICE_SPECIFIC
    peer_title: bytes | None = None
    key_pairs: KeyPairs = field(default_factory=KeyPairs)
    signs: bool = False

    def __post_init__(self) -> None:
        _require_title("system_title", self.system_title)
        if self.peer_title is not None:
            _require_title("peer_title", self.peer_title)
        if self.keys.suite is not Suite.AES_128:
            self.key_pairs.require(self.keys.suite)
        elif self.key_pairs != KeyPairs():
            raise InvalidValueError("key_pairs", "…", "suite 0 has no elliptic curve")
        if self.form is Form.WRAPPED_KEY and self.keys.master is None:
            raise InvalidValueError("keys.master", None, "wrapped keys need it")
        if (self.signs or self.form is Form.EPHEMERAL_KEY) and not self.key_pairs.can_sign:
            raise InvalidValueError("key_pairs", "…", "both signing keys are needed")
        if self.form in (Form.EPHEMERAL_KEY, Form.STATIC_KEYS) and not self.key_pairs.can_agree:
            raise InvalidValueError("key_pairs", "…", "both agreement keys are needed")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSecurity:
    """The public client: it proves nothing and nothing is ciphered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """LLS, mechanism 1: a password in clear, whatever is ciphered later."""

    secret: bytes = field(repr=False)
    ciphering: Ciphering | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashed:
    """HLS mechanisms 3, 4 and 6: a secret proven by MD5, SHA-1 or SHA-256.

    The first two are for old meters alone: the standard itself advises against them. SHA-256
    proves the system titles with the secret, and needs one. Mechanism 2 is each maker's own
    secret and is not spoken.
    """

    mechanism: Mechanism
    secret: bytes = field(repr=False)
    system_title: bytes = b""
    ciphering: Ciphering | None = None

    def __post_init__(self) -> None:
        if self.mechanism not in _HASHES:
            raise InvalidValueError("mechanism", self.mechanism.name, "MD5, SHA1 or SHA256")
        if self.system_title or self.mechanism is Mechanism.SHA256:
            _require_title("system_title", self.system_title)
        if self.ciphering is not None and self.ciphering.system_title != self.system_title:
            raise InvalidValueError("system_title", self.system_title.hex(), "as it ciphers with")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gmac(Ciphering):
    """HLS mechanism 5: it proves that it holds the keys it ciphers with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ecdsa(Ciphering):
    """HLS mechanism 7: it proves itself by its signature, and ciphers too."""

    def __post_init__(self) -> None:
        # Not super(): a slotted dataclass is made twice, and super() would name the first.
        Ciphering.__post_init__(self)
        if not self.key_pairs.can_sign:
            raise InvalidValueError("key_pairs", "…", "both signing keys are needed")


Hls = Hashed | Gmac | Ecdsa
Authentication = NoSecurity | Password | Hls


def mechanism_of(authentication: Authentication) -> Mechanism:
    """Return the mechanism's number."""
    match authentication:
        case NoSecurity():
            return Mechanism.NONE
        case Password():
            return Mechanism.PASSWORD
        case Hashed(mechanism=mechanism):
            return mechanism
        case Gmac():
            return Mechanism.GMAC
        case Ecdsa():
            return Mechanism.ECDSA


def ciphering_of(authentication: Authentication) -> Ciphering | None:
    """Return what it ciphers with; None where all APDUs travel in clear."""
    match authentication:
        case NoSecurity():
            return None
        case Password(ciphering=ciphering) | Hashed(ciphering=ciphering):
            return ciphering
        case Gmac() | Ecdsa():
            return authentication


def with_keys(authentication: Authentication, keys: Keys, counters: Counters) -> Authentication:
    """Return the same with other keys and who counts; as it is, where nothing is ciphered."""
    match authentication:
        case Gmac() | Ecdsa():
            return replace(authentication, keys=keys, counters=counters)
        case Password(ciphering=Ciphering() as own) | Hashed(ciphering=Ciphering() as own):
            own = replace(own, keys=keys, counters=counters)
            return replace(authentication, ciphering=own)
        case _:
            return authentication


def title_of(authentication: Authentication) -> bytes:
    """Return the system title it gives; empty if none."""
    if isinstance(authentication, Hashed):
        return authentication.system_title
    ciphering = ciphering_of(authentication)
    return b"" if ciphering is None else ciphering.system_title


def _require_title(field_name: str, title: bytes) -> None:
    if len(title) != SYSTEM_TITLE_OCTETS:
        raise InvalidValueError(field_name, title.hex(), "8 octets")
