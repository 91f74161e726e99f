"""How far a meter's clock is off, and setting it right.

Law: a step is bounded. One beyond a quarter-hour loses intervals, or fills some twice, and is
made by nobody by accident.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from quince.edge.readers.reader import Instrument
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.model.interval import STEP

# Standards of metering want a clock within a minute; what is further off is to be set.
DRIFT_MAX = timedelta(seconds=60)
STEP_MAX = STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What the meter's clock showed while this computer's showed `true_utc`."""

    shown_utc: datetime
    true_utc: datetime

    @property
    def drift_s(self) -> float:
        """How many seconds the meter is ahead."""
        return (self.shown_utc - self.true_utc).total_seconds()

    @property
    def text(self) -> str:
        """The same to a tenth, as people read it; what rounds to nothing has no sign of its own."""
        return f"{round(self.drift_s, 1) + 0.0:+.1f} s"

    @property
    def is_right(self) -> bool:
        """Whether it can stay as it is."""
        return abs(self.shown_utc - self.true_utc) <= DRIFT_MAX


async def measure(instrument: Instrument, clock: Clock) -> Drift:
    """Compare the meter's clock with this computer's, half way through the question."""
    before_utc = clock.now_utc()
    shown_utc = await instrument.clock()
    after_utc = clock.now_utc()
    return Drift(shown_utc=shown_utc, true_utc=before_utc + (after_utc - before_utc) / 2)


def require_small(drift: Drift, *, force: bool) -> None:
    """Raise InvalidValueError for a step that is not to be made, unless forced."""
    if not force and abs(drift.shown_utc - drift.true_utc) > STEP_MAX:
        raise InvalidValueError(
            "clock", f"{drift.drift_s:+.0f} s", "intervals would be lost or come twice: --force"
        )


async def set_right(instrument: Instrument, clock: Clock) -> Drift:
    """Set the meter's clock to this computer's, and measure again."""
    await instrument.set_clock(clock.now_utc())
    return await measure(instrument, clock)
