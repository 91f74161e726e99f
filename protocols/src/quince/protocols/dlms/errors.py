"""What can go wrong between a DLMS client and a meter, beyond octets that are not DLMS.

RemoteProtocolError
├── ProtectionError            a ciphered APDU does not verify, or should have been ciphered
│   └── ReplayError            its invocation counter was seen before
├── AssociationRefusedError    the meter refused the AARQ
│   └── AuthenticationError    one side did not prove that it holds the password or the keys
├── ServiceRefusedError        the meter answered with an exception-response
└── AccessRefusedError         the meter refused one object: unknown, forbidden, busy
"""

from typing import ClassVar

from quince.model.errors import LocalProtocolError, RemoteProtocolError


class ProtectionError(RemoteProtocolError):
    """A ciphered APDU does not verify, or a plain one came where a ciphered one must."""

    code: ClassVar[str] = "dlms_protection"


class ReplayError(ProtectionError):
    """An invocation counter below the one that is expected next."""

    code: ClassVar[str] = "dlms_replay"

    def __init__(self, counter: int, expected_counter: int) -> None:
        super().__init__(f"counter {counter}, expected {expected_counter} or more")
        self.expected_counter = expected_counter


class AssociationRefusedError(RemoteProtocolError):
    """The meter refused the association."""

    code: ClassVar[str] = "dlms_association_refused"


class AuthenticationError(AssociationRefusedError):
    """The password or the keys of the two sides differ."""

    code: ClassVar[str] = "dlms_authentication"


class ServiceRefusedError(RemoteProtocolError):
    """An exception-response; `expected_counter` is set if the meter named the one it wants."""

    code: ClassVar[str] = "dlms_service_refused"

    def __init__(self, message: str, expected_counter: int | None = None) -> None:
        super().__init__(message)
        self.expected_counter = expected_counter


class AccessRefusedError(RemoteProtocolError):
    """The meter refused one attribute or method; `is_temporary` if it may grant it later."""

    code: ClassVar[str] = "dlms_access_refused"

    def __init__(self, message: str, *, is_temporary: bool = False) -> None:
        super().__init__(message)
        self.is_temporary = is_temporary


class CounterExhaustedError(LocalProtocolError):
    """All 2^32 invocation counters of a key are used: the key must be changed."""

    code: ClassVar[str] = "dlms_counter_exhausted"
