"""Rating: each determinant times its price, rounded once by the tariff's rule.

Law: everything is a Fraction until the one rounding of its line; Σ lines is the total.
"""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from quince.billing.determinants.determinants import BucketTotals, Determinants
from quince.billing.determinants.plan import DayShare
from quince.billing.rating.lines import Charges, Item, Line, LineKind, total_of
from quince.billing.tariff.charges import (
    MICRO_PLACES,
    EnergyProration,
    FixedCharge,
    MonthBasis,
    Per,
    PercentCharge,
)
from quince.billing.tariff.tariff import ENERGY_CODE, Tariff, TariffBook
from quince.model.errors import InvalidValueError

_QUARTERS_PER_HOUR = 4


def rate(book: TariffBook, determinants: Determinants) -> Charges:
    """Return the charges for one meter's period.

    InvalidValueError when an interval is missing: energy is never invented.
    """
    if determinants.missing:
        raise InvalidValueError("missing", determinants.missing, "a bill needs every interval")
    rounding = book.terms.rounding
    items = (
        *_energy(book, determinants),
        *_demand(book, determinants),
        *_fixed(book, determinants),
    )
    lines = [item.rounded(rounding) for item in items]
    for charge in book.terms.surcharges:
        lines.append(_percent(book, charge, LineKind.SURCHARGE, lines).rounded(rounding))
    for charge in book.terms.taxes:
        lines.append(_percent(book, charge, LineKind.TAX, lines).rounded(rounding))
    return Charges(currency=book.terms.currency, lines=tuple(lines))


def _energy(book: TariffBook, determinants: Determinants) -> Iterator[Item]:
    for days in determinants.day_shares:
        version = book.versions[days.version]
        pool, share = _energy_pool(book.terms, determinants, days)
        season = next(s.name for s in version.calendar.seasons if s.code == days.season)
        for block in version.blocks:
            totals = [each.energy_wh for each in pool if each.bucket.block == block]
            if not totals:
                continue
            yield Item(
                kind=LineKind.ENERGY,
                code=ENERGY_CODE,
                name=_named(book, version, f"{season}, {block}"),
                quantity=_thousandths(sum(totals)),
                unit="kWh",
                unit_price=_price(version.price_of(days.season, block)),
                loss_factor=version.loss_factor,
                share=share,
            )


def _energy_pool(
    terms: Tariff, determinants: Determinants, days: DayShare
) -> tuple[list[BucketTotals], Fraction]:
    """Return the totals a version bills in a season, and the share of them it bills."""
    of_season = [each for each in determinants.totals if each.bucket.season == days.season]
    if terms.energy_proration is EnergyProration.METERED:
        return [each for each in of_season if each.bucket.version == days.version], Fraction(1)
    season_days = sum(d.days for d in determinants.day_shares if d.season == days.season)
    return of_season, Fraction(days.days, season_days)


def _demand(book: TariffBook, determinants: Determinants) -> Iterator[Item]:
    """One line per version and charge: the period's peak, for the version's part of the month."""
    for index, version in _in_force(book, determinants):
        for charge in version.demand:
            yield Item(
                kind=LineKind.DEMAND,
                code=charge.code,
                name=_named(book, version, charge.name),
                quantity=_peak_kw(determinants, charge.block),
                unit="kW",
                unit_price=_price(charge.price_micro_per_kw_month),
                loss_factor=version.loss_factor,
                share=_months(book.terms, determinants, index),
            )


def _fixed(book: TariffBook, determinants: Determinants) -> Iterator[Item]:
    for index, version in _in_force(book, determinants):
        for charge in version.fixed:
            quantity, share = _occasions(book.terms, determinants, index, charge)
            yield Item(
                kind=LineKind.FIXED,
                code=charge.code,
                name=_named(book, version, charge.name),
                quantity=quantity,
                unit=charge.per.lower(),
                unit_price=_price(charge.price_micro),
                share=share,
            )


def _occasions(
    terms: Tariff, determinants: Determinants, index: int, charge: FixedCharge
) -> tuple[Decimal, Fraction]:
    if charge.per is Per.DAY:
        return Decimal(_days(determinants, index)), Fraction(1)
    return Decimal(1), _months(terms, determinants, index)


def _percent(book: TariffBook, charge: PercentCharge, kind: LineKind, before: list[Line]) -> Item:
    if charge.base:
        based = [line for line in before if line.item.code in charge.base]
    else:
        based = [line for line in before if line.item.kind is not LineKind.TAX]
    return Item(
        kind=kind,
        code=charge.code,
        name=charge.name,
        quantity=total_of(based),
        unit=book.terms.currency,
        unit_price=charge.rate,
    )


def _peak_kw(determinants: Determinants, block: str | None) -> Decimal:
    """Return the mean power of the highest quarter-hour, 0 where the block never occurs."""
    peaks_wh = (
        each.peak.energy_wh
        for each in determinants.totals
        if each.peak and block in (None, each.bucket.block)
    )
    return _thousandths(max(peaks_wh, default=0) * _QUARTERS_PER_HOUR)


def _in_force(book: TariffBook, determinants: Determinants) -> Iterator[tuple[int, Tariff]]:
    """Yield the versions with days in the period, and their places in the book."""
    return (
        (index, version)
        for index, version in enumerate(book.versions)
        if _days(determinants, index) > 0
    )


def _months(terms: Tariff, determinants: Determinants, index: int) -> Fraction:
    if terms.month_basis is MonthBasis.PERIOD:
        return Fraction(_days(determinants, index), determinants.period.days)
    return sum((d.months for d in determinants.day_shares if d.version == index), Fraction(0))


def _days(determinants: Determinants, index: int) -> int:
    return sum(d.days for d in determinants.day_shares if d.version == index)


def _named(book: TariffBook, version: Tariff, name: str) -> str:
    """Return the name, with the version where more than one would share it."""
    return name if len(book.versions) == 1 else f"{name} ({version.version})"


def _thousandths(count: int) -> Decimal:
    return Decimal(f"{count}e-3")


def _price(micro: int) -> Decimal:
    return Decimal(f"{micro}e-{MICRO_PLACES}")
