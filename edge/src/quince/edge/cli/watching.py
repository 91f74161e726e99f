"""`watch`: what a meter sees of each phase, again and again, and what it hints at."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from quince.edge.cli.language import say
from quince.edge.cli.options import Asked, asks_a_meter
from quince.edge.cli.output import AsJson, answer_console, table
from quince.edge.commissioning.hints import Hint, Kind, hints
from quince.edge.commissioning.phases import Phase, Picture, picture

commands = typer.Typer()

Show = Callable[[Picture, list[Hint]], None]


@commands.command()
@asks_a_meter
def watch(
    asked: Asked,
    *,
    count: Annotated[int | None, typer.Option(min=1, help="So many times; else for ever.")] = None,
    every_s: Annotated[
        float, typer.Option("--every", min=0, max=3600, help="Seconds between two looks.")
    ] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Watch voltage, current and power of each phase, and say what looks wrong."""
    try:
        if as_json:
            asyncio.run(_watch(asked, count, every_s, _print))
        elif answer_console().is_terminal:
            with Live(console=answer_console(), auto_refresh=False) as live:

                def show(shown: Picture, found: list[Hint]) -> None:
                    live.update(_view(shown, found), refresh=True)

                asyncio.run(_watch(asked, count, every_s, show))
        else:
            asyncio.run(_watch(asked, count, every_s, _append))
    except KeyboardInterrupt:
        return  # how watching ends


async def _watch(asked: Asked, count: int | None, every_s: float, show: Show) -> None:
    looks = 0
    async with asked.open_as(asked.meter()) as instrument:
        while True:
            shown = picture(await instrument.momentaries())
            show(shown, hints(shown))
            looks += 1
            if looks == count:
                return
            await asyncio.sleep(every_s)


def _print(shown: Picture, found: list[Hint]) -> None:
    print(json.dumps(asdict(shown) | {"hints": [asdict(hint) for hint in found]}), flush=True)


def _append(shown: Picture, found: list[Hint]) -> None:
    """Show one look below the other: a file, or a terminal that cannot go back."""
    answer_console().print(_view(shown, found))


def _view(shown: Picture, found: list[Hint]) -> RenderableType:
    phases = table("", "V", "A", "W", "var", "cos φ", "φ")
    for column in phases.columns[1:]:
        column.justify = "right"
    for phase in shown.phases:
        phases.add_row(*_cells(phase))
    phases.add_row("Σ", "", "", _thousandths(shown.power_mw, 0), "", "", "")
    lines = [Text("! " + _words(hint), style="yellow") for hint in found]
    return Group(phases, *(lines or [Text(say("Nothing looks wrong."), style="green")]))


def _cells(phase: Phase) -> list[str]:
    return [
        f"L{phase.number}",
        _thousandths(phase.voltage_mv, 1),
        _thousandths(phase.current_ma, 2),
        _thousandths(phase.power_mw, 0),
        _thousandths(phase.reactive_mvar, 0),
        "" if phase.factor is None else f"{phase.factor:.2f}",
        "" if phase.angle_deg is None else f"{phase.angle_deg:.0f}°",
    ]


def _thousandths(value: int | None, digits: int) -> str:
    return "" if value is None else f"{value / 1000:.{digits}f}"


def _words(hint: Hint) -> str:
    phases = ", ".join(f"L{number}" for number in hint.phases)
    match hint.kind:
        case Kind.MISSING_PHASE:
            return say("{phases}: no voltage. A fuse, or a loose terminal?", phases=phases)
        case Kind.UNBALANCED_VOLTAGE:
            return say("{phases}: voltage far from the others'. The neutral?", phases=phases)
        case Kind.REVERSED_CT:
            return say(
                "{phases}: feeds in while others draw. Is its transformer the wrong way round?",
                phases=phases,
            )
        case Kind.SWAPPED_PHASES:
            return say(
                "{phases}: currents a third of a turn off, to either side. Swapped transformers?",
                phases=phases,
            )
        case Kind.ROTATED_PHASES:
            return say(
                "{phases}: all currents a third of a turn off. Is each on the next phase?",
                phases=phases,
            )
        case Kind.ALL_FEED_IN:
            return say(
                "{phases}: all feed in. Generation, or every transformer the wrong way round?",
                phases=phases,
            )
