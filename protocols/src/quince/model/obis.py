"""OBIS codes: the name of a quantity, A-B:C.D.E*F (IEC 62056-61)."""

import re
from dataclasses import dataclass, replace
from typing import Self

from quince.model.errors import InvalidValueError

_TEXT = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\*(\d{1,3}))?")
_GROUP_MAX = 255


@dataclass(frozen=True, slots=True, order=True)
class Obis:
    """Six value groups, each 0..255; F is 255 where it says nothing."""

    a: int
    b: int
    c: int
    d: int
    e: int
    f: int = _GROUP_MAX

    def __post_init__(self) -> None:
        for name in ("a", "b", "c", "d", "e", "f"):
            group = getattr(self, name)
            if not 0 <= group <= _GROUP_MAX:
                raise InvalidValueError(f"obis.{name}", group, "a value group is 0..255")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1-0:1.8.0` or `1-0:1.8.0*255`; InvalidValueError otherwise."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise InvalidValueError("obis", text, "expected A-B:C.D.E or A-B:C.D.E*F")
        return cls(*(int(group) for group in match.groups(default=str(_GROUP_MAX))))

    @classmethod
    def from_bytes(cls, octets: bytes) -> Self:
        """Read the six octets of a COSEM logical name."""
        if len(octets) != 6:  # noqa: PLR2004 - the six groups
            raise InvalidValueError("obis", octets.hex(), "a logical name has 6 octets")
        return cls(*octets)

    def __bytes__(self) -> bytes:
        return bytes((self.a, self.b, self.c, self.d, self.e, self.f))

    def __str__(self) -> str:
        head = f"{self.a}-{self.b}:{self.c}.{self.d}.{self.e}"
        return head if self.f == _GROUP_MAX else f"{head}*{self.f}"


# The quantities this system reads by name. Source: Blue Book naming, group C 1 = active import,
# D 8 = time integral 1 (register), D 29 = time integral 5 (one recording period: an interval).
REGISTER_D, INTERVAL_D = 8, 29
ACTIVE_IMPORT_REGISTER = Obis(1, 0, 1, REGISTER_D, 0)
ACTIVE_IMPORT_INTERVAL = Obis(1, 0, 1, INTERVAL_D, 0)


def interval_channel(register: Obis) -> Obis:
    """Return the name of a cumulative register's energy per recording period."""
    if register.d != REGISTER_D:
        raise InvalidValueError("obis", str(register), "not a cumulative register (D = 8)")
    return replace(register, d=INTERVAL_D)


def register_channel(interval: Obis) -> Obis:
    """Return the name of the cumulative register whose growth an interval channel tells."""
    if interval.d != INTERVAL_D:
        raise InvalidValueError("obis", str(interval), "not an interval channel (D = 29)")
    return replace(interval, d=REGISTER_D)
