from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quince.billing.contracts.service import book_for, book_named, import_tariff
from quince.billing.contracts.store import SqlContractStore
from quince.billing.errors import NotBillableError, TariffChangedError, UnknownRecordError
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
    with pytest.raises(NotBillableError, match="no version in force on 2026-05-31"):
        await book_for(store, tenant_id=1, tariff_id="SV-HORARIO", period=MAY)


async def test_a_later_version_supersedes_from_its_first_day(
    store: SqlContractStore, tariff: Tariff
) -> None:
    later = replace(tariff, version="B", valid_from=date(2026, 5, 31))
    for version in (tariff, later):
        await import_tariff(store, tenant_id=1, tariff=version)
    book = await book_for(store, tenant_id=1, tariff_id="SV-HORARIO", period=MAY)
    assert book.versions == (tariff, later)
    assert (book.index_on(date(2026, 5, 30)), book.index_on(date(2026, 5, 31))) == (0, 1)


async def test_a_superseded_version_is_in_no_later_book(
    store: SqlContractStore, tariff: Tariff
) -> None:
    later = replace(tariff, version="B", valid_from=date(2026, 5, 1))
    for version in (tariff, later):
        await import_tariff(store, tenant_id=1, tariff=version)
    book = await book_for(store, tenant_id=1, tariff_id="SV-HORARIO", period=MAY)
    assert book.versions == (later,)


async def test_a_superseded_version_does_not_come_back_when_its_successor_ends(
    store: SqlContractStore, tariff: Tariff
) -> None:
    short = replace(tariff, version="B", valid_from=date(2026, 4, 1), valid_to=date(2026, 5, 30))
    for version in (tariff, short):
        await import_tariff(store, tenant_id=1, tariff=version)
    with pytest.raises(NotBillableError, match="no version in force on 2026-05-31"):
        await book_for(store, tenant_id=1, tariff_id="SV-HORARIO", period=MAY)


async def test_two_versions_with_one_first_day_are_refused(
    store: SqlContractStore, tariff: Tariff
) -> None:
    await import_tariff(store, tenant_id=1, tariff=tariff)
    with pytest.raises(TariffChangedError, match="SV-HORARIO 2026 begins on 2026-01-01 as well"):
        await import_tariff(store, tenant_id=1, tariff=replace(tariff, version="B"))
    assert (await store.tariffs(tenant_id=1, tariff_id="SV-HORARIO", versions=("2026", "B"))) == (
        tariff,
    )


async def test_a_version_that_is_not_kept_is_named(store: SqlContractStore, tariff: Tariff) -> None:
    await import_tariff(store, tenant_id=1, tariff=tariff)
    with pytest.raises(UnknownRecordError, match="no tariff 'SV-HORARIO 2025'"):
        await book_named(
            store, tenant_id=1, tariff_id="SV-HORARIO", versions=("2025", tariff.version)
        )


async def test_a_tenant_does_not_see_anothers_tariff(
    store: SqlContractStore, tariff: Tariff
) -> None:
    await import_tariff(store, tenant_id=2, tariff=tariff)
    with pytest.raises(NotBillableError, match="no version"):
        await book_for(store, tenant_id=1, tariff_id="SV-HORARIO", period=MAY)
