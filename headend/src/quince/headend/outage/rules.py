"""From what meters said to outages, whatever the order it arrived in.

Law: only a meter's last gasp opens an outage; a gateway's silence never does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from quince.model.event import EventKind

# At one moment the last gasp comes first: a supply lost and restored within the stamp's second.
# The other order would leave an outage open though the meter spoke after it.
_ORDER = {EventKind.LAST_GASP: 0, EventKind.POWER_UP: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A meter's word on the supply of its metering point."""

    metering_point: str
    meter_id: str
    kind: EventKind
    at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A metering point without supply; `end_utc` is None while it lasts."""

    metering_point: str
    start_utc: datetime
    end_utc: datetime | None = None

    def duration(self, now_utc: datetime) -> timedelta:
        """Return how long it lasted, or has lasted."""
        return max(timedelta(), (self.end_utc or now_utc) - self.start_utc)


def outages_of(metering_point: str, evidence: Iterable[Evidence]) -> tuple[Outage, ...]:
    """Return the outages a metering point's evidence tells, in order.

    The supply is taken to be on before the first word. A second last gasp belongs to the outage
    that is open; a power-up with none open says nothing new. A power-up filed under another point
    (its meter was registered or moved meanwhile) counts where that meter gasped in the open outage.
    """
    outages: list[Outage] = []
    dark: set[str] = set()  # the meters that gasped in the open outage
    start_utc: datetime | None = None
    for word in sorted(evidence, key=lambda word: (word.at_utc, _ORDER[word.kind])):
        if word.kind is EventKind.LAST_GASP:
            start_utc = start_utc or word.at_utc
            dark.add(word.meter_id)
        elif start_utc is not None and (
            word.metering_point == metering_point or word.meter_id in dark
        ):
            outages.append(
                Outage(metering_point=metering_point, start_utc=start_utc, end_utc=word.at_utc)
            )
            start_utc = None
            dark.clear()
    if start_utc is not None:
        outages.append(Outage(metering_point=metering_point, start_utc=start_utc))
    return tuple(outages)
