"""Principals and their tokens.

A token is 32 random octets, so one round of SHA-256 is enough: there is nothing to guess.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from quince.model.errors import InvalidValueError

_TOKEN_OCTETS = 32
_PREFIX = "quince_"  # so that secret scanners, and people, know what they found
TOKEN_CHARS_MAX = 100
PERSON_CHARS_MAX = 64

RandomOctets = Callable[[int], bytes]


class Role(StrEnum):
    """What a principal is to the tenant."""

    CUSTOMER = "customer"
    STAFF = "staff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who bears a token: a customer, who sees what is theirs, or staff, who see their tenant's.

    `person` is the name a member of the staff acts under; a program has none.
    """

    tenant_id: int
    role: Role
    customer_id: str | None = None
    person: str | None = None

    def __post_init__(self) -> None:
        if (self.customer_id is None) == (self.role is Role.CUSTOMER):
            raise InvalidValueError(
                "customer_id", self.customer_id, "a customer has one, staff have none"
            )
        if self.person is not None:
            if self.role is not Role.STAFF:
                raise InvalidValueError("person", self.person, "staff alone have one")
            if not 1 <= len(self.person) <= PERSON_CHARS_MAX or not self.person.isprintable():
                raise InvalidValueError(
                    "person", self.person, f"1..{PERSON_CHARS_MAX} printable characters"
                )


def new_token(random_octets: RandomOctets) -> str:
    """Return a token nobody has seen."""
    secret = base64.urlsafe_b64encode(random_octets(_TOKEN_OCTETS)).decode().rstrip("=")
    return _PREFIX + secret


def token_digest(token: str) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).digest()
