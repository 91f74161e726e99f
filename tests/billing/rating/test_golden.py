"""Bills other engines computed: NREL's PySAM, and a worked table of El Salvador's rules.

PySAM's year has 365 days, begins on a Monday and knows no daylight saving: it is 2018 in
El Salvador. Its monthly demand charge is per billing month, before losses and taxes.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from quince.billing.determinants.determinants import Determinants, measure, row_of
from quince.billing.determinants.plan import plan_period
from quince.billing.rating.lines import LineKind
from quince.billing.rating.rating import rate
from quince.billing.tariff.calendar import Calendar, MonthDay, Season
from quince.billing.tariff.charges import (
    DemandCharge,
    EnergyPrice,
    EnergyProration,
    FixedCharge,
    MonthBasis,
    Per,
    PercentCharge,
)
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff, TariffBook

VERSIONS = ("2014-04-15", "2014-07-15", "2014-10-15", "2015-01-01")
LOADS = ("com_hourly", "com_15min_250kw")
BLOCKS = ("PUNTA", "RESTO", "VALLE")
JSON_ROUNDING = Fraction(1, 10**6)
YEAR_2018 = tuple(
    Period(
        first_day=date(2018, month, 1),
        last_day=date(2018 + month // 12, month % 12 + 1, 1) - timedelta(days=1),
    )
    for month in range(1, 13)
)


@pytest.fixture(scope="module")
def tariffs(public_data: Path) -> Path:
    return public_data / "tariffs"


def load_wh(tariffs: Path, name: str) -> tuple[int, ...]:
    with gzip.open(tariffs / "loads" / f"{name}.csv.gz", "rt") as lines:
        return tuple(int(line) for line in lines)


def micro(amount: float) -> int:
    return int(Decimal(str(amount)).scaleb(6))


def all_year(calendar: Calendar) -> Calendar:
    """Return the blocks of the calendar's first season as those of one season, the year."""
    year = Season(code="YEAR", name="Energy", first=MonthDay(1, 1), last=MonthDay(12, 31))
    schedules = (s for s in calendar.schedules if s.season == calendar.seasons[0].code)
    return replace(
        calendar,
        seasons=(year,),
        schedules=tuple(replace(schedule, season="YEAR") for schedule in schedules),
    )


def from_record(tariff: Tariff, record: dict[str, Any], prices: list[float]) -> Tariff:
    """Return the tariff of a published rate: the same blocks all year, before losses and tax."""
    return replace(
        tariff,
        version=record["startdate"],
        valid_from=date(2014, 1, 1),
        valid_to=date(2018, 12, 31),
        loss_factor=Decimal(1),
        month_basis=MonthBasis.PERIOD,
        calendar=all_year(tariff.calendar),
        energy=tuple(
            EnergyPrice(season="YEAR", block=block, price_micro_per_kwh=micro(price))
            for block, price in zip(BLOCKS, prices, strict=True)
        ),
        demand=(
            DemandCharge(
                code="DEMAND",
                name="Distribution",
                block=None,
                price_micro_per_kw_month=micro(record["flatdemandstructure"][0][0]["rate"]),
            ),
        ),
        fixed=(
            FixedCharge(
                code="COMERCIALIZACION",
                name="Comercialización",
                price_micro=micro(record["fixedchargefirstmeter"]),
                per=Per.MONTH,
            ),
        ),
        taxes=(),
    )


def rate_record(tariffs: Path, version: str) -> dict[str, Any]:
    text = (tariffs / "rates" / f"caess_mt_horario_{version}.json").read_text()
    record: dict[str, Any] = json.loads(text)
    return record


def prices_of(record: dict[str, Any]) -> list[float]:
    return [tiers[0]["rate"] for tiers in record["energyratestructure"]]


def months(book: TariffBook, wh: tuple[int, ...]) -> Iterator[Determinants]:
    first = 0
    for period in YEAR_2018:
        plan = plan_period(book, period)
        yield from measure(plan, row_of(wh[first : first + plan.slots]))
        first += plan.slots


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("version", VERSIONS)
def test_twelve_months_agree_with_pysam(
    version: str, load: str, tariffs: Path, tariff: Tariff
) -> None:
    golden = json.loads(
        (tariffs / "golden" / f"caess_mt_horario_{version}__{load}.json").read_text()
    )
    record = rate_record(tariffs, version)
    book = TariffBook(versions=(from_record(tariff, record, prices_of(record)),))
    kinds = {
        LineKind.ENERGY: "energy_charge",
        LineKind.DEMAND: "demand_flat",
        LineKind.FIXED: "fixed",
    }
    for month, determinants in enumerate(months(book, load_wh(tariffs, load))):
        lines = rate(book, determinants).lines
        for kind, column in kinds.items():
            ours = sum(line.item.exact for line in lines if line.item.kind is kind)
            theirs = Fraction(str(golden["expected"][column][month]))
            assert abs(ours - theirs) <= JSON_ROUNDING, (month, column)


CASES = range(6)


def case_book(tariffs: Path, tariff: Tariff, case: dict[str, Any]) -> TariffBook:
    """Return the versions a worked case names, the later ones from their first day on."""
    names = list(dict.fromkeys(line["tariff_version"] for line in case["lines"][:-2]))
    surcharge = Decimal(case["lines"][-2]["percent"])
    starts = [date(2014, 1, 1), *(date.fromisoformat(name) for name in names[1:])]
    ends = [*(start - timedelta(days=1) for start in starts[1:]), date(2018, 12, 31)]
    return TariffBook(
        versions=tuple(
            replace(
                from_record(
                    tariff,
                    rate_record(tariffs, min(name, VERSIONS[-1])),
                    [
                        float(line["unit_price"])
                        for line in case["lines"]
                        if line["code"] == "ENERGY" and line["tariff_version"] == name
                    ],
                ),
                version=name,
                valid_from=start,
                valid_to=end,
                loss_factor=Decimal(case["transformation_loss_factor"]),
                energy_proration=EnergyProration(case["proration"]),
                surcharges=(
                    PercentCharge(code="PF_SURCHARGE", name="PF", rate=surcharge, base=("ENERGY",)),
                ),
                taxes=tariff.taxes,
            )
            for name, start, end in zip(names, starts, ends, strict=True)
        )
    )


@pytest.mark.parametrize("number", CASES)
def test_a_worked_bill_of_el_salvador_agrees_line_by_line(
    number: int, tariffs: Path, tariff: Tariff
) -> None:
    case = json.loads((tariffs / "golden_sv" / "caess_mt_horario.json").read_text())["cases"][
        number
    ]
    book = case_book(tariffs, tariff, case)
    first = date.fromisoformat(case["period_start"])
    plan = plan_period(
        book, Period(first_day=first, last_day=first + timedelta(days=case["days"] - 1))
    )
    offset = case["slot_offset"]
    wh = load_wh(tariffs, case["load"])[offset : offset + plan.slots]
    charges = rate(book, measure(plan, row_of(wh))[0])
    assert [(line.item.code, str(line.amount)) for line in charges.lines] == [
        (line["code"], line["amount"]) for line in case["lines"]
    ]
    assert (str(charges.subtotal), str(charges.total)) == (case["subtotal"], case["total"])
