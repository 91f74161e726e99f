"""Protocol values as layers: every message is a dataclass, and its fields are what there is to say.

No message has a text of its own here: a new one is explained the day it is decoded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum

from quince.edge.commissioning.layer import Layer
from quince.model.errors import CodecError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.encoding.axdr import Data, Encoded
from quince.protocols.dlms.encoding.date_time import DATE_TIME_OCTETS, decode_date_time
from quince.protocols.dlms.encoding.tags import Tag

# A profile of a month has thousands of rows; the first ones show what they are.
ITEMS_MAX = 32
_OBIS_OCTETS = 6
_LISTS = (Tag.ARRAY, Tag.STRUCTURE, Tag.COMPACT_ARRAY)


def explain_value(name: str, value: object) -> Layer:
    """Return any decoded message as a layer called `name`."""
    described = _describe(name, value)
    return described if isinstance(described, Layer) else Layer(name=f"{name}: {described}")


def class_words(value: object) -> str:
    """Return the name of a value's class as words: a GetRequest is a `get request`."""
    letters = type(value).__name__
    return "".join(f" {one.lower()}" if one.isupper() else one for one in letters).strip()


def layer_of(name: str, parts: Iterable[tuple[str, "Layer | str"]]) -> Layer:
    """Return a layer of what has lines of its own, and of what fits behind its label."""
    parts = list(parts)
    return Layer(
        name=name,
        fields=tuple((label, part) for label, part in parts if isinstance(part, str)),
        inner=tuple(part for _label, part in parts if isinstance(part, Layer)),
    )


def _describe(label: str, value: object) -> Layer | str:
    """Return a layer for what has lines of its own, and a text for what fits behind its label."""
    if isinstance(value, Encoded):
        return _describe(label, value.decode())
    if isinstance(value, Data) and value.tag in _LISTS:
        items = value.as_items()
        return _list(f"{label}: {value.tag.name.lower()} of {len(items)}", items)
    if isinstance(value, tuple) and value:
        return _list(f"{label}: {len(value)}", value)
    if is_dataclass(value) and not _has_text(value):
        # What a value does not show of itself, a password, is not shown here either.
        shown = ((field.name, getattr(value, field.name)) for field in fields(value) if field.repr)
        return layer_of(label, _labelled((_words(name), one) for name, one in shown))
    return _text(value)


def _has_text(value: object) -> bool:
    """Whether a value is said in a line: by this module, or by a text of its own."""
    own = type(value).__str__ is not object.__str__
    return own or isinstance(value, Data | Ref | type)


def _text(value: object) -> str:
    match value:
        case Data():
            return _plain_data(value)
        case Ref():
            return f"class {value.class_id}, {value.obis}, attribute or method {value.index}"
        case Enum():
            return _words(value.name)
        case bytes():
            return _octets_text(value)
        case None | ():
            return "none"
        case _:
            return str(value)


def _list(name: str, items: Sequence[object]) -> Layer:
    shown = [(str(number), item) for number, item in enumerate(items[:ITEMS_MAX], start=1)]
    layer = layer_of(name, _labelled(shown))
    left = len(items) - len(shown)
    more = (Layer(name=f"… and {left} more"),) if left else ()
    return Layer(name=layer.name, fields=layer.fields, inner=layer.inner + more)


def _labelled(
    parts: Iterable[tuple[str, object]],
) -> Iterable[tuple[str, Layer | str]]:
    return ((label, _describe(label, value)) for label, value in parts)


def _plain_data(data: Data) -> str:
    kind = _words(data.tag.name)
    if data.value is None:
        return kind
    if isinstance(data.value, bytes):
        return f"{kind} {_octets_text(data.value)}"
    if isinstance(data.value, tuple):
        return f"{kind} {''.join('1' if bit else '0' for bit in data.value)}"
    return f"{kind} {data.value}"


def _octets_text(octets: bytes) -> str:
    """Return octets in hexadecimal, and what they most likely say."""
    meaning = _meaning(octets)
    return f"{octets.hex() or '(empty)'}{f'  = {meaning}' if meaning else ''}"


def _meaning(octets: bytes) -> str:
    if len(octets) == DATE_TIME_OCTETS:
        try:
            # A meter that leaves its deviation out is shown at the time it wrote.
            moment = decode_date_time(octets, fallback_offset_min=0)
        except CodecError:
            pass
        else:
            return f"{moment.at_utc:%Y-%m-%d %H:%M:%S}Z"
    if octets and octets.isascii() and octets.decode().isprintable():
        return f'"{octets.decode()}"'
    if len(octets) == _OBIS_OCTETS:
        return str(Obis.from_bytes(octets))
    return ""


def _words(name: str) -> str:
    return name.lower().replace("_", "-" if name.isupper() else " ")
