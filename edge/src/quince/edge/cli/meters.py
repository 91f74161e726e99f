"""Commands that ask one meter, and change nothing."""

import asyncio
import csv
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType

from quince.edge.cli.language import say
from quince.edge.cli.options import Asked, asks_a_meter
from quince.edge.cli.output import AsJson, grid, moment, present, table
from quince.edge.errors import UnsupportedError
from quince.edge.profiles.catalogue import load_profile, markdown, profile_names, rows
from quince.edge.readers.reader import Instrument, ProfilePiece, register_unit
from quince.edge.settings import load_settings
from quince.model.clock import parse_clock
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP, floor_boundary
from quince.model.obis import Obis
from quince.model.quality import Quality

commands = typer.Typer()

From = Annotated[
    str | None, typer.Option("--from", help="The first moment, ISO 8601; UTC if it does not say.")
]
To = Annotated[str | None, typer.Option("--to", help="The last moment; now if absent.")]
_UNTOLD = "—"
_YEARS = (1990, 2100)  # no meter has rows of any other
STRETCH_MAX = timedelta(days=400)  # a year and a bit; what is longer is asked for in parts
# By value groups C, as the sum has it, and D.
QUANTITIES = {
    (1, 8): "Active import",
    (2, 8): "Active export",
    (3, 8): "Reactive import",
    (4, 8): "Reactive export",
    (1, 7): "Power drawn",
    (2, 7): "Power fed in",
    (3, 7): "Reactive power +",
    (4, 7): "Reactive power −",
    (9, 7): "Apparent power",
    (11, 7): "Current",
    (12, 7): "Voltage",
    (13, 7): "Power factor",
    (14, 7): "Frequency",
    (16, 7): "Power",
}
_DAY, _MONTH = timedelta(days=1), timedelta(days=30)


@commands.command()
@asks_a_meter
def identify(asked: Asked, *, as_json: AsJson = False) -> None:
    """Show who a meter says it is, and what its transformers are."""

    async def ask() -> dict[str, Any]:
        async with asked.open() as instrument:
            identity = asdict(await instrument.identify())
            return {**identity, "transformers": await _transformers(instrument)}

    document = asyncio.run(ask())
    present(document, as_json=as_json, shown=_identity(document))


@commands.command()
@asks_a_meter
def read(
    asked: Asked,
    *,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[OBIS]...", help="Only these, as 1-0:1.8.0.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show who a meter is, and its clock and registers as they are now; or what is named."""
    if names:
        codes = [Obis.parse(name) for name in names]
        values = asyncio.run(_values(asked, codes))
        present(values, as_json=as_json, shown=_named(values))
        return
    document = asyncio.run(_read(asked))
    present(document, as_json=as_json, shown=_reading(document))


@commands.command()
@asks_a_meter
def objects(asked: Asked, *, as_json: AsJson = False) -> None:
    """List what a meter has to be read."""

    async def ask() -> list[dict[str, Any]]:
        async with asked.open() as instrument:
            return [asdict(one) for one in await instrument.objects()]

    document = asyncio.run(ask())
    shown = table(say("object"), say("kind"), say("read"), say("write"), say("place or value"))
    for one in document:
        shown.add_row(
            one["name"],
            one["kind"],
            ",".join(map(str, one["readable"])),
            ",".join(map(str, one["writable"])),
            one["place"] or one["value"],
        )
    present(document, as_json=as_json, shown=shown)


@commands.command()
@asks_a_meter
def profile(
    asked: Asked,
    *,
    start: From = None,
    end: To = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Lines for a spreadsheet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the quarter-hours of a meter's load profile; those of the last day unless named."""
    start_utc, end_utc = _stretch(start, end, _DAY)
    start_utc, end_utc = floor_boundary(start_utc), floor_boundary(end_utc)

    async def ask() -> ProfilePiece:
        async with asked.open() as instrument:
            return await instrument.intervals(start_utc, end_utc)

    document = _intervals(asyncio.run(ask()))
    if as_csv:
        _print_csv(document)
    else:
        present(document, as_json=as_json, shown=_profile_table(document))


@commands.command()
@asks_a_meter
def events(asked: Asked, *, start: From = None, end: To = None, as_json: AsJson = False) -> None:
    """Show what a meter's event logs say; of the last 30 days unless named."""
    start_utc, end_utc = _stretch(start, end, _MONTH)

    async def ask() -> list[dict[str, Any]]:
        async with asked.open() as instrument:
            return [
                {
                    "at": one.at_utc.isoformat(),
                    "log": str(one.log),
                    "code": one.code,
                    "text": one.text,
                }
                for one in await instrument.events(start_utc, end_utc)
            ]

    document = asyncio.run(ask())
    shown = table(say("time"), say("log"), say("code"), say("event"))
    for one in document:
        shown.add_row(_at(one["at"]), one["log"], str(one["code"]), say(one["text"]))
    present(document, as_json=as_json, shown=shown)


@commands.command()
def profiles() -> None:
    """Print which Modbus meters are known, and what was proven with each, as a Markdown table."""
    print(markdown(rows({name: load_profile(name) for name in profile_names()})))


# -- documents ---------------------------------------------------------------------------


async def _read(asked: Asked) -> dict[str, Any]:
    async with asked.open() as instrument:
        return {
            "identity": asdict(await instrument.identify()),
            "clock": await _clock(instrument),
            "registers": [
                {
                    "obis": str(one.obis),
                    "value": one.value,
                    "unit": register_unit(one.obis),
                    "at": one.at_utc.isoformat(),
                }
                for one in await instrument.registers()
            ],
            "momentaries": await _momentaries(instrument),
        }


async def _values(asked: Asked, names: list[Obis]) -> list[dict[str, str]]:
    async with asked.open() as instrument:
        return [
            {"obis": str(one.obis), "value": one.value, "unit": one.unit}
            for one in await instrument.values(names)
        ]


async def _clock(instrument: Instrument) -> str | None:
    try:
        return (await instrument.clock()).isoformat()
    except UnsupportedError:
        return None


async def _transformers(instrument: Instrument) -> dict[str, Any] | None:
    try:
        return asdict(await instrument.transformers())
    except UnsupportedError:
        return None


async def _momentaries(instrument: Instrument) -> list[dict[str, Any]]:
    try:
        found = await instrument.momentaries()
    except UnsupportedError:
        return []
    return [
        {"obis": str(one.obis), "thousandths": one.thousandths, "unit": one.unit} for one in found
    ]


def _intervals(piece: ProfilePiece) -> list[dict[str, Any]]:
    """Return one document for each quarter-hour, with the values of all channels."""
    channels = (piece.series, *piece.others)
    return [
        {
            "start": (piece.series.start_utc + i * STEP).isoformat(),
            "values": {str(one.obis): one.values[i] for one in channels},
            "quality": _quality(piece.series.quality[i]),
        }
        for i in range(len(piece.series.values))
    ]


def _quality(quality: Quality) -> list[str]:
    return [str(flag.name).lower() for flag in Quality if flag and flag in quality]


# -- tables ------------------------------------------------------------------------------


def _identity(document: dict[str, Any]) -> RenderableType:
    names = ("serial", "maker", "model", "firmware")
    rows = [(say(name), document[name] or _UNTOLD) for name in names]
    told = document["transformers"]
    if told is not None:
        rows += [
            (say("current transformers"), told["current"] or _UNTOLD),
            (say("voltage transformers"), told["voltage"] or _UNTOLD),
            (say("gateway multiplies by"), str(told["gateway_ratio"])),
        ]
    return grid(rows)


def _reading(document: dict[str, Any]) -> RenderableType:
    shown = grid((say(name), value or _UNTOLD) for name, value in document["identity"].items())
    clock = document["clock"]
    shown.add_row(say("clock"), _UNTOLD if clock is None else _at(clock))
    values = table(say("name"), say("quantity"), "", "", say("time"))
    for column in (2, 3):
        values.columns[column].no_wrap = True
    values.columns[2].justify = "right"
    for one in document["registers"]:
        value = str(one["value"])
        values.add_row(one["obis"], _quantity(one["obis"]), value, one["unit"], _at(one["at"]))
    for one in document["momentaries"]:
        value = f"{one['thousandths'] / 1000:.3f}"
        values.add_row(one["obis"], _quantity(one["obis"]), value, one["unit"], "")
    return Group(shown, "", values)


def _named(values: list[dict[str, str]]) -> RenderableType:
    return grid((one["obis"], f"{one['value']} {one['unit']}".strip()) for one in values)


def _quantity(name: str) -> str:
    """Return a name in words: what is measured, of which phase, at which rate."""
    obis = Obis.parse(name)
    phase, kind = divmod(obis.c - 1, 20)
    words = QUANTITIES.get((kind + 1, obis.d))
    if words is None or phase > 3:  # noqa: PLR2004 - beyond L3 C means something else
        return ""
    parts = (say(words), f"L{phase}" if phase else "", f"T{obis.e}" if obis.e else "")
    return " ".join(filter(None, parts))


def _at(text: str) -> str:
    return moment(datetime.fromisoformat(text))


def _profile_table(document: list[dict[str, Any]]) -> RenderableType:
    channels = list(document[0]["values"]) if document else []
    shown = table(say("start"), *channels, say("quality"))
    for column in shown.columns[1:-1]:
        column.justify = "right"
    for one in document:
        values = ["—" if value is None else str(value) for value in one["values"].values()]
        shown.add_row(_at(one["start"]), *values, " ".join(say(name) for name in one["quality"]))
    return shown


def _print_csv(document: list[dict[str, Any]]) -> None:
    lines = csv.writer(sys.stdout)
    channels = list(document[0]["values"]) if document else []
    lines.writerow(["start", *channels, "quality"])
    for one in document:
        lines.writerow([one["start"], *one["values"].values(), "+".join(one["quality"])])


# -- moments -----------------------------------------------------------------------------


def _stretch(start: str | None, end: str | None, usual: timedelta) -> tuple[datetime, datetime]:
    """Return the stretch asked for; `usual` until now where nothing is said."""
    now_utc = parse_clock(load_settings().clock).now_utc()
    end_utc = now_utc if end is None else _moment("--to", end)
    start_utc = end_utc - usual if start is None else _moment("--from", start)
    if start_utc >= end_utc:
        raise InvalidValueError("--from", start_utc.isoformat(), "before the last moment")
    if end_utc - start_utc > STRETCH_MAX:
        reason = f"at most {STRETCH_MAX.days} days before the last moment"
        raise InvalidValueError("--from", start_utc.isoformat(), reason)
    return start_utc, end_utc


def _moment(option: str, text: str) -> datetime:
    try:
        named = datetime.fromisoformat(text)
        named_utc = named.replace(tzinfo=named.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValueError(option, text, "a moment, as 2026-05-02T06:00Z") from None
    if not _YEARS[0] <= named_utc.year <= _YEARS[1]:
        raise InvalidValueError(option, text, f"a year from {_YEARS[0]} to {_YEARS[1]}")
    return named_utc
