"""quince-firmware-sims: meters to read, on this machine."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import structlog
import typer

from quince.firmware_sims.scenario import Scenario, load_scenario, play
from quince.firmware_sims.settings import load_settings
from quince.model.clock import Clock, parse_clock
from quince.model.command import run_command

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)

_LOG_LINES = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(),
)


@app.command()
def run(
    scenario: Annotated[Path | None, typer.Option(help="which meters, on which lines")] = None,
) -> None:
    """Serve the scenario's meters until stopped."""
    settings = load_settings()
    structlog.configure(processors=[*_LOG_LINES])
    meters = load_scenario(scenario or settings.scenario)
    asyncio.run(_play(meters, parse_clock(settings.clock)))


@app.command()
def settings() -> None:
    """Print the settings in force."""
    for name, value in load_settings():
        print(f"{name} = {value}")


def main() -> None:
    """Run the command."""
    run_command(app)


async def _play(scenario: Scenario, clock: Clock) -> None:
    playing = asyncio.ensure_future(play(scenario, clock))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, playing.cancel)
    await asyncio.wait([playing])
    if not playing.cancelled():
        playing.result()
