"""Filling and reading intervals, whatever database keeps them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from quince.headend.intervals.rules import EMPTY, DayBlock, Flags, Values, slot_of
from quince.model.errors import InvalidValueError
from quince.model.interval import SLOTS_PER_DAY, IntervalSeries, RegisterReading, require_boundary
from quince.model.obis import Obis
from quince.model.quality import Quality

# Thirteen months and their leap day: what a yearly bill with its neighbours asks for at once.
DAYS_MAX = 400
NO_CHANNEL = 0  # a store numbers its channels from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A series, and the message that brought it (`cell/gateway/epoch/lane/seq`)."""

    series: IntervalSeries
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """How many slots a merge filled, found filled alike, and found filled otherwise."""

    filled: int
    duplicates: int
    conflicts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One quantity of one meter, as the store names it."""

    channel_id: int
    meter_id: str
    obis: Obis


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A value for a slot that holds another; kept, never applied."""

    meter_id: str
    obis: Obis
    start_utc: datetime
    value: int
    quality: Quality
    source: str


class IntervalStore(Protocol):
    """Where intervals and register readings stay; every question names its tenant."""

    def merge(
        self, *, tenant_id: int, arrivals: Sequence[Arrival], received_utc: datetime
    ) -> MergeResult:
        """Fill the slots, record the conflicts; unknown channels are created.

        Within the caller's transaction. StaleBlockError if another writer got in between.
        """
        ...

    def add_readings(self, *, tenant_id: int, readings: Iterable[RegisterReading]) -> None:
        """Keep register readings; within the caller's transaction."""
        ...

    def channels(self, *, tenant_id: int, meter_ids: Sequence[str]) -> tuple[Channel, ...]:
        """Return the channels of these meters, by meter and OBIS code."""
        ...

    def meters_seen(self, *, tenant_id: int, after: str, limit: int) -> tuple[str, ...]:
        """Return the first `limit` meters that ever sent an interval and follow `after`."""
        ...

    def read(
        self, *, tenant_id: int, channel_id: int, first_day: int, end_day: int
    ) -> tuple[DayBlock, ...]:
        """Return the stored days of [first_day, end_day), in order; empty ones are left out."""
        ...

    def load(
        self, *, tenant_id: int, channel_ids: Sequence[int], first_day: int, end_day: int
    ) -> Values:
        """Return values[channel, day, slot] of [first_day, end_day), EMPTY where nothing is."""
        ...

    def register_values(
        self, *, tenant_id: int, meter_id: str, obis: Obis, at_utc: datetime
    ) -> tuple[int, ...]:
        """Return the different values the register was reported to have at that moment."""
        ...

    def conflicts(self, *, tenant_id: int, limit: int) -> tuple[Conflict, ...]:
        """Return the first `limit` conflicts by channel and slot."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One channel's consecutive slots, and the revision of each UTC day they touch."""

    values: Values
    flags: Flags
    revisions: tuple[int, ...]


def read_stretch(
    store: IntervalStore,
    *,
    tenant_id: int,
    channel_id: int,
    start_utc: datetime,
    end_utc: datetime,
) -> Stretch:
    """Return the slots of [start_utc, end_utc), both quarter-hours, at most DAYS_MAX days.

    NO_CHANNEL is read as one that never sent anything.
    """
    first = slot_of(require_boundary("start_utc", start_utc))
    end = slot_of(require_boundary("end_utc", end_utc))
    if not first < end <= first + DAYS_MAX * SLOTS_PER_DAY:
        raise InvalidValueError("end_utc", end_utc.isoformat(), f"1 interval to {DAYS_MAX} days")
    first_day, end_day = first // SLOTS_PER_DAY, -(-end // SLOTS_PER_DAY)
    values = np.full((end_day - first_day, SLOTS_PER_DAY), EMPTY, np.int32)
    flags = np.zeros(values.shape, np.uint8)
    revisions = [0] * len(values)
    blocks = store.read(
        tenant_id=tenant_id, channel_id=channel_id, first_day=first_day, end_day=end_day
    )
    for block in blocks:
        index = block.day - first_day
        values[index], flags[index], revisions[index] = block.values, block.flags, block.rev
    span = slice(first - first_day * SLOTS_PER_DAY, end - first_day * SLOTS_PER_DAY)
    return Stretch(
        values=values.reshape(-1)[span],
        flags=flags.reshape(-1)[span],
        revisions=tuple(revisions),
    )
