"""A command as the head-end keeps it, who may ask for it alone, and where it goes from here.

Law: what cuts a supply, changes a meter's program or its keys needs two persons, above a cap.
"""

import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum

from quince.headend.identity.rules import PERSON_CHARS_MAX
from quince.model.errors import InvalidValueError
from quince.protocols.gateway.commands import (
    COMMAND_BYTES_MAX,
    ActivateFirmware,
    ArmSupply,
    ChangeKey,
    Command,
    Configure,
    ConfirmSupply,
    Diagnose,
    Operation,
    ReadClock,
    ReadNow,
    ReadProfile,
    SetClock,
    TransferFirmware,
    encode_command,
)
from quince.protocols.gateway.messages import CommandResult, Stage

REASON_CHARS_MAX = 500
HEAD_END = "head-end"  # who acts where no person does
APPROVAL_LIFE = timedelta(hours=24)  # then nobody remembers why it was asked for
RESULT_LIFE = timedelta(days=7)  # as long as brokers keep messages; a later result still counts
ALONE_WINDOW = timedelta(hours=1)
# How long a switch stays armed. The gateway's own bound decides; this one saves a vain command.
ARM_LIFE = timedelta(minutes=10)
# Between two publications of what a gateway has not accepted: the broker may have lost it. The
# first pauses are short for a person who waits, the longest is one message for four an hour.
PAUSES_S = (15, 30, 60, 120, 300, 900)
ARMING_PAUSE = timedelta(seconds=1)
_SEAL_OCTETS = 65 + 16  # an ephemeral point and a tag; the rest of a command is a few hundred
_CONFIGURATION_BYTES_MAX = COMMAND_BYTES_MAX - _SEAL_OCTETS - 1_024

# How long after it was cleared a command may still begin. Someone waits for a reading; a switch
# or a key must not change when nobody remembers; an image takes a night on a slow line; a
# configuration waits for a gateway that is in its box.
LIVES: Mapping[type[Operation], timedelta] = {
    ReadNow: timedelta(minutes=10),
    ReadProfile: timedelta(hours=6),
    ReadClock: timedelta(minutes=10),
    SetClock: timedelta(minutes=10),
    ArmSupply: ARM_LIFE,
    ConfirmSupply: 2 * ARM_LIFE,  # it may wait for its arming
    TransferFirmware: timedelta(hours=24),
    ActivateFirmware: timedelta(hours=1),
    ChangeKey: timedelta(hours=1),
    Configure: timedelta(days=30),
    Diagnose: timedelta(hours=1),
}


class Danger(StrEnum):
    """What a command can do that a second person should have thought about."""

    DISCONNECT = "disconnect"
    FIRMWARE = "firmware"
    KEY = "key"


class State(StrEnum):
    """How far a command is."""

    REQUESTED = "requested"  # waits for a second person
    READY = "ready"  # cleared, not published yet
    PUBLISHED = "published"
    ACCEPTED = "accepted"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        """Whether something is still to come."""
        return self in {State.REQUESTED, State.READY, State.PUBLISHED, State.ACCEPTED}

    @property
    def is_told(self) -> bool:
        """Whether it is the gateway's last word, which nothing changes.

        `expired` and `cancelled` are our own: a gateway that acted all the same is believed.
        """
        return self in {State.DONE, State.REFUSED, State.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who asks or approves. Names that differ in case or spacing only are one person's."""

    name: str

    def __post_init__(self) -> None:
        plain = " ".join(unicodedata.normalize("NFC", self.name).split())
        if not 1 <= len(plain) <= PERSON_CHARS_MAX or not plain.isprintable():
            raise InvalidValueError("by", self.name, f"1..{PERSON_CHARS_MAX} printable characters")
        if _folded(plain) == HEAD_END:
            raise InvalidValueError("by", self.name, "the audit's word for no person")
        object.__setattr__(self, "name", plain)

    def is_same_as(self, other: "Person") -> bool:
        """Whether both names are one person's."""
        return _folded(self.name) == _folded(other.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCommand:
    """A command and everything the head-end knows about its way.

    `command` bears its last moment from `ready_utc` on; before that it only shows what was asked.
    """

    tenant_id: int
    command: Command
    state: State
    requested_by: Person
    reason: str
    requested_utc: datetime
    danger: Danger | None = None
    approved_by: Person | None = None
    ready_utc: datetime | None = None
    publications: int = 0
    next_publication_utc: datetime | None = None
    ended_utc: datetime | None = None
    code: str = ""
    detail: str = ""
    parts_done: int = 0
    parts: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.reason.strip()) <= REASON_CHARS_MAX or not self.reason.isprintable():
            raise InvalidValueError(
                "reason", self.reason, f"1..{REASON_CHARS_MAX} printable characters"
            )
        octets = len(encode_command(self.command))
        if octets > COMMAND_BYTES_MAX:
            raise InvalidValueError("command", octets, f"at most {COMMAND_BYTES_MAX} octets")

    def cleared(self, now_utc: datetime, approved_by: Person | None = None) -> "KeptCommand":
        """Return it ready to be published; its life begins."""
        life = LIVES[type(self.command.operation)]
        return replace(
            self,
            command=replace(self.command, issued_utc=now_utc, not_after_utc=now_utc + life),
            state=State.READY,
            approved_by=approved_by,
            ready_utc=now_utc,
            next_publication_utc=now_utc,
        )

    def published(self, now_utc: datetime) -> "KeptCommand":
        """Return it once more published, with the pause until the next time."""
        pause_s = PAUSES_S[min(self.publications, len(PAUSES_S) - 1)]
        return replace(
            self,
            state=State.PUBLISHED,
            publications=self.publications + 1,
            next_publication_utc=now_utc + timedelta(seconds=pause_s),
        )

    def waiting(self, now_utc: datetime) -> "KeptCommand":
        """Return it to be looked at again soon: its arming is under way."""
        return replace(self, next_publication_utc=now_utc + ARMING_PAUSE)

    def ended(
        self, state: State, now_utc: datetime, *, code: str, detail: str = ""
    ) -> "KeptCommand":
        """Return it at its end, by our own word."""
        return replace(
            self,
            state=state,
            ended_utc=now_utc,
            next_publication_utc=None,
            code=code,
            detail=detail,
        )

    @property
    def lapses_utc(self) -> datetime | None:
        """When it ends if nobody approves, accepts or answers; None once it is over."""
        if self.state is State.REQUESTED:
            return self.requested_utc + APPROVAL_LIFE
        if self.state in {State.READY, State.PUBLISHED}:
            return self.command.not_after_utc
        if self.state is State.ACCEPTED:
            return self.command.not_after_utc + RESULT_LIFE
        return None


def danger_of(operation: Operation, *, turns_on: bool = False) -> Danger | None:
    """Return what is dangerous about it; `turns_on`: a confirmation known to restore a supply."""
    match operation:
        case ConfirmSupply():
            return None if turns_on else Danger.DISCONNECT
        case TransferFirmware() | ActivateFirmware():
            return Danger.FIRMWARE
        case ChangeKey():
            return Danger.KEY
        case _:
            return None


def after_result(kept: KeptCommand, result: CommandResult) -> KeptCommand:
    """Return the command as its gateway's word leaves it; the first last word stands."""
    if kept.state.is_told:
        return kept
    if not result.stage.is_final:
        return replace(
            kept,
            state=State.ACCEPTED,
            ended_utc=None,
            next_publication_utc=None,
            code="",
            detail=result.detail or kept.detail,
            parts_done=max(kept.parts_done, result.parts_done),
            parts=max(kept.parts, result.parts),
        )
    state = {
        Stage.DONE: State.DONE,
        Stage.REFUSED: State.REFUSED,
        Stage.FAILED: State.FAILED,
    }[result.stage]
    return kept.ended(state, result.at_utc, code=result.code, detail=result.detail)


def is_armed(arm: KeptCommand | None, confirmation: Command, now_utc: datetime) -> bool:
    """Whether a confirmation may follow this arming now."""
    return (
        arm is not None
        and isinstance(arm.command.operation, ArmSupply)
        and arm.command.meter_id == confirmation.meter_id
        and arm.command.address == confirmation.address
        and arm.state is State.DONE
        and arm.ended_utc is not None
        and now_utc - arm.ended_utc < ARM_LIFE  # its gateway's moment: any up to the year 9999
    )


def parameters_of(operation: Operation) -> dict[str, object]:
    """Return what was asked for, as JSON has it; what is sealed stays out."""
    return {
        field.name: _plain(getattr(operation, field.name))
        for field in fields(operation)
        if field.name != "sealed"
    }


def require_configuration(text: str) -> None:
    """Refuse what no gateway could read; whether it fits, the gateway says."""
    if len(text.encode()) > _CONFIGURATION_BYTES_MAX:
        raise InvalidValueError(
            "configuration", len(text.encode()), f"at most {_CONFIGURATION_BYTES_MAX} octets"
        )
    try:
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidValueError("configuration", "…", f"not TOML: {error}") from error


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case bytes():
            return value.hex()
        case _:
            return value
