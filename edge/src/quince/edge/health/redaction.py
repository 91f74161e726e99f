"""Takes secrets out of texts before they leave the gateway.

Law: what the configuration calls a secret is found by its value wherever it stands, in any case;
a secret too short to be found safely is only masked where it is configured.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr

from quince.edge.config import GatewayConfig

MASK = "**********"
# A password like "1" would blot out every digit of a log.
_CHARS_MIN = 4
_USER_PART = re.compile(r"(?<=://)[^/@\s\"']+@")


def redacted_config(config: GatewayConfig) -> dict[str, Any]:
    """Return the configuration with its secrets masked, of JSON's own types."""
    document: dict[str, Any] = config.model_dump(mode="json")
    return document


def redact(text: str, config: GatewayConfig) -> str:
    """Return a text without the configuration's secrets, and without users in URLs."""
    secrets = {secret for secret in _secrets(config) if len(secret) >= _CHARS_MIN}
    forms = secrets | {json.dumps(secret)[1:-1] for secret in secrets}
    found = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
    if found:
        text = re.sub("|".join(found), MASK, text, flags=re.IGNORECASE)
    return _USER_PART.sub(f"{MASK}@", text)


def _secrets(value: object) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            for _, part in value:
                yield from _secrets(part)
        case list() | tuple() | frozenset():
            for part in value:
                yield from _secrets(part)
        case dict():
            for part in value.values():
                yield from _secrets(part)
        case _:
            return
