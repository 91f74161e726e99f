"""What a command that succeeded leaves: a document for whoever asked, and readings."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quince.model.interval import RegisterReading
from quince.protocols.gateway.commands import Command

_TEXT_CHARS_MAX = 500  # a reason is a sentence or two


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result's body; `readings` go up as live ones besides."""

    body: bytes
    media: str = "application/json"
    readings: tuple[RegisterReading, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A command whose turn has come, and what its performer tells on the way.

    `begin` is called just before something is done that is never done twice: it commits that to
    disk, and raises RefusedError where it has become too late. `progress` takes parts done and
    parts in all, as often as one likes.
    """

    command: Command
    begin: Callable[[], None]
    progress: Callable[[int, int], None]


def json_body(document: dict[str, Any]) -> bytes:
    """Return a document as a result's body."""
    return json.dumps(document, separators=(",", ":")).encode()


def shown(moment_utc: datetime) -> str:
    """Return a moment as documents write it."""
    return moment_utc.isoformat(timespec="milliseconds")


def reason_of(error: Exception) -> str:
    """Return what an error says, short and printable."""
    printable = "".join(filter(str.isprintable, str(error)))
    return printable[:_TEXT_CHARS_MAX]
