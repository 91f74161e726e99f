"""One layer of a frame as a technician reads it: a name, what its fields say, what it carries."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A named stretch of octets; `fields` are (label, text) in the order they travel."""

    name: str
    fields: tuple[tuple[str, str], ...] = ()
    inner: tuple["Layer", ...] = ()


def render(layer: Layer) -> str:
    """Return the layer and all it carries as indented lines."""
    return "\n".join(_lines(layer, 0))


def document_of(layer: Layer) -> dict[str, Any]:
    """Return the same as JSON has it: `name`, `fields` of `label` and `text`, and `inner` layers.

    A label may come twice.
    """
    return {
        "name": layer.name,
        "fields": [{"label": label, "text": text} for label, text in layer.fields],
        "inner": [document_of(inner) for inner in layer.inner],
    }


def _lines(layer: Layer, depth: int) -> Iterator[str]:
    indent = "  " * depth
    yield indent + _printable(layer.name)
    width = max((len(label) for label, _text in layer.fields), default=0)
    for label, text in layer.fields:
        yield f"{indent}  {label:<{width}}  {_printable(text)}".rstrip()
    for inner in layer.inner:
        yield from _lines(inner, depth + 1)


def _printable(text: str) -> str:
    """Return `text` with what would move a terminal's cursor, or change its mind, spelt out."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
