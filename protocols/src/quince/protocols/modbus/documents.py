"""Profiles from TOML.

    name = "Schneider Electric iEM3155"
    extends = "schneider_iem3000"      # that profile's points and limits, and these on top
    hole_max = 0                       # registers a block read may cross that belong to no point
    block_max = 125                    # registers per read
    gap_ms = 0                         # silence the meter wants before a request
    transformer_side = "primary"       # "secondary": the site's ratio is still to be multiplied in
    sunspec_model = 203                # addresses count from that model's first register

    [source]
    addresses = "volkszaehler/mbmd, meters/rs485/iem3000.go"
    licence = "BSD-3-Clause"
    from_memory = ""                   # what nobody but memory says

    [match]                            # a register by which the meter says what it is
    table = "holding"
    address = 11
    values = [1648, 1649]

    [quality]                          # an answer to each rule
    registers_checked = "done"
    read_from_real_meter = { status = "todo", comment = "none at hand" }

    [defaults]                         # what every point says that does not say otherwise
    table = "holding"                  # or "input"
    type = "int64"
    order = "ABCD"                     # octets as they travel, A the most significant
    unit = "Wh"

    [[points]]
    obis = "1-0:1.8.0"
    address = 3203                     # as it travels in the request: the first register is 0

A point may also say `scale`, `scale_register`, `not_available`, `part` and `rolls_over_at`.

Law: a mistake raises InvalidValueError naming field and value; nothing is guessed. What was proven
with one meter is not inherited by its siblings.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from quince.model.errors import InvalidValueError
from quince.model.obis import Obis
from quince.protocols.modbus.points import NumberType, Order, Part, Point, Table
from quince.protocols.modbus.profiles import (
    READ_REGISTERS_MAX,
    Match,
    ModbusProfile,
    Source,
    TransformerSide,
)
from quince.protocols.modbus.quality import Proof, Quality, Rule, Status

CHARACTERS_MAX = 65_536  # the longest profile shipped has a tenth of it
EXTENDS_MAX = 4  # a family has a generation or two; more is a circle
_NAME = re.compile(r"[a-z0-9_]{1,60}")
_INTEGER_BITS_MAX = 65  # any register's number, and its sign
_SHOWN_CHARACTERS_MAX = 80
_DEFAULTS = frozenset(
    ("table", "type", "order", "unit", "scale", "scale_register", "not_available", "rolls_over_at")
)


def _no_parent(name: str) -> str:
    raise InvalidValueError("profile.extends", name, "no such profile")


def parse_profile(text: str, parent: Callable[[str], str] = _no_parent) -> ModbusProfile:
    """Read a profile; `parent` finds the text of the one it extends by its name.

    InvalidValueError names the first field that is wrong.
    """
    return _parse(text, parent, EXTENDS_MAX)


def _parse(text: str, find: Callable[[str], str], generations: int) -> ModbusProfile:
    table = _Fields("profile", _load(text))
    name = table.take("name", str)
    parent = _parent(table.take_any("extends", str), find, generations)
    defaults = table.take("defaults", dict, {})
    _refuse_others("defaults", defaults, _DEFAULTS)
    match = table.take_any("match", dict)
    profile = ModbusProfile(
        name=name,
        source=_source(_Fields("source", table.take("source", dict))),
        points=_points(table.take("points", list, [] if parent else None), defaults, parent),
        quality=_quality(table.take("quality", dict)),
        hole_max=table.take("hole_max", int, parent.hole_max if parent else 0),
        block_max=table.take("block_max", int, parent.block_max if parent else READ_REGISTERS_MAX),
        gap_ms=table.take("gap_ms", int, parent.gap_ms if parent else 0),
        transformer_side=table.choose(
            "transformer_side",
            TransformerSide,
            parent.transformer_side if parent else TransformerSide.PRIMARY,
        ),
        match=None if match is None else _match(_Fields("match", match)),
        sunspec_model=table.take_any("sunspec_model", int)
        or (parent.sunspec_model if parent else None),
    )
    table.refuse_rest()
    return profile


def _load(text: str) -> Mapping[str, object]:
    if len(text) > CHARACTERS_MAX:
        raise InvalidValueError("profile", len(text), f"at most {CHARACTERS_MAX} characters")
    try:
        return tomllib.loads(text)
    # ValueError: a wrong document, or a number of thousands of digits; arrays nest without a bound.
    except (ValueError, RecursionError) as error:
        raise InvalidValueError("profile", text[:40], str(error)) from error


def _parent(name: str | None, find: Callable[[str], str], generations: int) -> ModbusProfile | None:
    if name is None:
        return None
    if generations == 0 or _NAME.fullmatch(name) is None:
        raise InvalidValueError(
            "profile.extends", name, f"a profile's name, {EXTENDS_MAX} generations at most"
        )
    return _parse(find(name), find, generations - 1)


def _points(
    documents: list[Any], defaults: Mapping[str, object], parent: ModbusProfile | None
) -> tuple[Point, ...]:
    own = [_point(document, defaults) for document in documents]
    names = {point.obis for point in own}
    inherited = parent.points if parent else ()
    return (*(point for point in inherited if point.obis not in names), *own)


def _point(document: object, defaults: Mapping[str, object]) -> Point:
    if not isinstance(document, dict):
        raise InvalidValueError("points", _shown(document), "expected a table")
    table = _Fields("point", {**defaults, **document})
    point = Point(
        obis=Obis.parse(table.take("obis", str)),
        address=table.take("address", int),
        table=table.choose("table", Table),
        type=table.choose("type", NumberType),
        order=table.choose("order", Order),
        unit=table.take("unit", str),
        scale=table.take("scale", int, 0),
        scale_register=table.take_any("scale_register", int),
        not_available=table.take_any("not_available", int),
        part=table.choose_any("part", Part),
        rolls_over_at=table.take_any("rolls_over_at", int),
    )
    table.refuse_rest()
    return point


def _source(table: "_Fields") -> Source:
    source = Source(
        addresses=table.take("addresses", str),
        licence=table.take("licence", str),
        from_memory=table.take("from_memory", str, ""),
    )
    table.refuse_rest()
    return source


def _match(table: "_Fields") -> Match:
    match = Match(
        table=table.choose("table", Table),
        address=table.take("address", int),
        values=tuple(_integer("match.values", value) for value in table.take("values", list)),
    )
    table.refuse_rest()
    return match


def _quality(document: Mapping[str, object]) -> Quality:
    _refuse_others("quality", document, frozenset(rule.value for rule in Rule))
    return {Rule(rule): _proof(rule, answer) for rule, answer in document.items()}


def _proof(rule: str, answer: object) -> Proof:
    spelled_out = answer if isinstance(answer, dict) else {"status": answer}
    table = _Fields(f"quality.{rule}", spelled_out)
    proof = Proof(status=table.choose("status", Status), comment=table.take("comment", str, ""))
    table.refuse_rest()
    return proof


def _refuse_others(name: str, document: Mapping[str, object], known: frozenset[str]) -> None:
    for field, value in document.items():
        if field not in known:
            raise InvalidValueError(f"{name}.{field}", _shown(value), "no such field")


def _integer(field: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidValueError(field, _shown(value), "expected int")
    if value.bit_length() > _INTEGER_BITS_MAX:
        raise InvalidValueError(field, _shown(value), f"beyond {_INTEGER_BITS_MAX} bits")
    return value


def _shown(value: object) -> object:
    """Return what an error may show of a value: no number too long to be written, no tree."""
    match value:
        case str():
            return value[:_SHOWN_CHARACTERS_MAX]
        case None:
            return None
        case int() if value.bit_length() <= _INTEGER_BITS_MAX:
            return value
        case _:
            return type(value).__name__


_Taken = TypeVar("_Taken", str, int, list[Any], dict[str, Any])
_Choice = TypeVar("_Choice", bound=StrEnum)


class _Fields:
    """A TOML table whose fields are taken one by one, so that what is left over is a mistake."""

    def __init__(self, name: str, table: Mapping[str, object]) -> None:
        self._name = name
        self._rest = dict(table)

    def take(self, field: str, kind: type[_Taken], default: _Taken | None = None) -> _Taken:
        value = self._rest.pop(field, default)
        name = f"{self._name}.{field}"
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InvalidValueError(name, _shown(value), f"expected {kind.__name__}")
        if isinstance(value, int):
            _integer(name, value)
        return value

    def take_any(self, field: str, kind: type[_Taken]) -> _Taken | None:
        return self.take(field, kind) if field in self._rest else None

    def choose(self, field: str, choices: type[_Choice], default: _Choice | None = None) -> _Choice:
        value = self.take(field, str, None if default is None else default.value)
        if value not in {choice.value for choice in choices}:
            name = f"{self._name}.{field}"
            raise InvalidValueError(name, _shown(value), f"one of {', '.join(choices)}")
        return choices(value)

    def choose_any(self, field: str, choices: type[_Choice]) -> _Choice | None:
        return self.choose(field, choices) if field in self._rest else None

    def refuse_rest(self) -> None:
        _refuse_others(self._name, self._rest, frozenset())
