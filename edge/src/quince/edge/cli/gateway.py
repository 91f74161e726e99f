"""Commands of the gateway itself: run it, and see what it stands on."""

import asyncio

import structlog
import typer
from rich.table import Table

from quince.edge.cli.options import Config, open_config
from quince.edge.cli.output import AsJson, present
from quince.edge.settings import load_settings
from quince.edge.wiring import run as run_gateway
from quince.model.clock import parse_clock

commands = typer.Typer()


@commands.command()
def run(config: Config = None) -> None:
    """Read the meters and deliver what they say, until stopped."""
    structlog.configure(processors=[*_LOG_LINES])
    asyncio.run(run_gateway(open_config(config), parse_clock(load_settings().clock)))


@commands.command()
def settings(*, as_json: AsJson = False) -> None:
    """Show the settings in force."""
    document = {name: str(value) for name, value in load_settings()}
    table = Table.grid(padding=(0, 2))
    for name, value in document.items():
        table.add_row(name, value)
    present(document, as_json=as_json, shown=table)


_LOG_LINES = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(),
)
