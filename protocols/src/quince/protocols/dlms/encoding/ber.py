"""The little BER that association control needs: one-octet tags, definite lengths."""

from quince.model.errors import CodecError
from quince.protocols.dlms.encoding.reader import Reader, sized


def encode_field(tag: int, content: bytes) -> bytes:
    """Write one field."""
    return bytes((tag,)) + sized(content)


def decode_fields(octets: bytes) -> dict[int, bytes]:
    """Read the fields that fill `octets`, by tag; a tag given twice is a CodecError."""
    reader = Reader(octets)
    fields: dict[int, bytes] = {}
    while reader.remaining:
        tag = reader.octet()
        if tag in fields:
            raise CodecError(f"field {tag:#04x} is given twice")
        fields[tag] = reader.sized()
    return fields


def decode_field(tag: int, octets: bytes) -> bytes:
    """Read the one field `tag` that fills `octets`."""
    fields = decode_fields(octets)
    if fields.keys() != {tag}:
        raise CodecError(f"field {tag:#04x} expected, not {sorted(fields)}")
    return fields[tag]
