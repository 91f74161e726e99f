"""One value, one text: canonical JSON and its SHA-256, so that a fingerprint means something."""

import hashlib
import json
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

_T = TypeVar("_T")


def canonical_json(value: object) -> bytes:
    """Return `value` (a dataclass; dates, Decimal, Fraction within) as UTF-8 JSON, keys sorted.

    Decimals and fractions become text, so no float ever stands between a price and its hash.
    """
    kind: type = type(value)
    plain = _adapter(kind).dump_python(value, mode="json")
    text = json.dumps(
        plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def from_json(kind: type[_T], octets: bytes) -> _T:
    """Return the value of type `kind` that `canonical_json` wrote; its own checks run again."""
    hashable: type = kind  # which mypy doubts of type[_T]
    value: _T = _adapter(hashable).validate_json(octets)
    return value


def sha256_hex(octets: bytes) -> str:
    """Return the SHA-256 of `octets`, 64 lower-case hexadecimal digits."""
    return hashlib.sha256(octets).hexdigest()


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
