"""A tariff as a TOML file people write, and as canonical JSON that is kept and hashed."""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from quince.billing.border import Entry, read_toml
from quince.billing.canonical import canonical_json, from_json, sha256_hex
from quince.billing.tariff.calendar import (
    QUARTERS_PER_DAY,
    BlockSpan,
    Calendar,
    DaySchedule,
    DayType,
    MonthDay,
    Season,
)
from quince.billing.tariff.charges import (
    MICRO_PLACES,
    PRICE_MICRO_MAX,
    DemandCharge,
    EnergyPrice,
    EnergyProration,
    FixedCharge,
    MonthBasis,
    Per,
    PercentCharge,
    Rounding,
    RoundingMode,
)
from quince.billing.tariff.tariff import Tariff
from quince.model.errors import InvalidValueError

_HOURS = re.compile(r"(\d\d):(00|15|30|45)-(\d\d):(00|15|30|45)")
_MONTH_DAY = re.compile(r"(\d\d)-(\d\d)")

_PRICE_MAX = PRICE_MICRO_MAX // 10**MICRO_PLACES
_Price = Annotated[Decimal, Field(ge=0, le=_PRICE_MAX, decimal_places=MICRO_PLACES)]
_Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,31}$")]
_Text = Annotated[str, Field(min_length=1, max_length=64)]


def parse_tariff(text: str) -> Tariff:
    """Read a tariff from TOML; InvalidValueError names what cannot be."""
    return _tariff(read_toml(_TariffEntry, text))


def tariff_bytes(tariff: Tariff) -> bytes:
    """Return the tariff's canonical JSON: what is kept."""
    return canonical_json(tariff)


def read_tariff(octets: bytes) -> Tariff:
    """Return the tariff that `tariff_bytes` wrote."""
    return from_json(Tariff, octets)


def tariff_sha256(tariff: Tariff) -> str:
    """Return the SHA-256 of the tariff's canonical JSON, in hexadecimal."""
    return sha256_hex(tariff_bytes(tariff))


class _RoundingEntry(Entry):
    places: int
    mode: RoundingMode


class _ProrationEntry(Entry):
    energy: EnergyProration
    month: MonthBasis


class _SeasonEntry(Entry):
    code: _Code
    name: _Text
    first: str
    last: str


class _ScheduleEntry(Entry):
    seasons: tuple[str, ...]
    day_types: tuple[DayType, ...] = tuple(DayType)
    hours: dict[_Code, tuple[str, ...]]


class _EnergyEntry(Entry):
    season: str
    block: str
    price_per_kwh: _Price


class _DemandEntry(Entry):
    code: _Code
    name: _Text
    block: str | None = None
    price_per_kw_month: _Price


class _FixedEntry(Entry):
    code: _Code
    name: _Text
    price: _Price
    per: Per


class _PercentEntry(Entry):
    code: _Code
    name: _Text
    rate: Decimal
    base: tuple[str, ...] = ()


class _TariffEntry(Entry):
    id: _Text
    version: _Text
    name: _Text
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    zone: str
    valid_from: date
    valid_to: date
    loss_factor: Decimal
    blocks: tuple[_Code, ...]
    holidays: tuple[date, ...] = ()
    rounding: _RoundingEntry
    proration: _ProrationEntry
    seasons: tuple[_SeasonEntry, ...]
    schedules: tuple[_ScheduleEntry, ...]
    energy: tuple[_EnergyEntry, ...]
    demand: tuple[_DemandEntry, ...] = ()
    fixed: tuple[_FixedEntry, ...] = ()
    surcharges: tuple[_PercentEntry, ...] = ()
    taxes: tuple[_PercentEntry, ...] = ()


def _tariff(entry: _TariffEntry) -> Tariff:
    return Tariff(
        tariff_id=entry.id,
        version=entry.version,
        name=entry.name,
        currency=entry.currency,
        zone=entry.zone,
        valid_from=entry.valid_from,
        valid_to=entry.valid_to,
        loss_factor=entry.loss_factor,
        rounding=Rounding(places=entry.rounding.places, mode=entry.rounding.mode),
        energy_proration=entry.proration.energy,
        month_basis=entry.proration.month,
        blocks=entry.blocks,
        calendar=_calendar(entry),
        energy=tuple(_energy(price) for price in entry.energy),
        demand=tuple(_demand(charge) for charge in entry.demand),
        fixed=tuple(_fixed(charge) for charge in entry.fixed),
        surcharges=tuple(_percent(charge) for charge in entry.surcharges),
        taxes=tuple(_percent(charge) for charge in entry.taxes),
    )


def _calendar(entry: _TariffEntry) -> Calendar:
    return Calendar(
        seasons=tuple(
            Season(code=s.code, name=s.name, first=_month_day(s.first), last=_month_day(s.last))
            for s in entry.seasons
        ),
        holidays=tuple(sorted(set(entry.holidays))),
        schedules=tuple(
            DaySchedule(season=season, day_type=day_type, spans=_spans(schedule.hours))
            for schedule in entry.schedules
            for season in schedule.seasons
            for day_type in schedule.day_types
        ),
    )


def _energy(entry: _EnergyEntry) -> EnergyPrice:
    return EnergyPrice(
        season=entry.season,
        block=entry.block,
        price_micro_per_kwh=_micro(entry.price_per_kwh),
    )


def _demand(entry: _DemandEntry) -> DemandCharge:
    return DemandCharge(
        code=entry.code,
        name=entry.name,
        block=entry.block,
        price_micro_per_kw_month=_micro(entry.price_per_kw_month),
    )


def _fixed(entry: _FixedEntry) -> FixedCharge:
    return FixedCharge(
        code=entry.code, name=entry.name, price_micro=_micro(entry.price), per=entry.per
    )


def _percent(entry: _PercentEntry) -> PercentCharge:
    return PercentCharge(code=entry.code, name=entry.name, rate=entry.rate, base=entry.base)


def _micro(price: Decimal) -> int:
    return int(price.scaleb(MICRO_PLACES))


def _month_day(text: str) -> MonthDay:
    match = _MONTH_DAY.fullmatch(text)
    if match is None:
        raise InvalidValueError("season", text, "expected MM-DD")
    return MonthDay(int(match[1]), int(match[2]))


def _spans(hours: dict[str, tuple[str, ...]]) -> tuple[BlockSpan, ...]:
    """Return the spans in the order of the day; one past midnight becomes two."""
    spans = [
        BlockSpan(block=block, first_quarter=first, end_quarter=end)
        for block, texts in hours.items()
        for text in texts
        for first, end in _quarters(text)
    ]
    return tuple(sorted(spans, key=lambda span: (span.first_quarter, span.block)))


def _quarters(text: str) -> tuple[tuple[int, int], ...]:
    match = _HOURS.fullmatch(text)
    if match is None:
        raise InvalidValueError("hours", text, "expected HH:MM-HH:MM on quarter-hours")
    first, end = (int(match[n]) * 4 + int(match[n + 1]) // 15 for n in (1, 3))
    if 0 < end < first:
        return (first, QUARTERS_PER_DAY), (0, end)
    return ((first, end or QUARTERS_PER_DAY),)
