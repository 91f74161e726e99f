"""What a tariff charges for, and how an amount is rounded.

Law: prices are integers in millionths of the currency; factors and rates are exact decimals.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from quince.model.errors import InvalidValueError

MICRO_PLACES = 6
# A million currency units per kWh is a slipped decimal point, not a price.
PRICE_MICRO_MAX = 10**12


class RoundingMode(StrEnum):
    """Where an amount exactly between two goes."""

    HALF_UP = "HALF_UP"  # away from zero, so that a credit mirrors its charge
    HALF_EVEN = "HALF_EVEN"


class Per(StrEnum):
    """What one fixed price pays for."""

    DAY = "DAY"
    MONTH = "MONTH"


class EnergyProration(StrEnum):
    """Which energy a price version bills when the price changes within the period."""

    METERED = "METERED"  # the energy metered while it was in force
    DAYS = "DAYS"  # the period's energy, by the share of days it was in force


class MonthBasis(StrEnum):
    """What makes a month, for prices per month."""

    PERIOD = "PERIOD"  # the billing period, whatever its length: shares of its days
    CALENDAR = "CALENDAR"  # the calendar month: each day is 1/28..1/31 of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """The tariff's rounding rule; every line is rounded by it, once."""

    places: int
    mode: RoundingMode

    def __post_init__(self) -> None:
        if not 0 <= self.places <= MICRO_PLACES:
            raise InvalidValueError("rounding.places", self.places, f"0..{MICRO_PLACES}")

    def amount(self, exact: Fraction) -> Decimal:
        """Return `exact` rounded to `places` decimals, symmetrically about zero."""
        scaled = abs(exact) * 10**self.places
        if self.mode is RoundingMode.HALF_UP:
            units = math.floor(scaled + Fraction(1, 2))
        else:
            units = round(scaled)
        # From text, because arithmetic on a Decimal rounds to the context's 28 digits.
        return Decimal(f"{units if exact >= 0 else -units}e-{self.places}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyPrice:
    """The price of a kWh in one block of one season."""

    season: str
    block: str
    price_micro_per_kwh: int

    def __post_init__(self) -> None:
        _require_price("energy.price_micro_per_kwh", self.price_micro_per_kwh)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandCharge:
    """A monthly price per kW of the highest quarter-hour, in `block` or (None) in all."""

    code: str
    name: str
    block: str | None
    price_micro_per_kw_month: int

    def __post_init__(self) -> None:
        _require_price("demand.price_micro_per_kw_month", self.price_micro_per_kw_month)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedCharge:
    """A price per day or month, whatever is used."""

    code: str
    name: str
    price_micro: int
    per: Per

    def __post_init__(self) -> None:
        _require_price("fixed.price_micro", self.price_micro)


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentCharge:
    """A surcharge or tax: `rate` times the rounded lines named by `base`.

    `base` holds the codes of earlier lines; empty, it is every earlier line that is no tax.
    A negative rate is a discount or a retention.
    """

    code: str
    name: str
    rate: Decimal
    base: tuple[str, ...]

    def __post_init__(self) -> None:
        if not -1 <= self.rate <= 1:
            raise InvalidValueError("percent.rate", str(self.rate), "-1..1")


def _require_price(field: str, price_micro: int) -> None:
    if not 0 <= price_micro <= PRICE_MICRO_MAX:
        raise InvalidValueError(field, price_micro, f"0..{PRICE_MICRO_MAX}")
