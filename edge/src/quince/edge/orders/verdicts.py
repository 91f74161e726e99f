"""How a check ends: its verdict, and a reason in words.

Law: a reason is a sentence of English with names in braces, and the values apart: whoever shows
it says it in the reader's language, years later too.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from quince.protocols.visits.documents import Document

_VALUE = re.compile(r"\{([a-z_]+)\}")


class Verdict(StrEnum):
    """What a check comes to."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"  # there was nothing to check, or no way to


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check, as it came out."""

    name: str
    verdict: Verdict
    says: str
    values: Mapping[str, str | int] = field(default_factory=dict)

    def document(self) -> Document:
        """Return it as the report has it."""
        return {
            "check": self.name,
            "verdict": self.verdict.value,
            "says": self.says,
            "values": dict(self.values),
        }


def fill(sentence: str, values: Mapping[str, object]) -> str:
    """Return a sentence with its values; KeyError if one is missing.

    Not `str.format`: a sentence may come from a stranger's report, and format has a language.
    """
    return _VALUE.sub(lambda name: str(values[name[1]]), sentence)


def passed(name: str, says: str, **values: str | int) -> Check:
    """Return a check that passed."""
    return Check(name=name, verdict=Verdict.PASS, says=says, values=values)


def warned(name: str, says: str, **values: str | int) -> Check:
    """Return a check that passed, and that somebody should look at."""
    return Check(name=name, verdict=Verdict.WARN, says=says, values=values)


def failed(name: str, says: str, **values: str | int) -> Check:
    """Return a check that failed."""
    return Check(name=name, verdict=Verdict.FAIL, says=says, values=values)


def skipped(name: str, says: str, **values: str | int) -> Check:
    """Return a check that could not be made."""
    return Check(name=name, verdict=Verdict.SKIP, says=says, values=values)


def overall(checks: Iterable[Check]) -> Verdict:
    """Return the worst of them; what was skipped says nothing."""
    found = {check.verdict for check in checks}
    worst_first = (Verdict.FAIL, Verdict.WARN, Verdict.PASS)
    return next((one for one in worst_first if one in found), Verdict.SKIP)
