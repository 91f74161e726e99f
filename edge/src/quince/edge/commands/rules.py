"""Which command may begin, as pure functions.

Law: nothing is begun that is late, or for another gateway; a supply is switched only as it was
armed to be, minutes ago, by the command that the confirming one names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from quince.model.errors import QuinceError
from quince.protocols.gateway.commands import Command

# The head-end's clock and ours, both set by time servers, do not differ by more on a good day.
CLOCK_DIFFERENCE_MAX = timedelta(minutes=5)
ARM_S_MAX = 600.0  # a person looks at what was armed and confirms; nobody does that tomorrow
# As long as a broker may still repeat an expired command, or a retained one comes again.
KEPT_AFTER = timedelta(days=1)


class Refusal(StrEnum):
    """Why a command that was believed is not begun, or not finished: stable codes."""

    EXPIRED = "expired"
    FROM_THE_FUTURE = "from_the_future"
    TOO_MANY = "too_many_commands"
    NOT_ARMED = "not_armed"
    CLOCK_STEP = "clock_step_too_large"
    REVISION = "revision_not_higher"
    NO_KEY = "no_gateway_key"
    NO_DOOR = "no_headend_door"
    FIRMWARE = "firmware_differs"
    INTERRUPTED = "interrupted"


class RefusedError(QuinceError):
    """A command that cannot be begun; nothing was done."""

    code: ClassVar[str] = "refused"

    def __init__(self, refusal: Refusal, reason: str) -> None:
        """Give the stable code and the `reason`, in words one can act on."""
        super().__init__(reason)
        self.refusal = refusal


def require_timely(command: Command, now_utc: datetime) -> None:
    """RefusedError for a command that is late, or of a time that has not come."""
    if now_utc > command.not_after_utc:
        raise RefusedError(Refusal.EXPIRED, f"not after {command.not_after_utc.isoformat()}")
    if command.issued_utc - now_utc > CLOCK_DIFFERENCE_MAX:
        raise RefusedError(
            Refusal.FROM_THE_FUTURE,
            f"issued {command.issued_utc.isoformat()}; the gateway's clock shows "
            f"{now_utc.isoformat()}",
        )


def is_of_old(command: Command, now_utc: datetime) -> bool:
    """Say whether nobody waits for an answer any more; such a command may have been forgotten."""
    return now_utc > command.not_after_utc + KEPT_AFTER


def forget_after(command: Command, now_utc: datetime) -> datetime:
    """Return until when a command is known, so that its repetition changes nothing."""
    return max(command.not_after_utc, now_utc) + KEPT_AFTER


def require_step(difference_s: float, step_s_max: int) -> None:
    """RefusedError if a clock is off by more than it may be set by."""
    if abs(difference_s) > step_s_max:
        raise RefusedError(Refusal.CLOCK_STEP, f"off by {difference_s} s; at most {step_s_max} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A supply made ready to be switched, until a moment of the monotonic clock."""

    by: bytes
    on: bool
    until_s: float


def require_armed(arms: Mapping[str, Arm], meter_id: str, *, armed_by: bytes, now_s: float) -> Arm:
    """Return the arm that a confirmation means; RefusedError if it is not there, or over."""
    arm = arms.get(meter_id)
    if arm is None or arm.by != armed_by:
        raise RefusedError(Refusal.NOT_ARMED, "the switch was not made ready by that command")
    if now_s > arm.until_s:
        raise RefusedError(Refusal.NOT_ARMED, f"it was ready for {ARM_S_MAX:.0f} s, and is no more")
    return arm
