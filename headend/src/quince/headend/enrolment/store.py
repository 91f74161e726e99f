"""Tokens, certificates and wanted roles in SQL."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    and_,
    delete,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from quince.headend.assets.store import gateway as registered_gateway
from quince.headend.enrolment.rules import GatewayCertificate, Owner
from quince.headend.enrolment.service import Standing, WantedRole
from quince.headend.errors import EnrolmentRefusedError
from quince.headend.platform.moments import from_ms, to_ms
from quince.headend.platform.sql import metadata, writing
from quince.protocols.gateway.topics import GatewayAddress

# burned_by: the key a token was burned by, which alone may ask again what became of it.
enrolment_token = Table(
    "enrolment_token",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("tenant_id", Integer, nullable=False),
    Column("cell", String, nullable=False),
    Column("gateway", String, nullable=False),
    Column("expires_ms", Integer, nullable=False),
    Column("burned_by", String),
)
gateway_certificate = Table(
    "gateway_certificate",
    metadata,
    Column("serial", String, primary_key=True),
    Column("tenant_id", Integer, nullable=False),
    Column("cell", String, nullable=False),
    Column("gateway", String, nullable=False, index=True),
    Column("public_key", String, nullable=False),
    Column("certificate", String, nullable=False),
    Column("issued_ms", Integer, nullable=False),
    Column("not_after_ms", Integer, nullable=False),
    Column("revoked_ms", Integer),
    UniqueConstraint("public_key"),
)
# One name at the broker is one gateway, whatever its cell. A wish is fulfilled while `applied` is
# its `revision`.
gateway_role = Table(
    "gateway_role",
    metadata,
    Column("gateway", String, primary_key=True),
    Column("tenant_id", Integer, nullable=False),
    Column("cell", String, nullable=False),
    Column("present", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("applied", Integer, nullable=False),
)
_role, _certificate, _token = gateway_role.c, gateway_certificate.c, enrolment_token.c


class SqlEnrolmentStore:
    """Everything kept about enrolment, of every tenant."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def is_registered(self, owner: Owner) -> bool:
        """Whether the tenant has such a gateway."""
        columns = registered_gateway.c
        query = select(columns.gateway).where(
            columns.tenant_id == owner.tenant_id,
            columns.cell == owner.address.cell,
            columns.gateway == owner.address.gateway,
        )
        async with self._engine.connect() as connection:
            return await connection.scalar(query) is not None

    async def add_token(self, digest: bytes, owner: Owner, expires_utc: datetime) -> None:
        """Keep a token; EnrolmentRefusedError if another cell's gateway bears that name."""
        async with writing(self._engine) as connection:
            await _require_own_name(connection, owner)
            row = {"digest": digest, **_owner_row(owner), "expires_ms": to_ms(expires_utc)}
            await connection.execute(insert(enrolment_token), row)

    async def burn_token(self, digest: bytes, public_key: str, now_utc: datetime) -> Owner | None:
        """Bind a token to this key for ever; None unless it is fresh or was burned by this key."""
        good = and_(_token.digest == digest, _token.expires_ms > to_ms(now_utc))
        fresh = and_(good, _token.burned_by.is_(None))
        async with writing(self._engine) as connection:
            await connection.execute(
                update(enrolment_token).where(fresh).values(burned_by=public_key)
            )
            query = select(enrolment_token).where(good, _token.burned_by == public_key)
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _owner(row)

    async def replace_certificate(self, new: GatewayCertificate, *, keep: str | None) -> int:
        """Keep `new`, want its role, revoke the owner's others but `keep`; return how many."""
        row = {
            "serial": new.serial,
            **_owner_row(new.owner),
            "public_key": new.public_key,
            "certificate": new.certificate,
            "issued_ms": to_ms(new.issued_utc),
            "not_after_ms": to_ms(new.not_after_utc),
        }
        async with writing(self._engine) as connection:
            await _require_own_name(connection, new.owner)
            await _require_standing(connection, new, keep=keep)
            retired = await _revoke(connection, new.owner, new.issued_utc, keep=keep)
            kept = await connection.execute(
                insert(gateway_certificate).values(row).on_conflict_do_nothing()
            )
            if not kept.rowcount:
                raise EnrolmentRefusedError("this key is being certified; ask again")
            await _want_role(connection, new.owner, present=True)
        return retired

    async def certificate(self, serial: str) -> GatewayCertificate | None:
        """Return a certificate by its serial number."""
        return await self._one_certificate(_certificate.serial == serial)

    async def certificate_of_key(self, public_key: str) -> GatewayCertificate | None:
        """Return the certificate this key ever had."""
        return await self._one_certificate(_certificate.public_key == public_key)

    async def newest(self, owner: Owner) -> GatewayCertificate | None:
        """Return a gateway's newest certificate, whatever became of it."""
        return await self._one_certificate(_owned_by(gateway_certificate, owner))

    async def revoke(self, owner: Owner, now_utc: datetime) -> int:
        """Revoke its certificates and tokens, and want its role no more; return how many."""
        async with writing(self._engine) as connection:
            await connection.execute(
                delete(enrolment_token).where(_owned_by(enrolment_token, owner))
            )
            count = await _revoke(connection, owner, now_utc, keep=None)
            mine = _owned_by(gateway_role, owner)
            wish = {"present": False, "revision": _role.revision + 1}
            await connection.execute(update(gateway_role).where(mine).values(wish))
        return count

    async def revoked(self, now_utc: datetime) -> Sequence[tuple[str, datetime]]:
        """Return the serial numbers taken back that have not run out by themselves."""
        query = select(_certificate.serial, _certificate.revoked_ms).where(
            _certificate.revoked_ms.is_not(None), _certificate.not_after_ms > to_ms(now_utc)
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
        return [(row.serial, from_ms(row.revoked_ms)) for row in rows]

    async def standings(self, tenant_id: int) -> Sequence[Standing]:
        """Return the tenant's gateways that ever had a certificate, by cell and name."""
        query = (
            select(gateway_certificate, (_role.applied == _role.revision).label("role_applied"))
            .join(gateway_role, _role.gateway == _certificate.gateway)
            .where(_certificate.tenant_id == tenant_id)
            .order_by(_certificate.cell, _certificate.gateway, _certificate.issued_ms)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        newest = {(row.cell, row.gateway): row for row in rows}
        return [
            Standing(certificate=_read_certificate(row), role_applied=row.role_applied)
            for row in newest.values()
        ]

    async def unfulfilled(self, cell: str, limit: int) -> Sequence[WantedRole]:
        """Return roles of a cell that the broker does not have as they are wanted."""
        query = (
            select(gateway_role)
            .where(_role.cell == cell, _role.applied != _role.revision)
            .order_by(_role.gateway)
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
        return [
            WantedRole(
                address=GatewayAddress(cell=row.cell, gateway=row.gateway),
                present=row.present,
                revision=row.revision,
            )
            for row in rows
        ]

    async def fulfil(self, roles: Sequence[WantedRole]) -> None:
        """Note that the broker has these roles as they were wanted then."""
        async with writing(self._engine) as connection:
            for role in roles:
                mine = _role.gateway == role.address.gateway
                await connection.execute(
                    update(gateway_role).where(mine).values(applied=role.revision)
                )

    async def want_again(self, cell: str) -> None:
        """Take none of a cell's roles for fulfilled: the broker may have lost them."""
        wish = {"revision": _role.revision + 1}
        async with writing(self._engine) as connection:
            await connection.execute(update(gateway_role).where(_role.cell == cell).values(wish))

    async def _one_certificate(self, which: ColumnElement[bool]) -> GatewayCertificate | None:
        query = (
            select(gateway_certificate)
            .where(which)
            .order_by(_certificate.issued_ms.desc())
            .limit(1)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _read_certificate(row)


async def _require_own_name(connection: AsyncConnection, owner: Owner) -> None:
    query = select(gateway_role).where(_role.gateway == owner.address.gateway)
    row = (await connection.execute(query)).one_or_none()
    if row is not None and _owner(row) != owner:
        raise EnrolmentRefusedError(
            f"a gateway of another cell is {owner.address.gateway!r} at the broker already"
        )


async def _require_standing(
    connection: AsyncConnection, new: GatewayCertificate, *, keep: str | None
) -> None:
    """Refuse where a revocation came in between: it took the token, or the one that renews."""
    if keep is None:
        mine = _owned_by(enrolment_token, new.owner)
        query = select(_token.digest).where(mine, _token.burned_by == new.public_key)
    else:
        query = select(_certificate.serial).where(
            _certificate.serial == keep, _certificate.revoked_ms.is_(None)
        )
    if (await connection.execute(query)).first() is None:
        raise EnrolmentRefusedError("what allowed it was taken back meanwhile")


async def _revoke(
    connection: AsyncConnection, owner: Owner, now_utc: datetime, *, keep: str | None
) -> int:
    live = and_(
        _owned_by(gateway_certificate, owner),
        _certificate.revoked_ms.is_(None),
        _certificate.not_after_ms > to_ms(now_utc),
        _certificate.serial != (keep or ""),
    )
    done = await connection.execute(
        update(gateway_certificate).where(live).values(revoked_ms=to_ms(now_utc))
    )
    return done.rowcount


async def _want_role(connection: AsyncConnection, owner: Owner, *, present: bool) -> None:
    upsert = insert(gateway_role).values(
        **_owner_row(owner), present=present, revision=1, applied=0
    )
    changed = {"present": present, "revision": _role.revision + 1}
    await connection.execute(
        upsert.on_conflict_do_update(set_=changed, where=_role.present != present)
    )


def _owned_by(table: Table, owner: Owner) -> ColumnElement[bool]:
    return and_(
        table.c.tenant_id == owner.tenant_id,
        table.c.cell == owner.address.cell,
        table.c.gateway == owner.address.gateway,
    )


def _owner_row(owner: Owner) -> dict[str, object]:
    address = owner.address
    return {"tenant_id": owner.tenant_id, "cell": address.cell, "gateway": address.gateway}


def _owner(row: Row[tuple[object, ...]]) -> Owner:
    address = GatewayAddress(cell=row.cell, gateway=row.gateway)
    return Owner(tenant_id=row.tenant_id, address=address)


def _read_certificate(row: Row[tuple[object, ...]]) -> GatewayCertificate:
    return GatewayCertificate(
        serial=row.serial,
        owner=_owner(row),
        public_key=row.public_key,
        certificate=row.certificate,
        issued_utc=from_ms(row.issued_ms),
        not_after_utc=from_ms(row.not_after_ms),
        revoked_utc=None if row.revoked_ms is None else from_ms(row.revoked_ms),
    )
