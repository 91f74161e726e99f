"""A meter that pushes, and how what it says becomes an event: not too often, with a stamp."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from quince.edge.pushes.allowance import Allowance
from quince.edge.pushes.events import Said
from quince.model.clock import Clock
from quince.model.errors import QuinceError
from quince.model.event import MeterEvent
from quince.model.quality import Quality
from quince.protocols.dlms.cosem.clock import MeterTime
from quince.protocols.dlms.security.credentials import Ciphering

log = structlog.get_logger()

# A supply that flickers, and then an event every ten seconds: each is a write to disk.
EVENTS_MAX, EVENTS_PER_S_MAX = 8, 0.1
_YEAR_MIN = 2000  # a clock that shows less was never set
# A clock may be ahead of ours; but an outage that begins next year would outlast its end.
AHEAD_MAX = timedelta(days=1)

Accept = Callable[[MeterEvent], None]


def _nothing() -> None:
    """Return no ciphering: a meter without keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pusher:
    """A meter that pushes, and how it writes its time.

    `ciphering` gives ours with this meter, as sessions have it now, for keys change; its
    `peer_title` is the meter's own. A meter that has one is believed in clear only if
    `believed_in_clear`.
    """

    meter_id: str
    time: MeterTime
    ciphering: Callable[[], Ciphering | None] = _nothing
    believed_in_clear: bool = False
    _allowance: Allowance = field(
        default_factory=lambda: Allowance(burst=EVENTS_MAX, per_s=EVENTS_PER_S_MAX)
    )

    @property
    def must_seal(self) -> bool:
        """Whether nothing of it is believed in clear."""
        return self.ciphering() is not None and not self.believed_in_clear

    def pass_on(self, said: Said, accept: Accept, clock: Clock) -> None:
        """Give what the meter said to `accept`, if it is an event and not one too many."""
        if said.kind is None:
            log.warning("push_unknown", meter_id=self.meter_id, kind=None)
            return
        if not self._allowance.take(asyncio.get_running_loop().time()):
            log.warning("push_too_often", meter_id=self.meter_id)
            return
        now_utc = clock.now_utc()
        at_utc = _stamp(said.date_time, self.time, now_utc)
        accept(
            MeterEvent(meter_id=self.meter_id, kind=said.kind, at_utc=at_utc, received_utc=now_utc)
        )
        log.info(
            "event_accepted", meter_id=self.meter_id, kind=said.kind, at_utc=at_utc.isoformat()
        )


def _stamp(octets: bytes | None, time: MeterTime, now_utc: datetime) -> datetime:
    """Return when a push says it happened; now, if the meter does not know or cannot be right.

    The event is worth keeping whatever its stamp is worth.
    """
    if octets is None:
        return now_utc
    try:
        moment = time.read(octets)
    except QuinceError:
        return now_utc
    is_told = moment.at_utc.year >= _YEAR_MIN and moment.at_utc <= now_utc + AHEAD_MAX
    return now_utc if moment.quality & Quality.CLOCK_INVALID or not is_told else moment.at_utc
