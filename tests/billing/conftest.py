"""The demonstration's tariff, a bill of its two days, and an empty database."""

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quince.billing.bill.bill import Bill, Evidence, Heading, Provenance, make_bill
from quince.billing.determinants.determinants import measure, row_of
from quince.billing.determinants.plan import plan_period
from quince.billing.rating.rating import rate
from quince.billing.schema import METADATA
from quince.billing.tariff.document import parse_tariff
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff, TariffBook
from quince.headend.platform.sql import open_engine


@pytest.fixture(scope="session")
def tariff_text() -> str:
    return (Path(__file__).parents[2] / "demo" / "tariff.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def tariff(tariff_text: str) -> Tariff:
    return parse_tariff(tariff_text)


@pytest.fixture(scope="session")
def season_change() -> Period:
    return Period(first_day=date(2026, 4, 30), last_day=date(2026, 5, 1))


@pytest.fixture(scope="session")
def heading(season_change: Period) -> Heading:
    return Heading(
        tenant_id=1,
        customer_id="C-1",
        customer_name="Panadería La Esperanza",
        account_id="A-1",
        premise="Calle Arce 12, San Salvador",
        meter_id="SV-1",
        channel="1-0:1.29.0",
        period=season_change,
    )


@pytest.fixture(scope="session")
def bill(tariff: Tariff, heading: Heading) -> Bill:
    """1 kWh in each quarter-hour of 30 April and 1 May 2026, but 5 kWh at 12:00 on the first."""
    book = TariffBook(versions=(tariff,))
    plan = plan_period(book, heading.period)
    values = (*(1000,) * 48, 5000, *(1000,) * 143)
    (determinants,) = measure(plan, row_of(values))
    return make_bill(
        heading=heading,
        evidence=Evidence(
            start_utc=plan.start_utc,
            end_utc=plan.end_utc,
            expected=192,
            estimated=0,
            sha256="ab" * 32,
        ),
        book=book,
        charges=rate(book, determinants),
        provenance=Provenance(as_of=(3, 3, 1), code_version="0.1.0"),
    )


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(tmp_path / "quince.db")
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    yield engine
    await engine.dispose()
