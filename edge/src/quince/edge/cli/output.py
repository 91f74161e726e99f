"""How a command answers: tables for people, JSON for programs; the rest is on stderr.

The rest are progress, questions and errors.
"""

import getpass
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table

from quince.edge.cli.language import say

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")]


def present(document: Any, *, as_json: bool, shown: RenderableType) -> None:
    """Print the one or the other; `document` is made of JSON's own types."""
    if as_json:
        print(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        answer_console().print(shown, crop=False)  # what is to be copied is wider than it


def answer_console() -> Console:
    """Return where answers are shown; what a meter calls itself is text, and no markup."""
    return Console(markup=False, emoji=False)


def progress_console() -> Console:
    """Return where progress is shown: beside the answer, never in it."""
    return Console(stderr=True, markup=False, emoji=False)


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Show that something is going on; nothing where nobody watches a terminal."""
    console = progress_console()
    if not console.is_terminal:
        yield
        return
    with console.status(text):
        yield


def confirms(question: str) -> bool:
    """Ask; whoever says nothing, or is nobody, has not said yes."""
    no_is_usual = say("[y/N]")
    answer = _answer(f"{question} {no_is_usual} ").strip().casefold()
    return answer in {"y", "yes", "s", "si", "sí"}


def wait_for_enter(text: str) -> None:
    """Go on when somebody is ready."""
    _answer(f"{text} ")


def ask_secret(text: str) -> str:
    """Return what somebody types unseen, or a program's line."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{text}: ")
    return sys.stdin.readline().strip()


def _answer(text: str) -> str:
    """Return a line; typer.Abort where nobody can answer."""
    sys.stderr.write(text)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        sys.stderr.write("\n" + say("Nobody answers; `--yes` does without.") + "\n")
        raise typer.Abort
    return line


def moment(at_utc: datetime) -> str:
    """Return a moment as people read it: whole seconds, UTC."""
    return at_utc.strftime("%Y-%m-%d %H:%M:%SZ")


def table(*titles: str) -> Table:
    """Return a table with a head and no lines, so that a terminal of any kind can show it."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        made.add_column(title, overflow="fold")
    return made


def grid(rows: Iterable[tuple[str, str]]) -> Table:
    """Return names and what they are, one below the other."""
    made = Table.grid(padding=(0, 2))
    for name, value in rows:
        made.add_row(name, value)
    return made
