"""The command itself: every group of commands joined, in the language asked for."""

import sqlite3
import sys
from typing import Annotated

import structlog
import typer

from quince.edge.cli import (
    enrol,
    exits,
    frames,
    gateway,
    line,
    link,
    meters,
    orders,
    telling,
    upkeep,
    visits,
    watching,
)
from quince.edge.cli.language import speak, take_language, translate_help
from quince.edge.cli.trouble import advice
from quince.edge.settings import load_settings
from quince.model.errors import QuinceError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for group in (gateway, enrol, meters, watching, telling, line, link, visits, frames, upkeep):
    app.add_typer(group.commands)
app.add_typer(telling.keys, name="keys")
app.add_typer(orders.commands, name="orders")


@app.callback()
def _everywhere(
    _lang: Annotated[
        str | None, typer.Option("--lang", help="es or en, anywhere on the line.")
    ] = None,
) -> None:
    """Run a gateway, or work with its meters as a technician."""  # `main` takes --lang away


def main() -> None:
    """Run the command; an error is one line on stderr, and its kind the exit code."""
    # What is logged is no answer; and the stream is looked up late, for it may be replaced.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    try:
        language, sys.argv[1:] = take_language(sys.argv[1:], load_settings().lang)
        speak(language)
        command = typer.main.get_command(app)
        translate_help(command)
        command()
    except QuinceError as error:
        what = advice(error)
        sys.stderr.write(f"{error.code}: {error}\n" + (f"→ {what}\n" if what else ""))
        sys.exit(exits.exit_code(error))
    except (OSError, sqlite3.Error) as error:  # a disk that is full, a file of somebody else's
        sys.stderr.write(f"system: {error}\n")
        sys.exit(exits.Exit.CHECK_FAILED)
