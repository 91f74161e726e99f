"""JSON documents from outside, read within bounds, and written one way only.

Law: a document has texts, whole numbers, truths, lists and tables; a fraction has no one spelling.
"""

import json
from typing import Any, NoReturn

from quince.model.errors import CodecError

DEPTH_MAX = 16
DOCUMENT_BYTES_MAX = (
    262_144  # a report with a year of readings has a tenth; a stranger's is no more
)
_INTEGER_DIGITS_MAX = 18  # what a database's integer holds

Document = dict[str, Any]


def read_document(octets: bytes) -> Document:
    """Return the table that `octets` spell; CodecError for anything else."""
    if len(octets) > DOCUMENT_BYTES_MAX:
        raise CodecError(f"document of {len(octets)} octets; at most {DOCUMENT_BYTES_MAX}")
    try:
        document = json.loads(
            octets.decode("utf-8"),
            parse_int=_whole_number,
            parse_float=_refuse,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not a document: {error}") from error
    if not isinstance(document, dict):
        raise CodecError("not a document: no table")
    write_document(document)
    return document


def write_document(document: Document) -> bytes:
    """Return the one spelling of a document; CodecError for what is none."""
    _require_plain(document, depth=1)
    try:
        octets = json.dumps(
            document, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode("utf-8")
    except ValueError as error:  # half a character, which no octets spell
        raise CodecError(f"not a document: {error}") from error
    if len(octets) > DOCUMENT_BYTES_MAX:
        raise CodecError(f"document of {len(octets)} octets; at most {DOCUMENT_BYTES_MAX}")
    return octets


def _require_plain(value: object, depth: int) -> None:
    """Refuse what a document may not hold."""
    if depth > DEPTH_MAX:
        raise CodecError(f"document deeper than {DEPTH_MAX}")
    match value:
        case dict():
            for name, one in value.items():
                if not isinstance(name, str):
                    raise CodecError("a table's names are texts")
                _require_plain(one, depth + 1)
        case list():
            for one in value:
                _require_plain(one, depth + 1)
        case None | str() | int():
            pass
        case _:
            raise CodecError(f"a document has no {type(value).__name__}")


def _whole_number(digits: str) -> int:
    if len(digits.lstrip("-")) > _INTEGER_DIGITS_MAX:
        _refuse(digits)
    return int(digits)


def _refuse(spelling: str) -> NoReturn:
    raise CodecError(f"not a document: {spelling[:_INTEGER_DIGITS_MAX]} is no whole number")
