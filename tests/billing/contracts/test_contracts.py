from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quince.billing.contracts.service import book_for, import_tariff
from quince.billing.contracts.store import SqlContractStore
from quince.billing.errors import NotBillableError, TariffChangedError
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff

MAY = Period(first_day=date(2026, 5, 1), last_day=date(2026, 5, 31))


@pytest.fixture
def store(engine: AsyncEngine) -> SqlContractStore:
    return SqlContractStore(engine)


async def test_a_tariff_comes_back_as_it_was_kept(store: SqlContractStore, tariff: Tariff) -> None:
    await import_tariff(store, tenant_id=1, tariff=tariff)
    book = await book_for(store, tenant_id=1, tariff_id="SV-HORARIO", period=MAY)
    assert book.versions == (tariff,)


async def test_importing_a_tariff_twice_is_no_harm(store: SqlContractStore, tariff: Tariff) -> None:
    await import_tariff(store, tenant_id=1, tariff=tariff)
    await import_tariff(store, tenant_id=1, tariff=tariff)
    assert (
        len((await book_for(store, tenant_id=1, tariff_id="SV-HORARIO", period=MAY)).versions) == 1
    )


async def test_a_kept_version_is_never_changed(store: SqlContractStore, tariff: Tariff) -> None:
    await import_tariff(store, tenant_id=1, tariff=tariff)
    with pytest.raises(TariffChangedError, match="a change is a new version"):
        await import_tariff(store, tenant_id=1, tariff=replace(tariff, name="Cheaper"))
    book = await book_for(store, tenant_id=1, tariff_id="SV-HORARIO", period=MAY)
    assert book.terms.name == tariff.name


async def test_a_price_change_in_the_period_needs_both_versions(
    store: SqlContractStore, tariff: Tariff
) -> None:
    late = replace(tariff, version="B", valid_from=date(2026, 5, 15))
    early = replace(tariff, version="A", valid_to=date(2026, 5, 14))
    await import_tariff(store, tenant_id=1, tariff=late)
    await import_tariff(store, tenant_id=1, tariff=early)
    book = await book_for(store, tenant_id=1, tariff_id="SV-HORARIO", period=MAY)
    assert [version.version for version in book.versions] == ["A", "B"]


async def test_a_day_without_a_version_is_named(store: SqlContractStore, tariff: Tariff) -> None:
    await import_tariff(store, tenant_id=1, tariff=replace(tariff, valid_to=date(2026, 5, 30)))
    with pytest.raises(NotBillableError, match="0 versions in force on 2026-05-31"):
        await book_for(store, tenant_id=1, tariff_id="SV-HORARIO", period=MAY)


async def test_a_day_with_two_versions_is_named(store: SqlContractStore, tariff: Tariff) -> None:
    await import_tariff(store, tenant_id=1, tariff=tariff)
    overlapping = replace(tariff, version="B", valid_from=date(2026, 5, 31))
    await import_tariff(store, tenant_id=1, tariff=overlapping)
    with pytest.raises(NotBillableError, match="2 versions in force on 2026-05-31"):
        await book_for(store, tenant_id=1, tariff_id="SV-HORARIO", period=MAY)


async def test_a_tenant_does_not_see_anothers_tariff(
    store: SqlContractStore, tariff: Tariff
) -> None:
    await import_tariff(store, tenant_id=2, tariff=tariff)
    with pytest.raises(NotBillableError, match="0 versions"):
        await book_for(store, tenant_id=1, tariff_id="SV-HORARIO", period=MAY)
