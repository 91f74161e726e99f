"""Tariff versions in SQL, as their canonical JSON."""

from datetime import date

from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    Integer,
    LargeBinary,
    String,
    Table,
    insert,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from quince.billing.schema import METADATA
from quince.billing.tariff.document import read_tariff, tariff_bytes
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
        """Keep the version unless one has its name or first day; return the one that is kept."""
        row = {
            "tenant_id": tenant_id,
            "tariff_id": tariff.tariff_id,
            "version": tariff.version,
            "valid_from": tariff.valid_from,
            "valid_to": tariff.valid_to,
            "document": tariff_bytes(tariff),
        }
        namesake = _TARIFF.c.version == tariff.version
        standing = (
            select(_TARIFF.c.document)
            .where(
                _TARIFF.c.tenant_id == tenant_id,
                _TARIFF.c.tariff_id == tariff.tariff_id,
                or_(namesake, _TARIFF.c.valid_from == tariff.valid_from),
            )
            .order_by(namesake.desc())
            .limit(1)
        )
        async with writing(self._engine) as connection:
            document = await connection.scalar(standing)
            if document is not None:
                return read_tariff(document)
            await connection.execute(insert(_TARIFF).values(row))
            return tariff

    async def tariffs(
        self, *, tenant_id: int, tariff_id: str, versions: tuple[str, ...]
    ) -> tuple[Tariff, ...]:
        """Return the versions of these names, by their first day; what is not kept is left out."""
        return await self._tariffs(tenant_id, tariff_id, _TARIFF.c.version.in_(versions))

    async def tariffs_begun(
        self, *, tenant_id: int, tariff_id: str, last_day: date
    ) -> tuple[Tariff, ...]:
        """Return the versions whose first day is no later than `last_day`, by their first day."""
        return await self._tariffs(tenant_id, tariff_id, _TARIFF.c.valid_from <= last_day)

    async def _tariffs(
        self, tenant_id: int, tariff_id: str, condition: ColumnElement[bool]
    ) -> tuple[Tariff, ...]:
        query = (
            select(_TARIFF.c.document)
            .where(_TARIFF.c.tenant_id == tenant_id, _TARIFF.c.tariff_id == tariff_id, condition)
            .order_by(_TARIFF.c.valid_from)
        )
        async with self._engine.connect() as connection:
            return tuple(read_tariff(octets) for octets in await connection.scalars(query))
