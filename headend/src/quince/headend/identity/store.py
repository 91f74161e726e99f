"""Token digests in SQL."""

from sqlalchemy import Column, Integer, LargeBinary, String, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from quince.headend.identity.rules import Principal, Role
from quince.headend.platform.sql import metadata, writing

access_token = Table(
    "access_token",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("tenant_id", Integer, nullable=False),
    Column("role", String, nullable=False),
    Column("customer_id", String),
    Column("person", String),
)


class SqlTokenStore:
    """The digests of every tenant: a digest is what tells whose it is."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, digest: bytes, principal: Principal) -> None:
        """Keep a new token's digest."""
        row = {
            "digest": digest,
            "tenant_id": principal.tenant_id,
            "role": principal.role.value,
            "customer_id": principal.customer_id,
            "person": principal.person,
        }
        async with writing(self._engine) as connection:
            await connection.execute(insert(access_token), row)

    async def find(self, digest: bytes) -> tuple[bytes, Principal] | None:
        """Return the digest as kept, and its principal."""
        query = select(access_token).where(access_token.c.digest == digest)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        principal = Principal(
            tenant_id=row.tenant_id,
            role=Role(row.role),
            customer_id=row.customer_id,
            person=row.person,
        )
        return row.digest, principal
