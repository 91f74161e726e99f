"""The load profile: at each quarter-hour of the meter's clock a row, unless the meter is dark.

A row is stamped with the END of its quarter-hour and holds the registers as they stood then, or
what they grew by since the boundary before (D = 29). A boundary in the dark has no row; the first
row behind it says so in its status.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from quince.firmware_sims.dlms.clock import Boundary, MeterClock
from quince.firmware_sims.dlms.objects import MeterObject
from quince.firmware_sims.dlms.profile import Cells, Memory, Profile, Row, Style
from quince.firmware_sims.dlms.registers import EnergyRegisters
from quince.firmware_sims.load import Supply
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.model.interval import SLOTS_PER_DAY, STEP, STEP_S, floor_boundary
from quince.model.obis import ACTIVE_IMPORT_REGISTER, Obis, register_channel
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.cosem.clock import CLOCK_TIME
from quince.protocols.dlms.cosem.names import LOAD_PROFILE, PROFILE_STATUS, ClassId
from quince.protocols.dlms.cosem.profile import PROFILE_PERIOD, Column
from quince.protocols.dlms.cosem.status import (
    STATUS_CLOCK_ADJUSTED,
    STATUS_DAYLIGHT_SAVING,
    STATUS_POWER_DOWN,
)
from quince.protocols.dlms.encoding.axdr import Data, encode, octet_string
from quince.protocols.dlms.encoding.tags import Tag

_DAYS_MAX = 400
PERIODS_S = (STEP_S, 2 * STEP_S, 4 * STEP_S)  # a meter that captures no other


@dataclass(frozen=True, slots=True, kw_only=True)
class Captures:
    """What the load profile holds behind clock and status, for how long, and how it tells it."""

    registers: tuple[Obis, ...] = (ACTIVE_IMPORT_REGISTER,)
    intervals: tuple[Obis, ...] = ()  # named D = 29
    days: int = 45
    style: Style = field(default_factory=Style)

    def __post_init__(self) -> None:
        if not 1 <= self.days <= _DAYS_MAX:
            raise InvalidValueError("captures.days", self.days, f"1..{_DAYS_MAX}")

    def columns(self) -> tuple[Column, ...]:
        """Return the capture objects."""
        channels = (*self.registers, *self.intervals)
        energies = (Ref(ClassId.REGISTER, channel, 2) for channel in channels)
        return tuple(Column(ref=ref) for ref in (CLOCK_TIME, PROFILE_STATUS, *energies))


class LoadProfile:
    """Captures lazily: whoever asks finds every row up to now.

    InvalidValueError if it shall capture what the meter does not measure.
    """

    def __init__(
        self,
        captures: Captures,
        *,
        clock: MeterClock,
        truth: Clock,
        supply: Supply,
        registers: EnergyRegisters,
    ) -> None:
        for register in (*captures.registers, *map(register_channel, captures.intervals)):
            registers.require(register)
        self._period_s = STEP_S
        self._captures = captures
        self._clock = clock
        self._truth = truth
        self._supply = supply
        self._registers = registers
        self._upto_utc = truth.now_utc()
        self._before_utc = floor_boundary(self._upto_utc)
        self._memory = Memory(
            captures.days * SLOTS_PER_DAY, begun_s=self._begun_s(), recall=self._recall
        )

    def _begun_s(self) -> list[int]:
        """Return the stamps of the rows from before the meter was made: its clock was right."""
        last_s = int(self._before_utc.timestamp())
        first_s = last_s - self._captures.days * 86_400 + STEP_S
        stamps = list(range(first_s, last_s + 1, STEP_S))
        for from_utc, to_utc in self._supply.outages:
            low = bisect_left(stamps, from_utc.timestamp())
            del stamps[low : bisect_left(stamps, to_utc.timestamp())]
        return stamps

    def _recall(self, shown_s: int) -> Row:
        at_utc = datetime.fromtimestamp(shown_s, UTC)
        boundary = Boundary(shown_utc=at_utc, at_utc=at_utc, is_adjusted=False)
        return Row(shown_s, partial(self._encode, boundary, at_utc - STEP))

    def described(self) -> MeterObject:
        """Return the profile object."""
        profile = Profile(
            LOAD_PROFILE,
            self._captures.columns(),
            period_s=self._period_s,
            memory=self._caught_up,
            time=self._clock.time,
            style=self._captures.style,
        )

        def set_period(data: Data) -> AccessResult:
            if data.as_int() not in PERIODS_S:
                return AccessResult.OTHER_REASON
            self._begin_anew(data.as_int())
            profile.set_period(data.as_int())
            return AccessResult.SUCCESS

        return profile.described(writes={PROFILE_PERIOD.index: set_period})

    def _begin_anew(self, period_s: int) -> None:
        """Capture at another period from now on: the rows of the old one are gone."""
        self._period_s = period_s
        self._upto_utc = self._truth.now_utc()
        self._before_utc = floor_boundary(self._upto_utc)
        self._memory = Memory(self._captures.days * SLOTS_PER_DAY)

    def _caught_up(self) -> Memory:
        now_utc = self._truth.now_utc()
        for boundary in self._clock.boundaries(self._upto_utc, now_utc):
            if int(boundary.shown_utc.timestamp()) % self._period_s:
                continue
            if self._supply.is_on(boundary.at_utc):
                encode_row = partial(self._encode, boundary, self._before_utc)
                self._memory.keep(Row(int(boundary.shown_utc.timestamp()), encode_row))
            self._before_utc = boundary.at_utc
        self._upto_utc = max(self._upto_utc, now_utc)
        return self._memory

    def _encode(self, boundary: Boundary, before_utc: datetime) -> Cells:
        value, growth = self._registers.value, self._registers.growth
        registers = (value(name, boundary.at_utc) for name in self._captures.registers)
        intervals = (growth(name, before_utc, boundary.at_utc) for name in self._captures.intervals)
        return (
            encode(octet_string(self._clock.write(boundary.shown_utc))),
            encode(Data(Tag.UINT8, self._status(boundary, before_utc))),
            *(encode(Data(Tag.UINT32, each)) for each in (*registers, *intervals)),
        )

    def _status(self, boundary: Boundary, before_utc: datetime) -> int:
        status = STATUS_CLOCK_ADJUSTED if boundary.is_adjusted else 0
        if self._supply.was_cut(before_utc, boundary.at_utc):
            status |= STATUS_POWER_DOWN
        if self._clock.is_saving(boundary.shown_utc):
            status |= STATUS_DAYLIGHT_SAVING
        return status
