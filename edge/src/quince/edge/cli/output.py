"""How a command answers: tables for people, JSON for programs; progress and errors on stderr."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")]


def present(document: Any, *, as_json: bool, shown: RenderableType) -> None:
    """Print the one or the other; `document` is made of JSON's own types."""
    if as_json:
        print(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        Console().print(shown)


def progress_console() -> Console:
    """Return where progress is shown: beside the answer, never in it."""
    return Console(stderr=True)
