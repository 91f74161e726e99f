"""`signal`: what the link to the head-end is worth, before the technician drives home."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from quince.edge.cli.exits import Exit
from quince.edge.cli.language import say
from quince.edge.cli.options import Config, open_config
from quince.edge.cli.output import AsJson, present, table
from quince.edge.commissioning.signal.check import Check, Outcome
from quince.edge.commissioning.signal.link import look
from quince.edge.settings import load_settings
from quince.model.clock import parse_clock

commands = typer.Typer()
_LOOKS = {
    Outcome.OK: ("ok", "green"),
    Outcome.WARNING: ("warning", "yellow"),
    Outcome.FAILED: ("does not work", "red"),
    Outcome.SKIPPED: ("skipped", "dim"),
}


@commands.command()
def signal(
    config: Config = None,
    *,
    session: Annotated[
        bool,
        typer.Option(
            "--session",
            help="Measure an MQTT session too; a gateway that runs loses its own for a moment.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at the link: radio, broker, certificates, session, outbox, clock."""
    gateway, clock = open_config(config), parse_clock(load_settings().clock)

    async def ask() -> list[Check]:
        return [check async for check in look(gateway, clock, greets=session)]

    checks = asyncio.run(ask())
    shown = table(say("check"), say("outcome"), say("measured"), say("reason"))
    for one in checks:
        measured = " ".join(f"{name}={value}" for name, value in one.measured.items())
        word, style = _LOOKS[one.outcome]
        outcome = Text(say(word), style=style)
        shown.add_row(say(one.name), outcome, measured, say(one.reason))
    present([asdict(one) for one in checks], as_json=as_json, shown=shown)
    if any(one.outcome is Outcome.FAILED for one in checks):
        raise typer.Exit(Exit.HEADEND_UNREACHABLE)
