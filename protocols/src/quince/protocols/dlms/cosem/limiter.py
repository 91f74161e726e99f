"""The limiter (class 71): above which power, and after how long, the meter switches off.

Attributes: 2 monitored_value, 3 threshold_active, 4 threshold_normal, 5 threshold_emergency,
6 min_over_threshold_duration and 7 min_under_threshold_duration in seconds, 8 emergency_profile,
9 its group ids, 10 emergency_profile_active, 11 actions. It has no methods.
"""

from dataclasses import dataclass
from typing import Self

from quince.model.errors import InvalidValueError
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.names import LIMITER, ClassId
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.encoding.tags import Tag

THRESHOLD_ACTIVE = Ref(ClassId.LIMITER, LIMITER, 3)
THRESHOLD_NORMAL = Ref(ClassId.LIMITER, LIMITER, 4)
OVER_DURATION = Ref(ClassId.LIMITER, LIMITER, 6)
_UINT32_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A power, in the unit of the monitored value (W mostly), and how long it may be exceeded."""

    power_w: int
    over_s: int

    def __post_init__(self) -> None:
        for name, value in (("power_w", self.power_w), ("over_s", self.over_s)):
            if not 0 <= value <= _UINT32_MAX:
                raise InvalidValueError(f"limit.{name}", value, f"0..{_UINT32_MAX}")

    @classmethod
    def read(cls, threshold: Data, duration: Data) -> Self:
        """Read attributes 4 and 6; InvalidValueError if one is below zero."""
        return cls(power_w=threshold.as_int(), over_s=duration.as_int())

    def requests(self) -> tuple[tuple[Ref, Data], ...]:
        """Return what is to be set: the duration first, so that the new limit has its own."""
        return (
            (OVER_DURATION, Data(Tag.UINT32, self.over_s)),
            (THRESHOLD_NORMAL, Data(Tag.UINT32, self.power_w)),
        )
