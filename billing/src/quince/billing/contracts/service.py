"""Tariff versions: kept once, found by the days they are in force."""

from datetime import date
from typing import Protocol

from quince.billing.errors import NotBillableError, TariffChangedError, UnknownRecordError
from quince.billing.tariff.document import tariff_sha256
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff, TariffBook, index_in_force


class ContractStore(Protocol):
    """Where tariff versions are kept."""

    async def put_tariff(self, *, tenant_id: int, tariff: Tariff) -> Tariff:
        """Keep the version unless one has its name or first day; return the one that is kept."""
        ...

    async def tariffs(
        self, *, tenant_id: int, tariff_id: str, versions: tuple[str, ...]
    ) -> tuple[Tariff, ...]:
        """Return the versions of these names, by their first day; what is not kept is left out."""
        ...

    async def tariffs_begun(
        self, *, tenant_id: int, tariff_id: str, last_day: date
    ) -> tuple[Tariff, ...]:
        """Return the versions whose first day is no later than `last_day`, by their first day."""
        ...


async def import_tariff(store: ContractStore, *, tenant_id: int, tariff: Tariff) -> None:
    """Keep a tariff version: from its first day on it supersedes those before it.

    Once more is no harm. TariffChangedError if a version of its name has other words, or if
    another version has its first day.
    """
    kept = await store.put_tariff(tenant_id=tenant_id, tariff=tariff)
    if kept.version != tariff.version:
        raise TariffChangedError(
            f"tariff {tariff.tariff_id} {kept.version} begins on {kept.valid_from} as well:"
            " a day has one version"
        )
    if tariff_sha256(kept) != tariff_sha256(tariff):
        raise TariffChangedError(
            f"tariff {tariff.tariff_id} {tariff.version} is kept with other words:"
            " a change is a new version"
        )


async def book_for(
    store: ContractStore, *, tenant_id: int, tariff_id: str, period: Period
) -> TariffBook:
    """Return the versions a period needs today; NotBillableError where a day has none."""
    begun = await store.tariffs_begun(
        tenant_id=tenant_id, tariff_id=tariff_id, last_day=period.last_day
    )
    needed: set[int] = set()
    for day in period:
        index = index_in_force(begun, day)
        if index is None:
            raise NotBillableError(f"tariff {tariff_id} has no version in force on {day}")
        needed.add(index)
    return TariffBook(versions=tuple(begun[index] for index in sorted(needed)))


async def book_named(
    store: ContractStore, *, tenant_id: int, tariff_id: str, versions: tuple[str, ...]
) -> TariffBook:
    """Return the versions of these names; UnknownRecordError names one that is not kept."""
    kept = await store.tariffs(tenant_id=tenant_id, tariff_id=tariff_id, versions=versions)
    for version in versions:
        if version not in {tariff.version for tariff in kept}:
            raise UnknownRecordError("tariff", f"{tariff_id} {version}")
    return TariffBook(versions=kept)
