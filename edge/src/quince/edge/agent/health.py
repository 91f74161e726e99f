"""How the agent's meters and buses are doing, as values to be written down."""

from dataclasses import dataclass
from datetime import datetime

from quince.edge.schedule.breaker import BreakerState


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterHealth:
    """One meter: `failures` are in a row, `backlog` is stretches of profile yet to be read."""

    meter_id: str
    bus: str
    last_good_utc: datetime | None
    failures: int
    breaker: BreakerState
    backlog: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BusHealth:
    """One bus: which meter the agent is visiting there, if any, and how many wait for it."""

    bus: str
    visiting: str | None
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentHealth:
    """All of them."""

    meters: tuple[MeterHealth, ...]
    buses: tuple[BusHealth, ...]
