"""A meter put into the gateway's configuration file, beside all that a person wrote there.

Law: the file is replaced whole, and only by one that loads and differs in that meter alone.
"""

import json
import re
import tomllib
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from quince.edge.config import GatewayConfig, MeterConfig, load_config
from quince.edge.files import replacing
from quince.model.errors import InvalidValueError
from quince.protocols.visits.orders import WorkOrder

_METER: TypeAdapter[MeterConfig] = TypeAdapter(MeterConfig)
_HEADER = re.compile(r"\s*\[")
_METERS = re.compile(r"\s*\[\[\s*meters\s*\]\]")
_OF_METERS = re.compile(r"\s*\[{1,2}\s*meters\s*\.")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def ordered_meter(order: WorkOrder) -> MeterConfig:
    """Return the order's meter as the configuration has it; InvalidValueError if it cannot be."""
    try:
        return _METER.validate_python(order.meter)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidValueError(f"meter.{field}", order.order_id, first["msg"]) from None


def put_meter(path: Path, order: WorkOrder) -> None:
    """Let the gateway read the order's meter from now on, and the old one of a swap no more.

    InvalidValueError if the file cannot be changed so: nothing of it is.
    """
    before, meter = load_config(path), ordered_meter(order)
    gone = {order.meter_id, order.old_meter_id}
    stay = [one for one in before.meters if one.id not in gone]
    wanted = before.model_copy(update={"meters": [*stay, meter]})
    if {one.id: one for one in before.meters} == {one.id: one for one in wanted.meters}:
        return
    text = "".join(_without(path.read_text("utf-8").splitlines(keepends=True), gone))
    table = "".join(f"{_key(name)} = {_value(value)}\n" for name, value in order.meter.items())
    changed = f"{text.rstrip()}\n\n[[meters]] # {order.order_id}\n{table}"
    _replace(path, changed, wanted)


def _replace(path: Path, text: str, wanted: GatewayConfig) -> None:
    """Replace the file by one that was loaded, and found to be what is wanted."""
    mode = path.stat().st_mode & 0o777 & ~0o077  # it has keys: its owner's alone
    with replacing(path, text.encode("utf-8"), mode=mode) as fresh:
        if load_config(fresh) != wanted:
            raise InvalidValueError(
                "config", str(path), "not changed: its tables are to be edited by hand"
            )


def _without(lines: list[str], names: Container[str | None]) -> Iterator[str]:
    """Leave out the [[meters]] tables of these names; comments before the next table stay."""
    starts = [number for number, line in enumerate(lines) if _METERS.match(line)]
    at = 0
    for start in starts:
        yield from lines[at:start]
        end = next(
            (
                number
                for number in range(start + 1, len(lines))
                if _HEADER.match(lines[number]) and not _OF_METERS.match(lines[number])
            ),
            len(lines),
        )
        while end > start + 1 and lines[end - 1].lstrip()[:1] in ("", "#"):
            end -= 1
        at = end if _name_of(lines[start:end]) in names else start
    yield from lines[at:]


def _name_of(table: list[str]) -> str | None:
    try:
        return str(tomllib.loads("".join(table))["meters"][0]["id"])
    except (tomllib.TOMLDecodeError, LookupError, TypeError):
        return None  # not read as it stands, so it stays, and what is wanted tells the rest


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _text(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return f"{{ {', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())} }}"
        case _:
            raise InvalidValueError("meter", value, "has no place in a configuration file")


def _text(text: str) -> str:
    """Return a basic string of TOML: one of JSON is, but for the delete character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
