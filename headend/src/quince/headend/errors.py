"""The head-end's errors.

QuinceError
├── StoreBusyError         another writer holds the database; nothing was done, try again
├── StaleBlockError        a day block changed between reading and writing it; try again
├── CorruptBlockError      a day block in the database has no possible length
├── AssetFileError         a registration file has rows that cannot be
├── AssetConflictError     a registration contradicts what another tenant owns
├── WorkOrderFileError     a file of work orders has some that cannot be
├── UnknownOrderError      the tenant has no such work order
├── ReportRefusedError     a visit's report that its order cannot take
├── UnknownCommandError    the tenant never asked for such a command
├── CommandStateError      a command is too far, or not far enough, for what is wanted of it
├── SecondPersonError      who asked for a dangerous command cannot approve it
├── NotArmedError          a confirmation without a fresh arming of that meter's switch
├── TooManyCommandsError   a gateway has more commands open than it is ever given
├── EnrolmentRefusedError  a token, a certificate or a key that makes nobody a gateway
├── UnknownGatewayError    nobody registered that gateway, or nobody knows which it would be
├── TooManyAttemptsError   someone was refused too often of late
├── NoSuchImageError       no firmware image of that fingerprint
├── BrokerControlError     the broker did not do what it was told about who may do what
├── UnknownTenantError     nobody registered that tenant
├── NotAuthenticatedError  no token, or none that is known
└── AccessDeniedError      not the caller's, or not there at all
"""

from collections.abc import Sequence
from typing import ClassVar

from quince.model.errors import QuinceError


class StoreBusyError(QuinceError):
    """Another writer holds the database; nothing was done, and trying again is right."""

    code: ClassVar[str] = "store_busy"


class StaleBlockError(QuinceError):
    """Another writer changed a day block since it was read; the whole batch must be tried again."""

    code: ClassVar[str] = "stale_block"


class CorruptBlockError(QuinceError):
    """A day block whose length no encoder writes."""

    code: ClassVar[str] = "corrupt_block"


class AssetFileError(QuinceError):
    """A registration file that cannot be taken; `problems` names each row and its fault."""

    code: ClassVar[str] = "asset_file"

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep the `problems`, one line each."""
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class AssetConflictError(QuinceError):
    """A cell that belongs to another tenant."""

    code: ClassVar[str] = "asset_conflict"


class UnknownTenantError(QuinceError):
    """A tenant nobody registered."""

    code: ClassVar[str] = "unknown_tenant"


class WorkOrderFileError(QuinceError):
    """A file of work orders that cannot be taken; `problems` names each order and its fault."""

    code: ClassVar[str] = "work_order_file"

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep the `problems`, one line each."""
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class UnknownOrderError(QuinceError):
    """A work order the tenant does not have."""

    code: ClassVar[str] = "unknown_order"


class ReportRefusedError(QuinceError):
    """A report of a stranger, or of another order."""

    code: ClassVar[str] = "report_refused"


class UnknownCommandError(QuinceError):
    """A command the tenant never asked for."""

    code: ClassVar[str] = "unknown_command"


class CommandStateError(QuinceError):
    """A command whose state does not allow what is wanted of it."""

    code: ClassVar[str] = "command_state"


class SecondPersonError(QuinceError):
    """An approval by the very person who asked."""

    code: ClassVar[str] = "second_person"


class NotArmedError(QuinceError):
    """A confirmation that follows no fresh arming of that meter's switch."""

    code: ClassVar[str] = "not_armed"


class TooManyCommandsError(QuinceError):
    """A gateway that has as many open commands as it is ever given."""

    code: ClassVar[str] = "too_many_commands"


class EnrolmentRefusedError(QuinceError):
    """A token, a certificate or a key that makes nobody a gateway."""

    code: ClassVar[str] = "enrolment_refused"


class UnknownGatewayError(QuinceError):
    """A gateway nobody registered in that cell."""

    code: ClassVar[str] = "unknown_gateway"


class BrokerControlError(QuinceError):
    """The broker did not take a change of who may do what; the change is still wanted."""

    code: ClassVar[str] = "broker_control"


class TooManyAttemptsError(QuinceError):
    """Someone was refused too often of late; later they may try again."""

    code: ClassVar[str] = "too_many_attempts"


class NoSuchImageError(QuinceError):
    """No firmware image of that fingerprint lies here."""

    code: ClassVar[str] = "no_such_image"


class NotAuthenticatedError(QuinceError):
    """No token, or none that we know."""

    code: ClassVar[str] = "not_authenticated"


class AccessDeniedError(QuinceError):
    """Not the caller's, or not there at all: the answer is the same, so that it tells nothing."""

    code: ClassVar[str] = "access_denied"
