"""Final series and completeness, as billing, the portal and operations ask for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from quince.headend.assets.rules import Meter
from quince.headend.intervals.rules import EMPTY, Values, slot_of
from quince.headend.intervals.service import NO_CHANNEL, Channel, IntervalStore, read_stretch
from quince.headend.usage.rules import (
    Conservation,
    Span,
    judge_conservation,
    local_day,
    missing_spans,
    vector_sha256,
)
from quince.model.errors import InvalidValueError
from quince.model.interval import SLOTS_PER_DAY
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, Obis, register_channel
from quince.model.quality import Quality

# What one answer of the completeness table may hold: a screen's worth; ask again for the next.
METERS_MAX = 200
DAYS_MAX = 31
YEAR_MIN, YEAR_MAX = 1971, 9998  # a day before and a month after are dates too
_DAY = timedelta(days=1)
_UNREGISTERED_ZONE = "UTC"  # for display: a meter nobody registered stands nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalSeries:
    """One channel's intervals as a bill may use them.

    `values[i]` is the energy of [start_utc + i * 15 min, + 15 min) in the OBIS code's unit (Wh),
    None where nothing is known; `quality[i]` is MISSING exactly there. `revisions` has one number
    per UTC day touched: how often its block changed. `sha256` names values and quality together.
    """

    meter_id: str
    obis: Obis
    start_utc: datetime
    values: tuple[int | None, ...]
    quality: tuple[Quality, ...]
    revisions: tuple[int, ...]
    sha256: str

    def __post_init__(self) -> None:
        if len(self.values) != len(self.quality):
            raise InvalidValueError("quality", len(self.quality), "one flag set per value")

    @property
    def complete(self) -> bool:
        """Whether every interval has a value."""
        return None not in self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCompleteness:
    """One channel's local day: what it should have, what it has, whether it adds up.

    `expected` is 92, 96 or 100; `missing` holds only intervals that are over. `energy` is the sum
    of what was received, in the OBIS code's unit.
    """

    meter_id: str
    obis: Obis
    zone: str
    day: date
    expected: int
    received: int
    estimated: int
    energy: int
    missing: tuple[Span, ...]
    conservation: Conservation


class Meters(Protocol):
    """The registered meters."""

    async def meters(self, *, tenant_id: int, after: str, limit: int) -> Sequence[Meter]:
        """Return the first `limit` meters whose identifier follows `after`."""
        ...

    async def zone_of(self, *, tenant_id: int, meter_id: str) -> str | None:
        """Return the time zone a registered meter stands in."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The questions, bound to where the answers are."""

    intervals: IntervalStore
    meters: Meters

    async def final_series(
        self, *, tenant_id: int, meter_id: str, obis: Obis, start_utc: datetime, end_utc: datetime
    ) -> FinalSeries:
        """Return the intervals of [start_utc, end_utc), both quarter-hours, at most 400 days.

        A meter or channel nobody heard of is one whose every interval is missing.
        InvalidValueError for a range that cannot be.
        """
        channels = self.intervals.channels(tenant_id=tenant_id, meter_ids=[meter_id])
        stretch = read_stretch(
            self.intervals,
            tenant_id=tenant_id,
            channel_id=next((one.channel_id for one in channels if one.obis == obis), NO_CHANNEL),
            start_utc=start_utc,
            end_utc=end_utc,
        )
        present = stretch.values != EMPTY
        values = tuple(
            value if is_present else None
            for value, is_present in zip(stretch.values.tolist(), present.tolist(), strict=True)
        )
        flags = np.where(present, stretch.flags, Quality.MISSING)
        quality = tuple(Quality(flag) for flag in flags.tolist())
        return FinalSeries(
            meter_id=meter_id,
            obis=obis,
            start_utc=start_utc,
            values=values,
            quality=quality,
            revisions=stretch.revisions,
            sha256=vector_sha256(
                meter_id=meter_id, obis=obis, start_utc=start_utc, values=values, quality=quality
            ),
        )

    async def local_days(
        self, *, tenant_id: int, meter_id: str, first_day: date, last_day: date
    ) -> Span:
        """Return the meter's local days first_day..last_day, both included, in UTC.

        InvalidValueError for days that cannot be, and for a meter nobody registered.
        """
        if not YEAR_MIN <= first_day.year <= last_day.year <= YEAR_MAX or last_day < first_day:
            raise InvalidValueError("first_day", first_day.isoformat(), "not after last_day")
        zone = await self.meters.zone_of(tenant_id=tenant_id, meter_id=meter_id)
        if zone is None:
            raise InvalidValueError("meter_id", meter_id, "not registered, so it has no local day")
        place = ZoneInfo(zone)
        return Span(
            start_utc=local_day(first_day, place).start_utc,
            end_utc=local_day(last_day, place).end_utc,
        )

    async def completeness(
        self,
        *,
        tenant_id: int,
        first_day: date,
        last_day: date,
        now_utc: datetime,
        after_meter: str = "",
    ) -> tuple[DayCompleteness, ...]:
        """Return a row per channel and local day, for the next METERS_MAX meters by identifier.

        A registered meter that never sent anything has rows too: all of it is missing.
        """
        if not YEAR_MIN <= first_day.year <= YEAR_MAX:
            raise InvalidValueError("first_day", first_day.isoformat(), f"{YEAR_MIN}..{YEAR_MAX}")
        if not first_day <= last_day < first_day + DAYS_MAX * _DAY:
            raise InvalidValueError("last_day", last_day.isoformat(), f"1 to {DAYS_MAX} days")
        zones = await self._zones(tenant_id, after_meter)
        channels = self._channels(tenant_id, list(zones))
        # A local day lies within the UTC days around it, wherever on Earth it is.
        load_from = _utc_day(first_day - _DAY)
        values = self.intervals.load(
            tenant_id=tenant_id,
            channel_ids=[one.channel_id for one in channels],
            first_day=load_from,
            end_day=_utc_day(last_day + 2 * _DAY),
        )
        table = _Table(
            intervals=self.intervals,
            tenant_id=tenant_id,
            first_slot=load_from * SLOTS_PER_DAY,
            now_utc=now_utc,
        )
        return tuple(
            table.row(channel, zones[channel.meter_id], first_day + offset * _DAY, days.reshape(-1))
            for channel, days in zip(channels, values, strict=True)
            for offset in range((last_day - first_day).days + 1)
        )

    def _channels(self, tenant_id: int, meter_ids: Sequence[str]) -> Sequence[Channel]:
        """Return the meters' channels by meter; a silent meter has the one it should have."""
        heard = self.intervals.channels(tenant_id=tenant_id, meter_ids=meter_ids)
        silent = [
            Channel(channel_id=NO_CHANNEL, meter_id=meter_id, obis=ACTIVE_IMPORT_INTERVAL)
            for meter_id in sorted({*meter_ids} - {channel.meter_id for channel in heard})
        ]
        return sorted([*heard, *silent], key=lambda channel: (channel.meter_id, channel.obis))

    async def _zones(self, tenant_id: int, after: str) -> dict[str, str]:
        """Return the next METERS_MAX meters, registered or only heard of, with their zones."""
        registered = {
            meter.meter_id: meter.zone
            for meter in await self.meters.meters(
                tenant_id=tenant_id, after=after, limit=METERS_MAX
            )
        }
        seen = self.intervals.meters_seen(tenant_id=tenant_id, after=after, limit=METERS_MAX)
        return {
            meter_id: registered.get(meter_id, _UNREGISTERED_ZONE)
            for meter_id in sorted({*registered, *seen})[:METERS_MAX]
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """What every row of one completeness table shares."""

    intervals: IntervalStore
    tenant_id: int
    first_slot: int
    now_utc: datetime

    def row(self, channel: Channel, zone: str, day: date, slots: Values) -> DayCompleteness:
        """Judge one channel's local day; `slots` begin at `first_slot`."""
        span = local_day(day, ZoneInfo(zone))
        first, end = (
            slot_of(span.start_utc) - self.first_slot,
            slot_of(span.end_utc) - self.first_slot,
        )
        present = slots[first:end] != EMPTY
        received = int(present.sum())
        energy = int(slots[first:end].sum(where=present, dtype=np.int64))
        return DayCompleteness(
            meter_id=channel.meter_id,
            obis=channel.obis,
            zone=zone,
            day=day,
            expected=len(present),
            received=received,
            estimated=0,  # nothing is estimated yet
            energy=energy,
            missing=missing_spans(span.start_utc, present.tolist(), self.now_utc),
            conservation=self._conservation(
                channel, span, energy, complete=received == len(present)
            ),
        )

    def _conservation(
        self, channel: Channel, span: Span, energy: int, *, complete: bool
    ) -> Conservation:
        try:
            register = register_channel(channel.obis)
        except InvalidValueError:
            return Conservation.UNKNOWN  # no register tells this channel's growth
        before, after = (
            self.intervals.register_values(
                tenant_id=self.tenant_id, meter_id=channel.meter_id, obis=register, at_utc=moment
            )
            for moment in (span.start_utc, span.end_utc)
        )
        return judge_conservation(energy=energy, complete=complete, before=before, after=after)


def _utc_day(day: date) -> int:
    return (day - date(1970, 1, 1)).days
