"""What the command's exit says: scripts and work instructions rely on these numbers."""

from enum import IntEnum

from quince.edge.errors import (
    HeadendUnreachableError,
    PasswordRefusedError,
    TokenRefusedError,
    TransportError,
)
from quince.model.errors import InvalidValueError, QuinceError
from quince.protocols.dlms.errors import AssociationRefusedError, ProtectionError


class Exit(IntEnum):
    """Stable: a number is never given another meaning."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    NO_ANSWER = 3
    NOT_AUTHENTICATED = 4
    HEADEND_UNREACHABLE = 5  # what was to be sent is kept, and sent later


def exit_code(error: QuinceError) -> Exit:
    """Return how an error ends the command."""
    match error:
        case TransportError():
            return Exit.NO_ANSWER
        case HeadendUnreachableError():
            return Exit.HEADEND_UNREACHABLE
        case AssociationRefusedError() | ProtectionError() | PasswordRefusedError():
            return Exit.NOT_AUTHENTICATED
        case TokenRefusedError():
            return Exit.NOT_AUTHENTICATED
        case InvalidValueError():
            return Exit.USAGE
        case _:
            return Exit.CHECK_FAILED
