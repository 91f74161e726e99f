"""Commands of the gateway itself: run it, and see what it stands on."""

import os
import sys

import typer
from rich.table import Table

from quince.edge.cli.options import Config
from quince.edge.cli.output import AsJson, present
from quince.edge.settings import load_settings, service_manager
from quince.model.clock import parse_clock

commands = typer.Typer()


@commands.command()
def run(config: Config = None) -> None:
    """Read the meters and deliver what they say, until stopped."""
    own = load_settings()
    parse_clock(own.clock)
    # All of this tool's libraries are left behind: they are 5 MiB of the 64 a gateway may hold.
    words = (str(config or own.config), own.clock, service_manager() or "")
    os.execv(sys.executable, (sys.executable, "-m", "quince.edge.daemon", *words))  # noqa: S606 - no shell is the point


@commands.command()
def settings(*, as_json: AsJson = False) -> None:
    """Show the settings in force."""
    document = {name: str(value) for name, value in load_settings()}
    table = Table.grid(padding=(0, 2))
    for name, value in document.items():
        table.add_row(name, value)
    present(document, as_json=as_json, shown=table)
