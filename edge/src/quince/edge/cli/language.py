"""Spanish beside English: texts are written in English, and looked up by it in a catalogue.

The language is `--lang es` anywhere on the line, else `QUINCE_EDGE_LANG`, else the terminal's.
"""

import tomllib
from collections.abc import Sequence
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import get_args

from typer import Context
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from quince.edge.settings import Language
from quince.model.errors import InvalidValueError

LANGUAGES: tuple[Language, ...] = get_args(Language)
_language: ContextVar[Language] = ContextVar("language", default="en")


def say(text: str, **values: object) -> str:
    """Return `text` in the language of this command, with `values` filled in."""
    found = spanish().get(text, text) if _language.get() == "es" else text
    return found.format(**values) if values else found


def speak(language: Language) -> None:
    """Say everything of this command in `language`."""
    _language.set(language)


def spoken() -> Language:
    """Return the language of this command."""
    return _language.get()


def take_language(arguments: Sequence[str], default: Language) -> tuple[Language, list[str]]:
    """Return what `--lang` says, wherever it stands, and the other arguments."""
    # `--lang=es` is two words written as one.
    rest = [word for one in arguments for word in _apart(one)]
    if "--lang" not in rest:
        return default, rest
    place = rest.index("--lang")
    chosen = "".join(rest[place + 1 : place + 2])
    for language in LANGUAGES:
        if chosen == language:
            return language, rest[:place] + rest[place + 2 :]
    raise InvalidValueError("--lang", chosen, f"one of {', '.join(LANGUAGES)}")


def _apart(word: str) -> list[str]:
    name, sign, value = word.partition("=")
    return [name, value] if sign and name == "--lang" else [word]


def translate_help(command: object) -> None:
    """Put every help text of a command, and of those under it, into the language chosen."""
    if not isinstance(command, TyperCommand | TyperGroup):
        return
    command.help = say(command.help) if command.help else command.help
    command.rich_help_panel = say("Commands")
    own_help = command.get_help_option(Context(command))
    for parameter in filter(None, (*command.params, own_help)):
        if isinstance(parameter, TyperOption | TyperArgument):
            is_option = isinstance(parameter, TyperOption)
            parameter.rich_help_panel = say("Options") if is_option else say("Arguments")
            parameter.help = say(parameter.help) if parameter.help else parameter.help
    if isinstance(command, TyperGroup):
        for one in command.commands.values():
            translate_help(one)


@cache
def spanish() -> dict[str, str]:
    """Return the catalogue: English text to Spanish, one file for each module of commands."""
    texts: dict[str, str] = {}
    for file in sorted(files("quince.edge.cli.spanish").iterdir(), key=lambda one: one.name):
        if file.name.endswith(".toml"):
            texts |= tomllib.loads(file.read_text(encoding="utf-8"))
    return texts
