"""What was proven with a kind of meter: one answer to every rule, none left out in silence."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from quince.model.errors import InvalidValueError

COMMENT_CHARACTERS_MAX = 300


class Rule(StrEnum):
    """What is to be proven."""

    REGISTERS_CHECKED = "registers_checked"  # every address against the public source
    SIGN_CHECKED = "sign_checked"  # import counts what flows to the customer
    ROLLOVER_KNOWN = "rollover_known"  # where the energy registers begin at 0 again
    SIMULATED = "simulated"  # read back from the simulated meter, in the tests
    READ_FROM_REAL_METER = "read_from_real_meter"


class Status(StrEnum):
    """How a rule stands."""

    DONE = "done"
    TODO = "todo"
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How one rule stands; whoever does not meet it says why."""

    status: Status
    comment: str = ""

    def __post_init__(self) -> None:
        if self.status is not Status.DONE and not self.comment:
            raise InvalidValueError("quality.comment", self.comment, f"{self.status} says why")
        if len(self.comment) > COMMENT_CHARACTERS_MAX:
            raise InvalidValueError(
                "quality.comment", self.comment[:40], f"at most {COMMENT_CHARACTERS_MAX} characters"
            )


Quality = Mapping[Rule, Proof]
