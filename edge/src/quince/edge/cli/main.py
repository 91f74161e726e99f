"""The command itself: every group of commands joined, in the language asked for."""

import sys

import typer

from quince.edge.cli import exits, frames, gateway, meters
from quince.edge.cli.language import speak, take_language, translate_help
from quince.edge.settings import load_settings
from quince.model.errors import QuinceError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run a gateway, or work with its meters as a technician.",
)
for group in (gateway, meters, frames):
    app.add_typer(group.commands)


def main() -> None:
    """Run the command; an error is one line on stderr, and its kind the exit code."""
    try:
        language, sys.argv[1:] = take_language(sys.argv[1:], load_settings().lang)
        speak(language)
        command = typer.main.get_command(app)
        translate_help(command)
        command()
    except QuinceError as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        sys.exit(exits.exit_code(error))
