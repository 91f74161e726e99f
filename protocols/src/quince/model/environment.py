"""A misspelt setting in the environment stops the start: silence there has cost many a night."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from quince.model.errors import InvalidValueError


def refuse_misspelt(names: Iterable[str], *, prefix: str, fields: Iterable[str]) -> None:
    """Raise InvalidValueError for the first of `names` under `prefix` that is no field's.

    `names` are the environment's, compared without regard to case, as pydantic-settings reads them.
    """
    known = {f"{prefix}{field}".upper() for field in fields}
    for name in sorted(names):
        if name.upper().startswith(prefix.upper()) and name.upper() not in known:
            nearest = difflib.get_close_matches(name.upper(), known, n=1)
            known_names = ", ".join(sorted(known))
            hint = f"did you mean {nearest[0]}?" if nearest else f"known: {known_names}"
            raise InvalidValueError("environment", name, hint)


def invalid_setting(problem: Mapping[str, Any], *, prefix: str) -> InvalidValueError:
    """Return what to raise for the first problem a settings class found: `loc`, `input`, `msg`."""
    name = f"{prefix}{problem['loc'][0]}".upper()
    return InvalidValueError(name, problem["input"], problem["msg"])
