"""The meter's own clock: it drifts, it can be set, and it keeps local time.

Law: what was shown stays shown. Setting the clock begins a new run of it; the moments of the runs
before are what they were.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from quince.firmware_sims.dlms.objects import MeterObject
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP, floor_boundary
from quince.protocols.dlms.apdu.reference import AccessResult
from quince.protocols.dlms.cosem.clock import (
    CLOCK_SAVING_MIN,
    CLOCK_SAVING_ON,
    CLOCK_STATUS,
    CLOCK_TIME,
    CLOCK_ZONE,
    DAYLIGHT_SAVING,
    MeterTime,
)
from quince.protocols.dlms.cosem.names import CLOCK, ClassId
from quince.protocols.dlms.encoding.axdr import Data, octet_string
from quince.protocols.dlms.encoding.date_time import encode_date_time
from quince.protocols.dlms.encoding.tags import Tag

_MILLION = 1_000_000
_MICROSECOND = timedelta(microseconds=1)
# Crystals are good to tens of ppm; ten thousand is a clock that gains a quarter-hour a day.
_DRIFT_PPM_MAX = 10_000
# Nobody sets a meter's clock so often; the oldest runs are then forgotten.
_RUNS_MAX = 1024
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """From `begun_utc` on, the clock shows `shown_utc` and what has gone by since, as it drifts."""

    begun_utc: datetime
    shown_utc: datetime
    drift_ppm: int = 0
    is_set: bool = False

    def shows(self, at_utc: datetime) -> datetime:
        gone_by = at_utc - self.begun_utc
        return self.shown_utc + gone_by + gone_by * self.drift_ppm // _MILLION

    def moment_of(self, shown_utc: datetime) -> datetime:
        """Return the first moment, to the microsecond, at which the clock shows `shown_utc`."""
        shown_us = (shown_utc - self.shown_utc) // _MICROSECOND
        gone_by_us = -(-shown_us * _MILLION // (_MILLION + self.drift_ppm))
        return self.begun_utc + gone_by_us * _MICROSECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """A quarter-hour's end: by the meter's clock, in truth, and whether the clock was just set."""

    shown_utc: datetime
    at_utc: datetime
    is_adjusted: bool


class MeterClock:
    """The clock of one meter, right until the meter was made, `drift_ppm` fast from then on.

    Local time is standard time (`utc_offset_min` east) all year, or `zone`'s with its daylight
    saving. `truth` is the time outside; what is written is what this clock shows.
    """

    def __init__(
        self,
        truth: Clock,
        *,
        utc_offset_min: int,
        zone: ZoneInfo | None = None,
        drift_ppm: int = 0,
    ) -> None:
        if abs(drift_ppm) > _DRIFT_PPM_MAX:
            raise InvalidValueError("drift_ppm", drift_ppm, f"within ±{_DRIFT_PPM_MAX}")
        self._truth = truth
        self._zone = zone
        self._drift_ppm = drift_ppm
        self._utc_offset_min = utc_offset_min
        now_utc = truth.now_utc()
        self._runs = [
            _Run(begun_utc=_LONG_AGO, shown_utc=_LONG_AGO),
            _Run(begun_utc=now_utc, shown_utc=now_utc, drift_ppm=drift_ppm),
        ]
        self.time = MeterTime(standard_offset_min=self._standard_offset_min())

    def shown_utc(self) -> datetime:
        """Return what the clock shows now."""
        return self.shows(self._truth.now_utc())

    def shows(self, at_utc: datetime) -> datetime:
        """Return what the clock showed, or will show, at a moment."""
        run = next(run for run in reversed(self._runs) if at_utc >= run.begun_utc)
        return run.shows(at_utc)

    def set_to(self, shown_utc: datetime) -> None:
        """Show `shown_utc` from now on."""
        run = _Run(
            begun_utc=self._truth.now_utc(),
            shown_utc=shown_utc,
            drift_ppm=self._drift_ppm,
            is_set=True,
        )
        first, *others = self._runs
        self._runs = [first, *others[-_RUNS_MAX:], run]

    def boundaries(self, after_utc: datetime, upto_utc: datetime) -> Iterator[Boundary]:
        """Give each quarter-hour the clock came to in (after_utc, upto_utc], in that order."""
        ends = [*(run.begun_utc for run in self._runs[1:]), upto_utc]
        for run, end_utc in zip(self._runs, ends, strict=True):
            low_utc, high_utc = max(after_utc, run.begun_utc), min(end_utc, upto_utc)
            if low_utc >= high_utc:
                continue
            adjusted = run.is_set and low_utc == run.begun_utc
            shown_utc = floor_boundary(run.shows(low_utc)) + STEP
            while (at_utc := run.moment_of(shown_utc)) <= high_utc:
                yield Boundary(shown_utc=shown_utc, at_utc=at_utc, is_adjusted=adjusted)
                shown_utc, adjusted = shown_utc + STEP, False

    # -- local time ----------------------------------------------------------------------

    def write(self, shown_utc: datetime) -> bytes:
        """Return a moment of this clock as the meter writes it: local time, deviation, status."""
        offset_min, saving = self._local(shown_utc)
        status = DAYLIGHT_SAVING if saving else 0
        return encode_date_time(shown_utc, utc_offset_min=offset_min, status=status)

    def is_saving(self, shown_utc: datetime) -> bool:
        """Say whether daylight saving is on."""
        return self._local(shown_utc)[1]

    def _local(self, shown_utc: datetime) -> tuple[int, bool]:
        if self._zone is None:
            return self._utc_offset_min, False
        local = shown_utc.astimezone(self._zone)
        offset, saving = local.utcoffset(), local.dst()
        return _minutes(offset), bool(saving)

    def _standard_offset_min(self) -> int:
        if self._zone is None:
            return self._utc_offset_min
        local = self._truth.now_utc().astimezone(self._zone)
        return _minutes(local.utcoffset()) - _minutes(local.dst())

    # -- the object ----------------------------------------------------------------------

    def described(self, on_set: Callable[[datetime, datetime], None]) -> MeterObject:
        """Return the clock object; `on_set` hears what was shown before and after a setting."""

        def write(data: Data) -> AccessResult:
            before_utc, after_utc = self.shown_utc(), self.time.read(data.as_octets()).at_utc
            self.set_to(after_utc)
            on_set(before_utc, after_utc)
            return AccessResult.SUCCESS

        zone_min = -self._standard_offset_min()
        return MeterObject(
            class_id=ClassId.CLOCK,
            name=CLOCK,
            reads={
                CLOCK_TIME.index: lambda: octet_string(self.write(self.shown_utc())),
                CLOCK_ZONE.index: lambda: Data(Tag.INT16, zone_min),
                CLOCK_STATUS.index: lambda: Data(Tag.UINT8, self.write(self.shown_utc())[-1]),
                CLOCK_SAVING_MIN.index: lambda: Data(Tag.INT8, 60),
                CLOCK_SAVING_ON.index: lambda: Data(Tag.BOOLEAN, self._zone is not None),
            },
            writes={CLOCK_TIME.index: write},
            is_public=True,
        )


def _minutes(offset: timedelta | None) -> int:
    return 0 if offset is None else offset // timedelta(minutes=1)
