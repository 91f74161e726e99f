"""The three security suites, and the symmetric keys of one.

Source: Green Book (DLMS UA 1000-2), table 19 as public summaries quote it. V.44 compression,
which suites 1 and 2 allow, is not offered.
"""

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Self

from quince.model.errors import InvalidValueError


class Suite(IntEnum):
    """A suite by the number that travels in each security control octet."""

    AES_128 = 0
    AES_128_P256 = 1
    AES_256_P384 = 2

    @property
    def key_octets(self) -> int:
        """How long encryption, authentication and master keys are."""
        return 32 if self is Suite.AES_256_P384 else 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What the two sides share; never shown.

    `encryption` is the global unicast key, `authentication` goes into what each tag covers,
    `broadcast` encrypts for many at once, `master` wraps other keys.
    """

    encryption: bytes = field(repr=False)
    authentication: bytes = field(repr=False)
    broadcast: bytes | None = field(default=None, repr=False)
    master: bytes | None = field(default=None, repr=False)
    suite: Suite = Suite.AES_128

    def __post_init__(self) -> None:
        for name in ("encryption", "authentication", "broadcast", "master"):
            key, octets = getattr(self, name), self.suite.key_octets
            if key is not None and len(key) != octets:
                reason = f"{octets} octets in suite {self.suite}"
                raise InvalidValueError(f"keys.{name}", "…", reason)

    def encrypting_with(self, key: bytes) -> Self:
        """Return these keys with another encryption key, an agreed or a dedicated one."""
        return replace(self, encryption=key)
