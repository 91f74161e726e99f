"""One look at the link: what was looked at, how it went, and what was measured."""

from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """How it went; a warning will be a failure one day."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`name` is stable; `reason` says why it is not well; `measured` are names with their units."""

    name: str
    outcome: Outcome
    reason: str = ""
    measured: dict[str, float | str] = field(default_factory=dict)
