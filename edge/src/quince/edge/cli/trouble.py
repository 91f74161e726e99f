"""What to do about an error that ends a command, in a sentence behind it."""

from quince.edge.cli.language import say
from quince.edge.errors import (
    HeadendUnreachableError,
    PasswordRefusedError,
    ReadTimeoutError,
    TokenRefusedError,
    TransportError,
)
from quince.model.errors import QuinceError
from quince.protocols.dlms.errors import (
    AssociationRefusedError,
    ProtectionError,
    ServiceRefusedError,
)


def advice(error: QuinceError) -> str:
    """Return it; nothing where the error says it already."""
    match error:
        case ReadTimeoutError():
            what = say("Is the meter on, and are line, speed and address its own? `scan` looks.")
        case TransportError():
            what = say("See whether cable and address are right, and whether the line is taken.")
        case AssociationRefusedError() | ProtectionError() | PasswordRefusedError():
            what = say("It does not take our password or keys: `keys verify` says which.")
        case ServiceRefusedError(expected_counter=int()):
            what = say("Another device counted further with these keys: try again.")
        case TokenRefusedError():
            what = say("Ask the head-end's operator for a new token.")
        case HeadendUnreachableError():
            what = say("Try again where there is a network; what was to be sent is kept.")
        case _:
            what = ""
    return what
