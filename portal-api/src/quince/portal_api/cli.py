"""quince-portal-api: serve the customers' API."""

import asyncio

import typer

from quince.headend.platform.logging import configure_logging
from quince.model.command import run_command
from quince.portal_api.settings import load_settings
from quince.portal_api.wiring import serve as serve_portal

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)


@app.command()
def serve() -> None:
    """Serve until stopped."""
    configure_logging()
    asyncio.run(serve_portal(load_settings()))


@app.command()
def settings() -> None:
    """Print the settings in force."""
    for name, value in load_settings():
        print(f"{name} = {value}")


def main() -> None:
    """Run the command."""
    run_command(app)
