"""Commands that ask one meter, and change nothing."""

import asyncio
import csv
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from quince.edge.cli.language import say
from quince.edge.cli.options import Asked, asks_a_meter
from quince.edge.cli.output import AsJson, grid, present, table
from quince.edge.errors import UnsupportedError
from quince.edge.profiles.catalogue import load_profile, markdown, profile_names, rows
from quince.edge.readers.reader import Instrument, ProfilePiece
from quince.edge.settings import load_settings
from quince.model.clock import parse_clock
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP, floor_boundary
from quince.model.quality import Quality

commands = typer.Typer()

From = Annotated[
    str | None, typer.Option("--from", help="The first moment, ISO 8601; UTC if it does not say.")
]
To = Annotated[str | None, typer.Option("--to", help="The last moment; now if absent.")]
_DAY, _MONTH = timedelta(days=1), timedelta(days=30)


@commands.command()
@asks_a_meter
def identify(asked: Asked, *, as_json: AsJson = False) -> None:
    """Show who a meter says it is."""

    async def ask() -> dict[str, str]:
        async with asked.open() as instrument:
            return asdict(await instrument.identify())

    document = asyncio.run(ask())
    present(document, as_json=as_json, shown=_identity(document))


@commands.command()
@asks_a_meter
def read(asked: Asked, *, as_json: AsJson = False) -> None:
    """Show who a meter is, and its clock and registers as they are now."""
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
        shown.add_row(one["at"], one["log"], str(one["code"]), say(one["text"]))
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
            "clock": (await instrument.clock()).isoformat(),
            "registers": [
                {"obis": str(one.obis), "value": one.value, "at": one.at_utc.isoformat()}
                for one in await instrument.registers()
            ],
            "momentaries": await _momentaries(instrument),
        }


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


def _identity(identity: dict[str, str]) -> RenderableType:
    return grid((say(name), value) for name, value in identity.items())


def _reading(document: dict[str, Any]) -> RenderableType:
    shown = grid((say(name), value) for name, value in document["identity"].items())
    shown.add_row(say("clock"), document["clock"])
    for one in document["registers"]:
        shown.add_row(one["obis"], f"{one['value']}", one["at"])
    for one in document["momentaries"]:
        shown.add_row(one["obis"], f"{one['thousandths'] / 1000:.3f} {one['unit']}")
    return shown


def _profile_table(document: list[dict[str, Any]]) -> RenderableType:
    channels = list(document[0]["values"]) if document else []
    shown = table(say("start"), *channels, say("quality"))
    for one in document:
        values = ["—" if value is None else str(value) for value in one["values"].values()]
        shown.add_row(one["start"], *values, " ".join(say(name) for name in one["quality"]))
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
    return start_utc, end_utc


def _moment(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValueError(option, text, "a moment, as 2026-05-02T06:00Z") from None
