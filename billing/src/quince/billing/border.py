"""TOML files at the border: parsed once, with exact decimals, and refused by name."""

import tomllib
from decimal import Decimal
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from quince.model.errors import InvalidValueError


class Entry(BaseModel):
    """A table of a TOML file: an unknown key is a misspelt one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_E = TypeVar("_E", bound=Entry)


def read_toml(kind: type[_E], text: str) -> _E:
    """Read `text` as `kind`; InvalidValueError names the first key that cannot be."""
    try:
        # Decimal, because 0.1838 in the file is a price and not the nearest binary fraction.
        return kind.model_validate(tomllib.loads(text, parse_float=Decimal))
    except tomllib.TOMLDecodeError as error:
        raise InvalidValueError("toml", text[:40], str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise InvalidValueError(where, first["input"], first["msg"]) from error
