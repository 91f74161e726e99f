"""Tariff versions in SQL, as their canonical JSON."""

from sqlalchemy import Column, Date, Integer, LargeBinary, String, Table, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from quince.billing.schema import METADATA
from quince.billing.tariff.document import read_tariff, tariff_bytes
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff
from quince.headend.platform.sql import writing

_TARIFF = Table(
    "billing_tariff",
    METADATA,
    Column("tenant_id", Integer, primary_key=True),
    Column("tariff_id", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("valid_from", Date, nullable=False),
    Column("valid_to", Date, nullable=False),
    Column("document", LargeBinary, nullable=False),
)


class SqlContractStore:
    """The ContractStore of a database; it borrows the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put_tariff(self, *, tenant_id: int, tariff: Tariff) -> Tariff:
        """Keep the version unless there is one of its name; return the one that is kept."""
        row = {
            "tenant_id": tenant_id,
            "tariff_id": tariff.tariff_id,
            "version": tariff.version,
            "valid_from": tariff.valid_from,
            "valid_to": tariff.valid_to,
            "document": tariff_bytes(tariff),
        }
        kept = select(_TARIFF.c.document).where(
            _TARIFF.c.tenant_id == tenant_id,
            _TARIFF.c.tariff_id == tariff.tariff_id,
            _TARIFF.c.version == tariff.version,
        )
        async with writing(self._engine) as connection:
            await connection.execute(insert(_TARIFF).values(row).on_conflict_do_nothing())
            return read_tariff((await connection.execute(kept)).scalar_one())

    async def tariffs_in_force(
        self, *, tenant_id: int, tariff_id: str, period: Period
    ) -> tuple[Tariff, ...]:
        """Return the versions in force on any day of the period, oldest first."""
        query = (
            select(_TARIFF.c.document)
            .where(
                _TARIFF.c.tenant_id == tenant_id,
                _TARIFF.c.tariff_id == tariff_id,
                _TARIFF.c.valid_from <= period.last_day,
                _TARIFF.c.valid_to >= period.first_day,
            )
            .order_by(_TARIFF.c.valid_from, _TARIFF.c.version)
        )
        async with self._engine.connect() as connection:
            return tuple(read_tariff(octets) for octets in await connection.scalars(query))
