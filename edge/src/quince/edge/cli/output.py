"""How a command answers: tables for people, JSON for programs; progress and errors on stderr."""

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")]


def present(document: Any, *, as_json: bool, shown: RenderableType) -> None:
    """Print the one or the other; `document` is made of JSON's own types."""
    if as_json:
        print(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        answer_console().print(shown)


def answer_console() -> Console:
    """Return where answers are shown; what a meter calls itself is text, and no markup."""
    return Console(markup=False, emoji=False)


def progress_console() -> Console:
    """Return where progress is shown: beside the answer, never in it."""
    return Console(stderr=True, markup=False, emoji=False)


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
