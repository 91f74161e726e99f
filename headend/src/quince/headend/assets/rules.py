"""Registrations as values, and the TOML file they come from; every faulty row is named."""

import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from quince.headend.errors import AssetFileError
from quince.model.errors import InvalidValueError
from quince.protocols.gateway.topics import GatewayAddress

_TENANT_ID_MAX = 2**31 - 1  # an integer column in every database
_TEXT_CHARS_MAX = 200  # names and addresses; longer ones are a mistake in the file

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A utility; every row it owns bears `tenant_id`, and its gateways speak in its `cells`."""

    tenant_id: int
    name: str
    cells: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.tenant_id <= _TENANT_ID_MAX:
            raise InvalidValueError("id", self.tenant_id, f"1..{_TENANT_ID_MAX}")
        _require_text("name", self.name)
        if not self.cells:
            raise InvalidValueError("cells", self.cells, "at least one cell")
        for cell in self.cells:
            GatewayAddress(cell=cell, gateway="any")  # refuses what cannot be a topic level


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A device: at which metering point, on which premise, in which time zone (IANA name).

    A metering point without a name of its own goes by its meter's.
    """

    meter_id: str
    premise: str
    zone: str
    metering_point: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "metering_point", self.metering_point or self.meter_id)
        for field in fields(self):
            _require_text(field.name, getattr(self, field.name))
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise InvalidValueError("zone", self.zone, "not an IANA time zone") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One tenant's file: what it names is added or updated, what it omits stays."""

    tenant: Tenant
    gateways: tuple[GatewayAddress, ...]
    meters: tuple[Meter, ...]


def read_registration(text: str) -> Registration:
    """Read a registration file; AssetFileError names every row that cannot be.

    [tenant]     id = 1, name = "…", cells = ["north"]
    [[gateway]]  id = "gw-1", cell = "north"
    [[meter]]    id = "m-1", premise = "…", zone = "America/New_York", metering_point = "…"
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AssetFileError([str(error)]) from error
    problems = [
        f"{name}: no such table" for name in document if name not in ("tenant", "gateway", "meter")
    ]
    tenants = _rows("tenant", [document.get("tenant", {})], _tenant, problems)
    gateways = _rows("gateway", document.get("gateway", []), _gateway, problems)
    meters = _rows("meter", document.get("meter", []), _meter, problems)
    cells = {cell for tenant in tenants for cell in tenant.cells}
    problems += [
        f"gateway {gateway.gateway!r}: cell {gateway.cell!r} is not among the tenant's"
        for gateway in gateways
        if tenants and gateway.cell not in cells
    ]
    problems += _twice("gateway", [f"{row.cell}/{row.gateway}" for row in gateways])
    problems += _twice("meter", [row.meter_id for row in meters])
    if problems:
        raise AssetFileError(problems)
    return Registration(tenant=tenants[0], gateways=tuple(gateways), meters=tuple(meters))


def _rows(
    table: str, rows: Any, build: Callable[[dict[str, Any]], RowT], problems: list[str]
) -> list[RowT]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        problems.append(f"{table}: expected tables")
        return []
    values = []
    for number, row in enumerate(rows, start=1):
        try:
            values.append(build(dict(row)))
        except KeyError as error:
            problems.append(f"{table} {number}: {error} is missing")
        except (InvalidValueError, TypeError) as error:
            problems.append(f"{table} {number} ({row.get('id', 'no id')}): {error}")
    return values


def _tenant(row: dict[str, Any]) -> Tenant:
    cells, tenant_id = row.pop("cells"), row.pop("id")
    if not isinstance(cells, list):
        raise InvalidValueError("cells", cells, "a list of names")
    if type(tenant_id) is not int:
        raise InvalidValueError("id", tenant_id, "a whole number")
    return Tenant(tenant_id=tenant_id, cells=tuple(cells), **row)


def _gateway(row: dict[str, Any]) -> GatewayAddress:
    return GatewayAddress(gateway=row.pop("id"), **row)


def _meter(row: dict[str, Any]) -> Meter:
    return Meter(meter_id=row.pop("id"), **row)


def _twice(table: str, names: list[str]) -> list[str]:
    return [f"{table} {name!r}: named twice" for name, n in Counter(names).items() if n > 1]


def _require_text(field: str, value: object) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= _TEXT_CHARS_MAX:
        raise InvalidValueError(field, value, f"text of 1..{_TEXT_CHARS_MAX} characters")
