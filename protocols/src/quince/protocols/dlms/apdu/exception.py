"""Why a request was not even tried: exception-response, and confirmed-service-error."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from quince.protocols.dlms.encoding.reader import Reader

CONFIRMED_SERVICE_ERROR = 0x0E
EXCEPTION_RESPONSE = 0xD8


class StateError(IntEnum):
    """Why a service was not performed: not here, or not known."""

    SERVICE_NOT_ALLOWED = 1
    SERVICE_UNKNOWN = 2


class ServiceError(IntEnum):
    """The service's own reason."""

    OPERATION_NOT_POSSIBLE = 1
    SERVICE_NOT_SUPPORTED = 2
    OTHER_REASON = 3
    PDU_TOO_LONG = 4
    DECIPHERING_ERROR = 5
    INVOCATION_COUNTER_ERROR = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionResponse:
    """A request that was not even tried; codes as given, known or not."""

    state_error: int
    service_error: int
    expected_counter: int | None = None

    def __str__(self) -> str:
        return f"state error {self.state_error}, service error {self.service_error}"

    def encode(self) -> bytes:
        """Write the exception-response."""
        head = bytes((EXCEPTION_RESPONSE, self.state_error, self.service_error))
        if self.expected_counter is None:
            return head
        return head + self.expected_counter.to_bytes(4, "big")


# The kinds of service error, by their number. Source: ServiceError in IEC 61334-4-41, as copied
# into public sources.
_ERROR_KINDS = (
    "application-reference",
    "hardware-resource",
    "vde-state-error",
    "service",
    "definition",
    "access",
    "initiate",
    "load-data-set",
    "change-scope",
    "task",
    "other",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedServiceError:
    """How meters refuse an initiate, and older ones any service; codes as given, known or not.

    `service` is 1 for initiate, 5 read, 6 write; `kind` and `value` are the service error's.
    """

    service: int
    kind: int
    value: int

    def __str__(self) -> str:
        kind = _ERROR_KINDS[self.kind] if self.kind < len(_ERROR_KINDS) else str(self.kind)
        return f"confirmed service error {self.service}, {kind} {self.value}"

    def encode(self) -> bytes:
        """Write the confirmed-service-error."""
        return bytes((CONFIRMED_SERVICE_ERROR, self.service, self.kind, self.value))


def read_exception(reader: Reader) -> ExceptionResponse:
    """Read what follows the tag of an exception-response."""
    state_error, service_error = reader.octet(), reader.octet()
    counter = reader.uint(4) if reader.remaining else None
    return ExceptionResponse(
        state_error=state_error, service_error=service_error, expected_counter=counter
    )


def read_confirmed_service_error(reader: Reader) -> ConfirmedServiceError:
    """Read what follows the tag of a confirmed-service-error."""
    service, kind, value = reader.take(3)
    return ConfirmedServiceError(service=service, kind=kind, value=value)


_REFUSALS: dict[int, Callable[[Reader], ExceptionResponse | ConfirmedServiceError]] = {
    EXCEPTION_RESPONSE: read_exception,
    CONFIRMED_SERVICE_ERROR: read_confirmed_service_error,
}


def decode_refusal(octets: bytes) -> ExceptionResponse | ConfirmedServiceError | None:
    """Read either, which come in clear even in a ciphered association; None if it is neither."""
    reader = Reader(octets)
    tag = reader.octet()
    if tag not in _REFUSALS:
        return None
    refusal = _REFUSALS[tag](reader)
    reader.finish("refusal")
    return refusal
