"""The xDLMS initiate pair: what the two sides can do, and the largest APDU each receives."""

from dataclasses import dataclass, field, replace
from enum import IntFlag

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.encoding.reader import Reader, sized

INITIATE_REQUEST = 0x01
INITIATE_RESPONSE = 0x08
_VERSION = 6
_CONFORMANCE_HEADER = bytes.fromhex("5f1f0400")
# The tag [APPLICATION 31] in one octet, as older meters write it.
_CONFORMANCE_HEADER_SHORT = bytes.fromhex("5f0400")
_LOGICAL_NAMES = 0x0007  # the VAA name of a server that speaks of objects by logical name
# What 0 ("no limit") comes to: a wrapper header can announce no more.
PDU_OCTETS_MAX = 0xFFFF


class Conformance(IntFlag):
    """The services by logical name, as the 24-bit conformance block names them."""

    GENERAL_PROTECTION = 1 << 22
    GENERAL_BLOCK_TRANSFER = 1 << 21
    ATTRIBUTE_0_WITH_SET = 1 << 15
    PRIORITY = 1 << 14
    ATTRIBUTE_0_WITH_GET = 1 << 13
    BLOCK_TRANSFER_WITH_GET = 1 << 12
    BLOCK_TRANSFER_WITH_SET = 1 << 11
    BLOCK_TRANSFER_WITH_ACTION = 1 << 10
    MULTIPLE_REFERENCES = 1 << 9
    DATA_NOTIFICATION = 1 << 7
    ACCESS = 1 << 6
    GET = 1 << 4
    SET = 1 << 3
    SELECTIVE_ACCESS = 1 << 2
    EVENT_NOTIFICATION = 1 << 1
    ACTION = 1 << 0


# What both roles of this package speak; a service that is added is added here.
SERVED = (
    Conformance.GENERAL_PROTECTION
    | Conformance.GENERAL_BLOCK_TRANSFER
    | Conformance.BLOCK_TRANSFER_WITH_GET
    | Conformance.BLOCK_TRANSFER_WITH_SET
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.DATA_NOTIFICATION
    | Conformance.ACCESS
    | Conformance.GET
    | Conformance.SET
    | Conformance.SELECTIVE_ACCESS
    | Conformance.EVENT_NOTIFICATION
    | Conformance.ACTION
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiate:
    """A request or its response: the conformance as its 24 bits, the sender's largest APDU.

    A request may bring the key that is to seal this association's APDUs.
    """

    conformance: int
    pdu_octets_max: int
    dedicated_key: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.conformance < 1 << 24:
            raise InvalidValueError("conformance", self.conformance, "24 bits")
        if not 0 < self.pdu_octets_max <= PDU_OCTETS_MAX:
            raise InvalidValueError("pdu_octets_max", self.pdu_octets_max, f"1..{PDU_OCTETS_MAX}")


def encode_request(initiate: Initiate) -> bytes:
    """Write an initiate-request: a response allowed, no quality of service."""
    key = b"\x01" + sized(initiate.dedicated_key) if initiate.dedicated_key else b"\x00"
    return bytes((INITIATE_REQUEST,)) + key + bytes((0, 0, _VERSION)) + _encode_tail(initiate)


def encode_response(initiate: Initiate) -> bytes:
    """Write an initiate-response."""
    tail = _encode_tail(initiate) + _LOGICAL_NAMES.to_bytes(2, "big")
    return bytes((INITIATE_RESPONSE, 0, _VERSION)) + tail


def decode_request(octets: bytes) -> Initiate:
    """Read an initiate-request."""
    reader = _open(octets, INITIATE_REQUEST)
    dedicated_key = reader.sized() if reader.flag() else b""
    for _response_allowed_and_quality in range(2):
        if reader.flag():
            reader.octet()
    initiate = _decode_tail(reader)
    reader.finish("initiate-request")
    return replace(initiate, dedicated_key=dedicated_key)


def decode_response(octets: bytes) -> Initiate:
    """Read an initiate-response."""
    reader = _open(octets, INITIATE_RESPONSE)
    if reader.flag():
        reader.octet()
    initiate = _decode_tail(reader)
    reader.uint(2)  # the VAA name
    reader.finish("initiate-response")
    return initiate


def _open(octets: bytes, tag: int) -> Reader:
    reader = Reader(octets)
    if reader.octet() != tag:
        raise CodecError(f"an initiate with tag {tag:#04x} expected")
    return reader


def _encode_tail(initiate: Initiate) -> bytes:
    conformance = initiate.conformance.to_bytes(3, "big")
    return _CONFORMANCE_HEADER + conformance + initiate.pdu_octets_max.to_bytes(2, "big")


def _decode_tail(reader: Reader) -> Initiate:
    version = reader.octet()
    if version != _VERSION:
        raise CodecError(f"DLMS version {version}, not {_VERSION}")
    header = reader.take(len(_CONFORMANCE_HEADER_SHORT))
    if header != _CONFORMANCE_HEADER_SHORT and header + reader.take(1) != _CONFORMANCE_HEADER:
        raise CodecError("no conformance block")
    conformance, pdu_octets_max = reader.uint(3), reader.uint(2)
    return Initiate(conformance=conformance, pdu_octets_max=pdu_octets_max or PDU_OCTETS_MAX)
