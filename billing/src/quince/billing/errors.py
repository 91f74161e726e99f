"""What can be wrong on the commercial side.

QuinceError
└── BillingError
    ├── UnknownRecordError      no such customer, account, tariff or bill in this tenant
    ├── NotBillableError        the period is not covered by exactly one meter, or by tariffs
    ├── IncompleteIntervalsError  intervals are missing: a bill never invents one
    ├── UsageMismatchError      the head-end answered another question than was asked
    ├── TariffChangedError      a tariff version is written once, and alone on its first day
    ├── RosterConflictError     what is kept of other accounts, or of another customer, forbids it
    └── AlreadyBilledError      another bill stands for some of these days
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from quince.model.errors import QuinceError

# A message names this many gaps and counts the rest: a dead meter has one, a bad link hundreds.
GAPS_NAMED_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Consecutive missing intervals, [start_utc, end_utc)."""

    start_utc: datetime
    end_utc: datetime

    def __str__(self) -> str:
        return f"{self.start_utc:%Y-%m-%dT%H:%MZ}..{self.end_utc:%Y-%m-%dT%H:%MZ}"


class BillingError(QuinceError):
    """Everything the commercial side refuses."""

    code: ClassVar[str] = "billing_error"


class UnknownRecordError(BillingError):
    """No such record in this tenant."""

    code: ClassVar[str] = "unknown_record"

    def __init__(self, kind: str, record_id: str) -> None:
        """Name the `kind` of record and the id that was asked for."""
        super().__init__(f"no {kind} {record_id!r}")
        self.kind = kind
        self.record_id = record_id


class NotBillableError(BillingError):
    """The contract does not say how to bill this period."""

    code: ClassVar[str] = "not_billable"


class IncompleteIntervalsError(BillingError):
    """Intervals are missing, so there is no bill."""

    code: ClassVar[str] = "incomplete_intervals"

    def __init__(self, meter_id: str, gaps: tuple[Gap, ...]) -> None:
        """Name the meter and its gaps, in order."""
        named = ", ".join(str(gap) for gap in gaps[:GAPS_NAMED_MAX])
        rest = len(gaps) - GAPS_NAMED_MAX
        more = f" and {rest} more" if rest > 0 else ""
        super().__init__(f"meter {meter_id} has no final intervals for {named}{more}")
        self.meter_id = meter_id
        self.gaps = gaps


class UsageMismatchError(BillingError):
    """The series is not the one that was asked for: another meter, channel, start or length."""

    code: ClassVar[str] = "usage_mismatch"


class TariffChangedError(BillingError):
    """A tariff version that is kept came again with other words, or another on its first day."""

    code: ClassVar[str] = "tariff_changed"


class RosterConflictError(BillingError):
    """An account would pass to another customer, or a channel measure two accounts on a day."""

    code: ClassVar[str] = "roster_conflict"


class AlreadyBilledError(BillingError):
    """A different bill of this account stands for some of these days."""

    code: ClassVar[str] = "already_billed"

    def __init__(self, account_id: str, bill_id: str) -> None:
        """Name the account and the bill that stands."""
        super().__init__(f"account {account_id} already has bill {bill_id} for some of these days")
        self.account_id = account_id
        self.bill_id = bill_id
