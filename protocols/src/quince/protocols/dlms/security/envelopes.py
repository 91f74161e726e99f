"""Ciphered and signed APDUs as they travel: in which form, whose, and how their key is named.

Source: Green Book, 9.2.7.2.4 and 9.5 (general-ciphering, general-signing, Key-Info) as public
summaries quote them; the tags are those of its clause 9.5.
"""

from dataclasses import dataclass
from enum import StrEnum

from quince.model.errors import CodecError
from quince.protocols.dlms.encoding.reader import Reader, sized
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.security.elliptic import Scheme

GLO_INITIATE_REQUEST = 0x21
GLO_INITIATE_RESPONSE = 0x28
GENERAL_GLO = 0xDB
GENERAL_DED = 0xDC
GENERAL_CIPHERING = 0xDD
GENERAL_SIGNING = 0xDF
# A plain tag and what its service-specific ciphered form adds to it: get, set, event-notification
# and action, requests and responses, then the confirmed-service-error.
_SERVICES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC7)
_CONFIRMED_SERVICE_ERROR = 0x0E
_GLO_TAGS = {tag: tag + 0x08 for tag in _SERVICES} | {_CONFIRMED_SERVICE_ERROR: 0x2E}
_DED_TAGS = {tag: tag + 0x10 for tag in _SERVICES} | {_CONFIRMED_SERVICE_ERROR: 0x4E}
_PRESENT = 1
_IDENTIFIED, _WRAPPED, _AGREED = 0, 1, 2
_MASTER_KEY = 0


class Form(StrEnum):
    """How an APDU is wrapped, and under which key.

    The first two use the global key, the next two the one that the client chose for this
    association. The others are all general-ciphering, and name their key in each APDU: the global
    one, a fresh one wrapped under the master key, or one agreed on.
    """

    SERVICE_SPECIFIC = "service-specific"
    GENERAL_GLO = "general-glo"
    DEDICATED = "dedicated"
    GENERAL_DEDICATED = "general-dedicated"
    GENERAL_CIPHERING = "general-ciphering"
    WRAPPED_KEY = "wrapped-key"
    EPHEMERAL_KEY = "ephemeral-key"
    STATIC_KEYS = "static-keys"

    @property
    def is_dedicated(self) -> bool:
        """Whether the dedicated key seals."""
        return self in (Form.DEDICATED, Form.GENERAL_DEDICATED)

    @property
    def is_general_ciphering(self) -> bool:
        """Whether each APDU names its key and both parties."""
        named = (Form.GENERAL_CIPHERING, Form.WRAPPED_KEY, Form.EPHEMERAL_KEY, Form.STATIC_KEYS)
        return self in named


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A service-specific, general-glo or general-ded APDU; only general ones name the sender."""

    tag: int
    system_title: bytes = b""
    sealed: bytes

    @property
    def form(self) -> Form:
        """The form that the tag says."""
        if self.tag in (GENERAL_GLO, GENERAL_DED):
            return Form.GENERAL_GLO if self.tag == GENERAL_GLO else Form.GENERAL_DEDICATED
        return Form.DEDICATED if self.tag in _DED_TAGS.values() else Form.SERVICE_SPECIFIC

    def announces(self, plain: bytes) -> bool:
        """Whether `plain` may have been in it: a service-specific tag says which APDU it holds."""
        if self.tag in (GENERAL_GLO, GENERAL_DED):
            return bool(plain)
        return self.tag == service_tag(plain, dedicated=self.form.is_dedicated)

    def encode(self) -> bytes:
        """Write the envelope."""
        is_general = self.tag in (GENERAL_GLO, GENERAL_DED)
        title = sized(self.system_title) if is_general else b""
        return bytes((self.tag,)) + title + sized(self.sealed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What general-ciphering and general-signing say first; tag and signature cover all of it."""

    transaction_id: bytes
    originator: bytes
    recipient: bytes
    date_time: bytes = b""
    other_information: bytes = b""

    def encode(self) -> bytes:
        """Write the fields with their lengths, as they travel and as they are covered."""
        fields = (self.transaction_id, self.originator, self.recipient, self.date_time)
        return b"".join(map(sized, fields)) + sized(self.other_information)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """How a general-ciphering APDU names its key.

    `form` is one of the general-ciphering forms; `octets` is the wrapped key, or the originator's
    ephemeral point and its signature.
    """

    form: Form
    octets: bytes = b""
    broadcast: bool = False

    def encode(self) -> bytes:
        """Write the key-info, present."""
        match self.form:
            case Form.WRAPPED_KEY:
                choice = bytes((_WRAPPED, _MASTER_KEY)) + sized(self.octets)
            case Form.EPHEMERAL_KEY:
                choice = bytes((_AGREED, 1, Scheme.ONE_PASS)) + sized(self.octets)
            case Form.STATIC_KEYS:
                choice = bytes((_AGREED, 1, Scheme.STATIC, 0))
            case _:
                choice = bytes((_IDENTIFIED, self.broadcast))
        return bytes((_PRESENT,)) + choice


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralCiphering:
    """An APDU sealed for one named recipient."""

    heading: Heading
    key_info: KeyInfo
    sealed: bytes

    def encode(self) -> bytes:
        """Write the APDU."""
        head = bytes((GENERAL_CIPHERING,)) + self.heading.encode()
        return head + self.key_info.encode() + sized(self.sealed)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralSigning:
    """An APDU in clear, and its originator's signature over all fields before it."""

    heading: Heading
    content: bytes
    signature: bytes

    @property
    def signed(self) -> bytes:
        """What the signature covers."""
        return self.heading.encode() + sized(self.content)

    def encode(self) -> bytes:
        """Write the APDU."""
        return bytes((GENERAL_SIGNING,)) + self.signed + sized(self.signature)


def service_tag(plain: bytes, *, dedicated: bool) -> int | None:
    """Return the tag of the service-specific form; None for APDUs that have none (ACCESS, …)."""
    return (_DED_TAGS if dedicated else _GLO_TAGS).get(plain[0] if plain else -1)


def decode_envelope(apdu: bytes) -> Envelope | GeneralCiphering | None:
    """Read a ciphered APDU; None if `apdu` is not ciphered."""
    reader = Reader(apdu)
    tag = reader.octet()
    envelope: Envelope | GeneralCiphering
    if tag in (GENERAL_GLO, GENERAL_DED):
        envelope = Envelope(tag=tag, system_title=reader.sized(), sealed=reader.sized())
    elif tag in _GLO_TAGS.values() or tag in _DED_TAGS.values():
        envelope = Envelope(tag=tag, sealed=reader.sized())
    elif tag == GENERAL_CIPHERING:
        heading, key_info = _read_heading(reader), _read_key_info(reader)
        envelope = GeneralCiphering(heading=heading, key_info=key_info, sealed=reader.sized())
    else:
        return None
    reader.finish("ciphered APDU")
    return envelope


def decode_signing(apdu: bytes) -> GeneralSigning | None:
    """Read a general-signing APDU; None if `apdu` is another."""
    reader = Reader(apdu)
    if reader.octet() != GENERAL_SIGNING:
        return None
    heading = _read_heading(reader)
    signing = GeneralSigning(heading=heading, content=reader.sized(), signature=reader.sized())
    reader.finish("general-signing")
    return signing


def decode_initiate_envelope(tag: int, octets: bytes) -> bytes:
    """Return what is sealed in a glo-initiate; ProtectionError if it is not ciphered."""
    reader = Reader(octets)
    if reader.octet() != tag:
        raise ProtectionError("the initiate is not ciphered")
    sealed = reader.sized()
    reader.finish("glo-initiate")
    return sealed


def _read_heading(reader: Reader) -> Heading:
    return Heading(
        transaction_id=reader.sized(),
        originator=reader.sized(),
        recipient=reader.sized(),
        date_time=reader.sized(),
        other_information=reader.sized(),
    )


def _read_key_info(reader: Reader) -> KeyInfo:
    if not reader.flag():
        return KeyInfo(form=Form.GENERAL_CIPHERING)
    choice = reader.octet()
    if choice == _IDENTIFIED:
        return KeyInfo(form=Form.GENERAL_CIPHERING, broadcast=reader.flag())
    if choice == _WRAPPED:
        if reader.octet() != _MASTER_KEY:
            raise CodecError("a key wrapped under another than the master key")
        return KeyInfo(form=Form.WRAPPED_KEY, octets=reader.sized())
    schemes = {
        bytes((Scheme.ONE_PASS,)): Form.EPHEMERAL_KEY,
        bytes((Scheme.STATIC,)): Form.STATIC_KEYS,
    }
    parameters, octets = reader.sized(), reader.sized()
    if choice != _AGREED or parameters not in schemes:
        raise CodecError(f"key-info {choice}, {parameters.hex()!r}")
    if octets and schemes[parameters] is Form.STATIC_KEYS:
        raise CodecError("key data where the static scheme has none")
    return KeyInfo(form=schemes[parameters], octets=octets)
