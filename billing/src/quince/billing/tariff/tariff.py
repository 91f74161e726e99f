"""One version of a tariff, and the versions a billing period needs."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from quince.billing.tariff.calendar import Calendar
from quince.billing.tariff.charges import (
    DemandCharge,
    EnergyPrice,
    EnergyProration,
    FixedCharge,
    MonthBasis,
    PercentCharge,
    Rounding,
)
from quince.model.errors import InvalidValueError

ENERGY_CODE = "ENERGY"
_LOSS_FACTOR_MAX = 2  # losses beyond the energy delivered are a typing error


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """One version: in force on the local days `valid_from`..`valid_to`, both included.

    `zone` is an IANA name; `loss_factor` multiplies energy and demand before the price
    (transformation losses, where the meter sits on the low side). `blocks` gives the order
    in which a bill lists them.
    """

    tariff_id: str
    version: str
    name: str
    currency: str
    zone: str
    valid_from: date
    valid_to: date
    loss_factor: Decimal
    rounding: Rounding
    energy_proration: EnergyProration
    month_basis: MonthBasis
    blocks: tuple[str, ...]
    calendar: Calendar
    energy: tuple[EnergyPrice, ...]
    demand: tuple[DemandCharge, ...]
    fixed: tuple[FixedCharge, ...]
    surcharges: tuple[PercentCharge, ...]
    taxes: tuple[PercentCharge, ...]

    def __post_init__(self) -> None:
        if self.valid_from > self.valid_to:
            raise InvalidValueError("valid_to", self.valid_to.isoformat(), "not before valid_from")
        if not 1 <= self.loss_factor <= _LOSS_FACTOR_MAX:
            raise InvalidValueError("loss_factor", str(self.loss_factor), f"1..{_LOSS_FACTOR_MAX}")
        _require_zone(self.zone)
        self._require_one_price_a_bucket()
        self._require_known_blocks()
        self._require_known_bases()

    def _require_one_price_a_bucket(self) -> None:
        priced = [(price.season, price.block) for price in self.energy]
        if len(priced) != len(set(priced)):
            raise InvalidValueError("energy", len(priced), "one price per season and block")
        needed = {
            (season.code, block)
            for season in self.calendar.seasons
            for block in self.calendar.blocks_in(season.code)
        }
        for bucket in sorted(needed.symmetric_difference(priced)):
            reason = "no price" if bucket in needed else "no such season and block"
            raise InvalidValueError("energy", bucket, reason)

    def _require_known_blocks(self) -> None:
        billed = {d.block for d in self.demand if d.block} | {p.block for p in self.energy}
        for block in sorted(billed.symmetric_difference(self.blocks)):
            raise InvalidValueError("blocks", block, "declared and used, or neither")

    def _require_known_bases(self) -> None:
        known = [ENERGY_CODE, *(d.code for d in self.demand), *(f.code for f in self.fixed)]
        for charge in (*self.surcharges, *self.taxes):
            for code in charge.base:
                if code not in known:
                    raise InvalidValueError(f"{charge.code}.base", code, "no earlier line")
            known.append(charge.code)
        if len(known) != len(set(known)):
            raise InvalidValueError("code", known, "each line's code is its own")

    def price_of(self, season: str, block: str) -> int:
        """Return the price of a kWh, in millionths, in a block of a season."""
        bucket = (season, block)
        return next(p.price_micro_per_kwh for p in self.energy if (p.season, p.block) == bucket)


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffBook:
    """The consecutive versions of one tariff that one bill uses, oldest first.

    A later version supersedes: an earlier one ends the day before it, or on its own `valid_to`.
    They may differ in calendar and prices. What holds for a bill as a whole (zone, currency,
    losses, rounding, proration, surcharges, taxes) must be the same: where it changes, two
    bills do. Energy prorated by days needs one calendar as well: a share has one set of blocks.
    """

    versions: tuple[Tariff, ...]

    def __post_init__(self) -> None:
        if not self.versions:
            raise InvalidValueError("versions", 0, "at least one")
        for earlier, later in pairwise(self.versions):
            begins_later = earlier.valid_from < later.valid_from
            if not begins_later or (later.valid_from - earlier.valid_to).days > 1:
                raise InvalidValueError("versions", later.version, f"must follow {earlier.version}")
            if _whole(later) != _whole(earlier):
                reason = f"differs from {earlier.version} in more than calendar and prices"
                raise InvalidValueError("versions", later.version, reason)

    @property
    def terms(self) -> Tariff:
        """The version that speaks for what all of them share."""
        return self.versions[0]

    def index_on(self, day: date) -> int:
        """Return the place of the version in force on a local day; InvalidValueError if none."""
        index = index_in_force(self.versions, day)
        if index is None:
            raise InvalidValueError("day", day.isoformat(), "no version of the tariff is in force")
        return index


def index_in_force(versions: tuple[Tariff, ...], day: date) -> int | None:
    """Return the place of the version in force on a local day, None if there is none.

    `versions` are by `valid_from`, each its own. The last one begun rules until its `valid_to`;
    what it superseded does not come back after that.
    """
    index = bisect_right(versions, day, key=lambda version: version.valid_from) - 1
    return index if index >= 0 and day <= versions[index].valid_to else None


def _whole(tariff: Tariff) -> tuple[object, ...]:
    return (
        tariff.tariff_id,
        tariff.currency,
        tariff.zone,
        tariff.loss_factor,
        tariff.rounding,
        tariff.energy_proration,
        tariff.month_basis,
        tariff.surcharges,
        tariff.taxes,
        tariff.calendar if tariff.energy_proration is EnergyProration.DAYS else None,
    )


def _require_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidValueError("zone", name, "no such IANA time zone") from error
