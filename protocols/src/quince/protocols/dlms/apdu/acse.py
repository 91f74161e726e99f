"""Association control: AARQ, AARE, RLRQ and RLRE, in BER."""

from dataclasses import dataclass, field
from enum import IntEnum

from quince.model.errors import CodecError
from quince.protocols.dlms.encoding.ber import decode_field, decode_fields, encode_field
from quince.protocols.dlms.encoding.reader import Reader

AARQ = 0x60
AARE = 0x61
RLRQ = 0x62
RLRE = 0x63

# 2.16.756.5.8 names DLMS; .1.x is the application context, .2.x the mechanism.
_CONTEXT_OID = bytes.fromhex("60857405080100")[:-1]
_MECHANISM_OID = bytes.fromhex("60857405080200")[:-1]
_PLAIN_LOGICAL_NAMES = 1
_CIPHERED_LOGICAL_NAMES = 3
_AUTHENTICATION_UNIT = bytes.fromhex("0780")
_RELEASE_NORMAL = bytes.fromhex("800100")

_CONTEXT, _TITLE, _USER_INFORMATION = 0xA1, 0xA6, 0xBE
_REQUIREMENTS, _MECHANISM, _VALUE = 0x8A, 0x8B, 0xAC
_RESULT, _DIAGNOSTIC, _SERVER_TITLE = 0xA2, 0xA3, 0xA4
_SERVER_REQUIREMENTS, _SERVER_MECHANISM, _SERVER_VALUE = 0x88, 0x89, 0xAA
_OCTET_STRING, _INTEGER, _OID = 0x04, 0x02, 0x06
_CHARSTRING = 0x80
_USER_SOURCE, _PROVIDER_SOURCE = 0xA1, 0xA2


class Mechanism(IntEnum):
    """How the two sides prove who they are; 2 is each maker's own, and is refused."""

    NONE = 0
    PASSWORD = 1
    MD5 = 3
    SHA1 = 4
    GMAC = 5
    SHA256 = 6
    ECDSA = 7


class Diagnostic(IntEnum):
    """Why an association was refused, or what is still to do (acse-service-user)."""

    NONE = 0
    NO_REASON = 1
    CONTEXT_NOT_SUPPORTED = 2
    MECHANISM_NOT_RECOGNISED = 11
    MECHANISM_REQUIRED = 12
    AUTHENTICATION_FAILED = 13
    AUTHENTICATION_REQUIRED = 14


ACCEPTED = 0
REJECTED_PERMANENTLY = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRequest:
    """An AARQ: `value` is the password or the client's challenge."""

    ciphered: bool
    mechanism: int
    user_information: bytes
    value: bytes = field(default=b"", repr=False)
    system_title: bytes = b""

    def encode(self) -> bytes:
        """Write the AARQ."""
        body = _encode_context(ciphered=self.ciphered)
        if self.system_title:
            body += encode_field(_TITLE, encode_field(_OCTET_STRING, self.system_title))
        if self.mechanism:
            body += encode_field(_REQUIREMENTS, _AUTHENTICATION_UNIT)
            body += encode_field(_MECHANISM, _MECHANISM_OID + bytes((self.mechanism,)))
            body += encode_field(_VALUE, encode_field(_CHARSTRING, self.value))
        return encode_field(AARQ, body + _encode_user_information(self.user_information))


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationResponse:
    """An AARE: `value` is the server's challenge; `diagnostic` as given, known or not."""

    ciphered: bool
    result: int
    diagnostic: int
    user_information: bytes = b""
    mechanism: int = Mechanism.NONE
    value: bytes = field(default=b"", repr=False)
    system_title: bytes = b""

    def encode(self) -> bytes:
        """Write the AARE."""
        body = _encode_context(ciphered=self.ciphered)
        body += encode_field(_RESULT, encode_field(_INTEGER, bytes((self.result,))))
        diagnostic = encode_field(_INTEGER, bytes((self.diagnostic,)))
        body += encode_field(_DIAGNOSTIC, encode_field(_USER_SOURCE, diagnostic))
        if self.system_title:
            body += encode_field(_SERVER_TITLE, encode_field(_OCTET_STRING, self.system_title))
        if self.mechanism:
            body += encode_field(_SERVER_REQUIREMENTS, _AUTHENTICATION_UNIT)
            body += encode_field(_SERVER_MECHANISM, _MECHANISM_OID + bytes((self.mechanism,)))
        if self.value:
            body += encode_field(_SERVER_VALUE, encode_field(_CHARSTRING, self.value))
        return encode_field(AARE, body + _encode_user_information(self.user_information))


def decode_request(apdu: bytes) -> AssociationRequest:
    """Read an AARQ."""
    fields = decode_fields(decode_field(AARQ, apdu))
    return AssociationRequest(
        ciphered=_decode_context(fields),
        mechanism=_decode_mechanism(fields.get(_MECHANISM)),
        value=_inner(fields, _VALUE, _CHARSTRING),
        system_title=_inner(fields, _TITLE, _OCTET_STRING),
        user_information=_inner(fields, _USER_INFORMATION, _OCTET_STRING),
    )


def decode_response(apdu: bytes) -> AssociationResponse:
    """Read an AARE."""
    fields = decode_fields(decode_field(AARE, apdu))
    return AssociationResponse(
        ciphered=_decode_context(fields),
        result=_integer(_required(fields, _RESULT)),
        diagnostic=_decode_diagnostic(_required(fields, _DIAGNOSTIC)),
        mechanism=_decode_mechanism(fields.get(_SERVER_MECHANISM)),
        value=_inner(fields, _SERVER_VALUE, _CHARSTRING),
        system_title=_inner(fields, _SERVER_TITLE, _OCTET_STRING),
        user_information=_inner(fields, _USER_INFORMATION, _OCTET_STRING),
    )


def encode_release(tag: int) -> bytes:
    """Write an RLRQ or an RLRE, with the reason "normal"."""
    return encode_field(tag, _RELEASE_NORMAL)


def decode_release(tag: int, apdu: bytes) -> bytes:
    """Read an RLRQ or an RLRE; return its user-information, mostly empty."""
    return _inner(decode_fields(decode_field(tag, apdu)), _USER_INFORMATION, _OCTET_STRING)


def _encode_context(*, ciphered: bool) -> bytes:
    context = _CIPHERED_LOGICAL_NAMES if ciphered else _PLAIN_LOGICAL_NAMES
    return encode_field(_CONTEXT, encode_field(_OID, _CONTEXT_OID + bytes((context,))))


def _decode_context(fields: dict[int, bytes]) -> bool:
    oid = decode_field(_OID, _required(fields, _CONTEXT))
    contexts = {
        _CONTEXT_OID + bytes((_PLAIN_LOGICAL_NAMES,)): False,
        _CONTEXT_OID + bytes((_CIPHERED_LOGICAL_NAMES,)): True,
    }
    if oid not in contexts:
        raise CodecError(f"application context {oid.hex()} is not one of logical names")
    return contexts[oid]


def _encode_user_information(octets: bytes) -> bytes:
    if not octets:
        return b""
    return encode_field(_USER_INFORMATION, encode_field(_OCTET_STRING, octets))


def _decode_mechanism(oid: bytes | None) -> int:
    if oid is None:
        return Mechanism.NONE
    if len(oid) != len(_MECHANISM_OID) + 1 or not oid.startswith(_MECHANISM_OID):
        raise CodecError(f"mechanism name {oid.hex()}")
    return oid[-1]


def _decode_diagnostic(octets: bytes) -> int:
    sources = decode_fields(octets)
    for source in (_USER_SOURCE, _PROVIDER_SOURCE):
        if source in sources:
            return _integer(sources[source])
    raise CodecError("a diagnostic without its source")


def _required(fields: dict[int, bytes], tag: int) -> bytes:
    if tag not in fields:
        raise CodecError(f"field {tag:#04x} is missing")
    return fields[tag]


def _inner(fields: dict[int, bytes], tag: int, inner_tag: int) -> bytes:
    return decode_field(inner_tag, fields[tag]) if tag in fields else b""


def _integer(octets: bytes) -> int:
    reader = Reader(decode_field(_INTEGER, octets))
    value = reader.octet()
    reader.finish("integer")
    return value
