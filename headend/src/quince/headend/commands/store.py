"""Commands, their audit, and how far results were taken, in SQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    and_,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from quince.headend.commands.rules import Danger, KeptCommand, Person, State
from quince.headend.platform.moments import from_ms, to_ms
from quince.headend.platform.sql import metadata, writing
from quince.protocols.gateway.commands import Configure, Operation, decode_command, encode_command
from quince.protocols.gateway.topics import GatewayAddress

DUE_MAX = 100  # one transaction's worth; the rest is due again at once

command = Table(
    "command",
    metadata,
    Column("tenant_id", Integer, primary_key=True),
    Column("command_id", LargeBinary, primary_key=True),
    Column("cell", String, nullable=False),
    Column("gateway", String, nullable=False),
    Column("meter_id", String, nullable=False),
    # The command as it is signed. Secrets in it are sealed for the gateway alone.
    Column("octets", LargeBinary, nullable=False),
    Column("revision", Integer),  # of a configuration
    Column("state", String, nullable=False),
    Column("danger", String),
    Column("requested_by", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("requested_ms", Integer, nullable=False),
    Column("approved_by", String),
    Column("ready_ms", Integer),
    Column("publications", Integer, nullable=False),
    Column("next_publication_ms", Integer),
    Column("lapses_ms", Integer),
    Column("ended_ms", Integer),
    Column("code", String, nullable=False),
    Column("detail", String, nullable=False),
    Column("parts_done", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Index("command_latest", "tenant_id", "requested_ms"),
    Index("command_of_gateway", "tenant_id", "cell", "gateway", "state"),
    Index("command_danger", "tenant_id", "danger", "ready_ms"),
)
# Who did what with a command: appended to, never changed.
command_audit = Table(
    "command_audit",
    metadata,
    Column("entry", Integer, primary_key=True),
    Column("tenant_id", Integer, nullable=False),
    Column("command_id", LargeBinary, nullable=False),
    Column("at_ms", Integer, nullable=False),
    Column("who", String, nullable=False),
    Column("act", String, nullable=False),
    Index("command_audit_of", "tenant_id", "command_id"),
)
command_cursor = Table(
    "command_cursor",
    metadata,
    Column("tenant_id", Integer, primary_key=True),
    Column("entry", Integer, nullable=False),
)

_OPEN = [state.value for state in State if state.is_open]
_UNHEARD = [State.REQUESTED.value, State.READY.value, State.PUBLISHED.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who did what with a command."""

    at_utc: datetime
    who: str
    act: str


class SqlCommandStore:
    """Every tenant's commands."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def cursor(self, tenant_id: int) -> int:
        """Return the last result already taken, 0 before any."""
        query = select(command_cursor.c.entry).where(command_cursor.c.tenant_id == tenant_id)
        async with self._engine.connect() as connection:
            return await connection.scalar(query) or 0

    async def is_due(self, tenant_id: int, cell: str, now_utc: datetime) -> bool:
        """Whether a cell has anything to be published or ended."""
        query = select(command.c.command_id).where(_due(tenant_id, cell, now_utc)).limit(1)
        async with self._engine.connect() as connection:
            return (await connection.execute(query)).first() is not None

    @asynccontextmanager
    async def writing(self, tenant_id: int) -> AsyncIterator["SqlCommandBook"]:
        """Open one tenant's book; what is written is kept as a whole."""
        async with writing(self._engine) as connection:
            yield SqlCommandBook(connection, tenant_id)

    async def find(self, *, tenant_id: int, command_id: bytes) -> KeptCommand | None:
        """Return a command."""
        async with self._engine.connect() as connection:
            return await SqlCommandBook(connection, tenant_id).find(command_id)

    async def latest(
        self, *, tenant_id: int, limit: int, open_only: bool = False
    ) -> tuple[KeptCommand, ...]:
        """Return the `limit` commands asked for last, the last first."""
        query = select(command).where(command.c.tenant_id == tenant_id)
        if open_only:
            query = query.where(command.c.state.in_(_OPEN))
        latest_first = query.order_by(command.c.requested_ms.desc(), command.c.command_id)
        async with self._engine.connect() as connection:
            rows = await connection.execute(latest_first.limit(limit))
        return tuple(_kept(row) for row in rows)

    async def audit(self, *, tenant_id: int, command_id: bytes) -> tuple[AuditEntry, ...]:
        """Return who did what with a command, in order."""
        query = (
            select(command_audit)
            .where(command_audit.c.tenant_id == tenant_id, command_audit.c.command_id == command_id)
            .order_by(command_audit.c.entry)
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
        return tuple(
            AuditEntry(at_utc=from_ms(row.at_ms), who=row.who, act=row.act) for row in rows
        )


class SqlCommandBook:
    """One tenant's commands, within one transaction."""

    def __init__(self, connection: AsyncConnection, tenant_id: int) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    async def find(self, command_id: bytes) -> KeptCommand | None:
        """Return a command."""
        query = select(command).where(
            command.c.tenant_id == self._tenant_id, command.c.command_id == command_id
        )
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _kept(row)

    async def add(self, kept: KeptCommand) -> None:
        """Keep a new command."""
        await self._connection.execute(insert(command), self._row(kept))

    async def save(self, kept: KeptCommand) -> None:
        """Keep a known command as it is now."""
        row = self._row(kept)
        await self._connection.execute(
            update(command)
            .where(
                command.c.tenant_id == self._tenant_id,
                command.c.command_id == kept.command.command_id,
            )
            .values(row)
        )

    async def note(self, kept: KeptCommand, *, at_utc: datetime, who: str, act: str) -> None:
        """Append to the audit who did what."""
        row = {
            "tenant_id": self._tenant_id,
            "command_id": kept.command.command_id,
            "at_ms": to_ms(at_utc),
            "who": who,
            "act": act,
        }
        await self._connection.execute(insert(command_audit), row)

    async def count_open(self, address: GatewayAddress) -> int:
        """Return how many commands of a gateway are not over."""
        query = (
            select(func.count())
            .select_from(command)
            .where(self._of(address), command.c.state.in_(_OPEN))
        )
        return await self._connection.scalar(query) or 0

    async def count_alone(self, danger: Danger, since: datetime) -> int:
        """Return how many such commands were cleared since then without a second person."""
        query = (
            select(func.count())
            .select_from(command)
            .where(
                command.c.tenant_id == self._tenant_id,
                command.c.danger == danger.value,
                command.c.ready_ms > to_ms(since),
                command.c.approved_by.is_(None),
            )
        )
        return await self._connection.scalar(query) or 0

    async def latest_revision(self, address: GatewayAddress) -> int:
        """Return the revision of the latest configuration asked for, 0 before any."""
        query = select(func.max(command.c.revision)).where(self._of(address))
        return await self._connection.scalar(query) or 0

    async def unheard_configurations(self, address: GatewayAddress) -> Sequence[KeptCommand]:
        """Return the configurations a gateway may still have to hear of."""
        query = select(command).where(
            self._of(address), command.c.revision.is_not(None), command.c.state.in_(_UNHEARD)
        )
        return [_kept(row) for row in await self._connection.execute(query)]

    async def due(self, cell: str, now_utc: datetime) -> Sequence[KeptCommand]:
        """Return the next commands of a cell to be published or ended."""
        query = (
            select(command)
            .where(_due(self._tenant_id, cell, now_utc))
            .order_by(command.c.next_publication_ms, command.c.requested_ms, command.c.command_id)
            .limit(DUE_MAX)
        )
        return [_kept(row) for row in await self._connection.execute(query)]

    async def move_cursor(self, entry: int) -> None:
        """Remember the last result taken."""
        upsert = insert(command_cursor).values(tenant_id=self._tenant_id, entry=entry)
        await self._connection.execute(upsert.on_conflict_do_update(set_={"entry": entry}))

    def _of(self, address: GatewayAddress) -> Any:
        return and_(
            command.c.tenant_id == self._tenant_id,
            command.c.cell == address.cell,
            command.c.gateway == address.gateway,
        )

    def _row(self, kept: KeptCommand) -> dict[str, object]:
        asked = kept.command
        return {
            "tenant_id": self._tenant_id,
            "command_id": asked.command_id,
            "cell": asked.address.cell,
            "gateway": asked.address.gateway,
            "meter_id": asked.meter_id,
            "octets": encode_command(asked),
            "revision": _revision(asked.operation),
            "state": kept.state.value,
            "danger": None if kept.danger is None else kept.danger.value,
            "requested_by": kept.requested_by.name,
            "reason": kept.reason,
            "requested_ms": to_ms(kept.requested_utc),
            "approved_by": None if kept.approved_by is None else kept.approved_by.name,
            "ready_ms": _ms(kept.ready_utc),
            "publications": kept.publications,
            "next_publication_ms": _ms(kept.next_publication_utc),
            "lapses_ms": _ms(kept.lapses_utc),
            "ended_ms": _ms(kept.ended_utc),
            "code": kept.code,
            "detail": kept.detail,
            "parts_done": kept.parts_done,
            "parts": kept.parts,
        }


def _due(tenant_id: int, cell: str, now_utc: datetime) -> Any:
    # The state comes first for the index: what is over is most of the table.
    return and_(
        command.c.tenant_id == tenant_id,
        command.c.cell == cell,
        command.c.state.in_(_OPEN),
        or_(
            command.c.next_publication_ms <= to_ms(now_utc),
            command.c.lapses_ms <= to_ms(now_utc),
        ),
    )


def _kept(row: Row[Any]) -> KeptCommand:
    return KeptCommand(
        tenant_id=row.tenant_id,
        command=decode_command(row.octets),
        state=State(row.state),
        requested_by=Person(name=row.requested_by),
        reason=row.reason,
        requested_utc=from_ms(row.requested_ms),
        danger=None if row.danger is None else Danger(row.danger),
        approved_by=None if row.approved_by is None else Person(name=row.approved_by),
        ready_utc=_moment(row.ready_ms),
        publications=row.publications,
        next_publication_utc=_moment(row.next_publication_ms),
        ended_utc=_moment(row.ended_ms),
        code=row.code,
        detail=row.detail,
        parts_done=row.parts_done,
        parts=row.parts,
    )


def _revision(operation: Operation) -> int | None:
    return operation.revision if isinstance(operation, Configure) else None


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_ms(milliseconds)
