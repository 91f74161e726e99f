"""Tariff versions: kept once, found by the days they are in force."""

from typing import Protocol

from quince.billing.errors import NotBillableError, TariffChangedError
from quince.billing.tariff.document import tariff_sha256
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff, TariffBook


class ContractStore(Protocol):
    """Where tariff versions are kept."""

    async def put_tariff(self, *, tenant_id: int, tariff: Tariff) -> Tariff:
        """Keep the version unless there is one of its name; return the one that is kept."""
        ...

    async def tariffs_in_force(
        self, *, tenant_id: int, tariff_id: str, period: Period
    ) -> tuple[Tariff, ...]:
        """Return the versions in force on any day of the period, oldest first."""
        ...


async def import_tariff(store: ContractStore, *, tenant_id: int, tariff: Tariff) -> None:
    """Keep a tariff version; once more is no harm, TariffChangedError if its words differ."""
    kept = await store.put_tariff(tenant_id=tenant_id, tariff=tariff)
    if tariff_sha256(kept) != tariff_sha256(tariff):
        raise TariffChangedError(
            f"tariff {tariff.tariff_id} {tariff.version} is kept with other words:"
            " a change is a new version"
        )


async def book_for(
    store: ContractStore, *, tenant_id: int, tariff_id: str, period: Period
) -> TariffBook:
    """Return the versions a period needs; NotBillableError where a day has none or two."""
    versions = await store.tariffs_in_force(tenant_id=tenant_id, tariff_id=tariff_id, period=period)
    for day in period:
        count = sum(version.valid_from <= day <= version.valid_to for version in versions)
        if count != 1:
            raise NotBillableError(
                f"tariff {tariff_id} has {count} versions in force on {day}, not one"
            )
    return TariffBook(versions=versions)
