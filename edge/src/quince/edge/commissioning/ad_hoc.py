"""A meter that stands in no configuration: named by its line's URL, and what else it takes.

Law: what is secret comes from a file, never from the command line, where other users see it.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from quince.edge.config import (
    DlmsMeterConfig,
    DsmrMeterConfig,
    MeterConfig,
    ModbusMeterConfig,
    OpticalMeterConfig,
    SmlMeterConfig,
)
from quince.model.errors import InvalidValueError

SECRETS = ("security", "password", "key", "additional")
# The public client of a DLMS meter at its management device: what every meter lets in.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "dlms": {
        "client_sap": 16,
        "server_sap": 1,
        "equipment_id": "",
        "security": {"kind": "none"},
    },
    "modbus": {"device_id": 1},
}
_KINDS: dict[str, type[BaseModel]] = {
    "dlms": DlmsMeterConfig,
    "modbus": ModbusMeterConfig,
    "optical": OpticalMeterConfig,
    "sml": SmlMeterConfig,
    "dsmr": DsmrMeterConfig,
}
_ID = "meter"
_METER: TypeAdapter[MeterConfig] = TypeAdapter(MeterConfig)


def is_url(name: str) -> bool:
    """Say whether a meter is named by its line: no meter's id has a colon."""
    return ":" in name


def meter_at(url: str, fields: Iterable[str], secrets: Path | None) -> MeterConfig:
    """Return a meter's part of a configuration, out of `name=value` fields and a TOML file.

    The fields are those of the configuration file; the kind is that of the URL, unless named.
    """
    texts = dict(map(_field, fields))
    kind = texts.setdefault("kind", _kind_of(url))
    if kind not in _KINDS:
        raise InvalidValueError("kind", kind, f"one of {', '.join(_KINDS)}")
    given = {name: _value(kind, name, text) for name, text in texts.items()}
    document = {"id": _ID, "url": url, "utc_offset_min": 0, **_DEFAULTS.get(kind, {}), **given}
    document |= _secrets(secrets)
    try:
        return _METER.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"][1:])
        reason = f"needed: -f {field}=…" if first["type"] == "missing" else first["msg"]
        raise InvalidValueError(field, url, reason) from None


def _kind_of(url: str) -> str:
    scheme = url.partition(":")[0]
    if scheme.startswith("modbus+"):
        return "modbus"
    return "optical" if scheme == "optical" else "dlms"


def _field(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise InvalidValueError("--field", text, "name=value")
    if name in SECRETS:
        raise InvalidValueError(
            "--field", name, "is secret, and belongs into the file of --secrets"
        )
    return name, value


def _value(kind: str, name: str, text: str) -> Any:
    """Return what a text means in TOML, if anything: a number, a truth, a list; else itself."""
    field = _KINDS[kind].model_fields.get(name)
    if field is not None and field.annotation is str:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _secrets(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidValueError("--secrets", str(path), str(error)) from None
    if unknown := document.keys() - set(SECRETS):
        raise InvalidValueError("--secrets", sorted(unknown), f"only {', '.join(SECRETS)}")
    return document
