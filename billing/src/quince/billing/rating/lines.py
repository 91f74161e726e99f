"""The lines of a bill and what they add up to."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from quince.billing.tariff.charges import MICRO_PLACES, Rounding

_NO_LOSS = Decimal(1)
_WHOLE = Fraction(1)


class LineKind(StrEnum):
    """What a line is for; everything but TAX makes the subtotal."""

    ENERGY = "ENERGY"
    DEMAND = "DEMAND"
    FIXED = "FIXED"
    SURCHARGE = "SURCHARGE"
    TAX = "TAX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What a line charges for, before any rounding.

    `share` is the part of the quantity or of the month that this price bills.
    """

    kind: LineKind
    code: str
    name: str
    quantity: Decimal
    unit: str
    unit_price: Decimal
    loss_factor: Decimal = _NO_LOSS
    share: Fraction = _WHOLE

    @property
    def exact(self) -> Fraction:
        """The amount before rounding: quantity × loss factor × share × unit price."""
        return (
            Fraction(self.quantity)
            * Fraction(self.loss_factor)
            * self.share
            * Fraction(self.unit_price)
        )

    def rounded(self, rounding: Rounding) -> "Line":
        """Return the line, its amount rounded once."""
        return Line(item=self, amount=rounding.amount(self.exact))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An item and its rounded amount."""

    item: Item
    amount: Decimal

    @property
    def amount_micro(self) -> int:
        """The amount in millionths of the currency."""
        return int(Fraction(self.amount) * 10**MICRO_PLACES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """All lines of a bill; sums of rounded lines are exact and are not rounded again."""

    currency: str
    lines: tuple[Line, ...]

    @property
    def subtotal(self) -> Decimal:
        """What is charged before tax."""
        return total_of(line for line in self.lines if line.item.kind is not LineKind.TAX)

    @property
    def total(self) -> Decimal:
        """What is to be paid."""
        return total_of(self.lines)


def total_of(lines: Iterable[Line]) -> Decimal:
    """Return the sum of the lines' amounts, 0 for none.

    Exact up to the 28 digits of the decimal context: amounts have at most 6 decimals.
    """
    return sum((line.amount for line in lines), Decimal(0))
