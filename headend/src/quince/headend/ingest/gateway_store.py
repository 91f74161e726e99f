"""What gateways say of themselves, of their commands, and by bringing a meter's values; raw SQLite.

The writing side works within the transaction of the batch; the reading side follows it.
"""

import sqlite3
from collections.abc import Sequence, Set as AbstractSet
from datetime import datetime

from quince.headend.ingest.rules import ContactReport, TwinReport
from quince.headend.ingest.service import GatewayContact, LoggedResult, Stream
from quince.headend.platform.moments import from_ms, to_ms
from quince.model.event import GatewayEvent, GatewayEventKind
from quince.protocols.gateway.messages import CommandResult, Stage
from quince.protocols.gateway.topics import GatewayAddress

_SCHEMA = """
create table if not exists gateway_contact(
  tenant_id integer not null, cell text not null, gateway text not null,
  online integer not null, since_ms integer not null,
  primary key (tenant_id, cell, gateway)) without rowid;

-- document: the JSON object the gateway retains at the broker.
create table if not exists gateway_twin(
  tenant_id integer not null, cell text not null, gateway text not null,
  document text not null, received_ms integer not null,
  primary key (tenant_id, cell, gateway)) without rowid;

create table if not exists gateway_event(
  entry integer primary key autoincrement, tenant_id integer not null,
  cell text not null, gateway text not null,
  kind text not null, at_ms integer not null, received_ms integer not null, detail text not null,
  unique (tenant_id, cell, gateway, kind, at_ms, detail));

-- entry: the order of commits, which is what readers with a cursor follow. The gateway is part of
-- the key, so that none can take the place of another's word.
create table if not exists command_result(
  entry integer primary key autoincrement, tenant_id integer not null,
  cell text not null, gateway text not null, command_id blob not null,
  stage integer not null, parts_done integer not null, parts integer not null,
  at_ms integer not null, received_ms integer not null,
  code text not null, detail text not null, media text not null, body blob not null,
  unique (tenant_id, command_id, cell, gateway, stage, parts_done));
create index if not exists command_result_order on command_result(tenant_id, entry);

-- The gateway that brought a meter's latest intervals, and since when it is that one.
create table if not exists meter_gateway(
  tenant_id integer not null, meter_id text not null,
  cell text not null, gateway text not null, since_ms integer not null,
  primary key (tenant_id, meter_id)) without rowid;
"""

DETAIL_CHARS_MAX = 1_000  # a sentence; what a command brings is its body
# What an ingest process may spend on not asking again: some 200 octets for each.
METERS_REMEMBERED_MAX = 1_000_000


def _words(text: str) -> str:
    """Return what a gateway says, such that it can tell an operator's terminal nothing."""
    return "".join(filter(str.isprintable, text))[:DETAIL_CHARS_MAX]


def create_gateway_tables(connection: sqlite3.Connection) -> None:
    """Create the tables that are not there yet."""
    connection.executescript(_SCHEMA)


class SqliteGatewayStore:
    """The writing side, on the one connection that ingests."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._places: dict[tuple[int, str], GatewayAddress] = {}

    def forget_places(self) -> None:
        """Trust the database alone; call it after a rollback."""
        self._places.clear()

    def add_results(
        self, stream: Stream, results: Sequence[CommandResult], received_utc: datetime
    ) -> None:
        """Append results not yet known; progress of the same part is the same result."""
        self._connection.executemany(
            "insert into command_result(tenant_id, cell, gateway, command_id, stage, parts_done,"
            " parts, at_ms, received_ms, code, detail, media, body)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
            (
                (
                    stream.tenant_id,
                    stream.address.cell,
                    stream.address.gateway,
                    result.command_id,
                    result.stage,
                    result.parts_done,
                    result.parts,
                    to_ms(result.at_utc),
                    to_ms(received_utc),
                    _words(result.code),
                    _words(result.detail),
                    _words(result.media),
                    result.body,
                )
                for result in results
            ),
        )

    def add_events(
        self, stream: Stream, events: Sequence[GatewayEvent], received_utc: datetime
    ) -> None:
        """Append a gateway's events not yet known."""
        self._connection.executemany(
            "insert into gateway_event(tenant_id, cell, gateway, kind, at_ms, received_ms, detail)"
            " values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
            (
                (
                    stream.tenant_id,
                    stream.address.cell,
                    stream.address.gateway,
                    event.kind,
                    to_ms(event.at_utc),
                    to_ms(received_utc),
                    _words(event.detail),
                )
                for event in events
            ),
        )

    def note_meters(self, stream: Stream, meter_ids: AbstractSet[str], at_utc: datetime) -> None:
        """Keep which gateway these meters' values come from; the same again writes nothing."""
        tenant_id, address = stream.tenant_id, stream.address
        moved = [one for one in meter_ids if self._places.get((tenant_id, one)) != address]
        if not moved:
            return
        if len(self._places) + len(moved) > METERS_REMEMBERED_MAX:
            self._places.clear()
        self._connection.executemany(
            "insert into meter_gateway values (?, ?, ?, ?, ?) on conflict do update"
            " set cell = excluded.cell, gateway = excluded.gateway, since_ms = excluded.since_ms"
            " where (cell, gateway) <> (excluded.cell, excluded.gateway)",
            ((tenant_id, one, address.cell, address.gateway, to_ms(at_utc)) for one in moved),
        )
        self._places.update(dict.fromkeys(((tenant_id, one) for one in moved), address))

    def note_twin(self, tenant_id: int, report: TwinReport, at_utc: datetime) -> None:
        """Keep what the gateway says it runs, in the place of what it said before."""
        self._connection.execute(
            "insert into gateway_twin values (?, ?, ?, ?, ?) on conflict do update"
            " set document = excluded.document, received_ms = excluded.received_ms"
            " where document <> excluded.document",
            (
                tenant_id,
                report.address.cell,
                report.address.gateway,
                report.document,
                to_ms(at_utc),
            ),
        )

    def note_contact(self, tenant_id: int, report: ContactReport, at_utc: datetime) -> None:
        """Keep the state, and since when: the retained word told again is no change."""
        self._connection.execute(
            "insert into gateway_contact values (?, ?, ?, ?, ?)"
            " on conflict do update set online = excluded.online, since_ms = excluded.since_ms"
            " where online <> excluded.online",
            (
                tenant_id,
                report.address.cell,
                report.address.gateway,
                report.online,
                to_ms(at_utc),
            ),
        )


class SqliteGatewayReader:
    """What gateways said, for those who follow it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def contacts(self, *, tenant_id: int) -> tuple[GatewayContact, ...]:
        """Return the registered gateways, by cell and name."""
        rows = self._connection.execute(
            "select cell, gateway, online, since_ms from gateway"
            " left join gateway_contact using (tenant_id, cell, gateway)"
            " where tenant_id = ? order by cell, gateway",
            (tenant_id,),
        )
        return tuple(
            GatewayContact(
                address=GatewayAddress(cell=cell, gateway=gateway),
                online=None if online is None else bool(online),
                since_utc=None if since_ms is None else from_ms(since_ms),
            )
            for cell, gateway, online, since_ms in rows
        )

    def twin(self, *, tenant_id: int, address: GatewayAddress) -> str | None:
        """Return the JSON object a gateway last said it runs."""
        row = self._connection.execute(
            "select document from gateway_twin where tenant_id = ? and cell = ? and gateway = ?",
            (tenant_id, address.cell, address.gateway),
        ).fetchone()
        return None if row is None else str(row[0])

    def gateway_events(
        self, *, tenant_id: int, address: GatewayAddress, limit: int
    ) -> tuple[GatewayEvent, ...]:
        """Return the latest `limit` events of a gateway, the latest first."""
        rows = self._connection.execute(
            "select kind, at_ms, detail from gateway_event"
            " where tenant_id = ? and cell = ? and gateway = ? order by at_ms desc, entry desc"
            " limit ?",
            (tenant_id, address.cell, address.gateway, limit),
        )
        return tuple(
            GatewayEvent(kind=GatewayEventKind(kind), at_utc=from_ms(at_ms), detail=detail)
            for kind, at_ms, detail in rows
        )

    def gateway_of(self, *, tenant_id: int, meter_id: str) -> GatewayAddress | None:
        """Return the gateway a meter's intervals come from now."""
        row = self._connection.execute(
            "select cell, gateway from meter_gateway where tenant_id = ? and meter_id = ?",
            (tenant_id, meter_id),
        ).fetchone()
        return None if row is None else GatewayAddress(cell=row[0], gateway=row[1])

    def results_after(self, *, tenant_id: int, entry: int, limit: int) -> tuple[LoggedResult, ...]:
        """Return the first `limit` results committed after `entry`, in the order of commits."""
        return self._results("tenant_id = ? and entry > ?", (tenant_id, entry), limit)

    def results_of(
        self, *, tenant_id: int, command_id: bytes, address: GatewayAddress, limit: int
    ) -> tuple[LoggedResult, ...]:
        """Return the first `limit` results a gateway gave on a command."""
        return self._results(
            "tenant_id = ? and command_id = ? and cell = ? and gateway = ?",
            (tenant_id, command_id, address.cell, address.gateway),
            limit,
        )

    def _results(
        self, where: str, values: tuple[object, ...], limit: int
    ) -> tuple[LoggedResult, ...]:
        rows = self._connection.execute(
            "select entry, cell, gateway, command_id, stage, at_ms, parts_done, parts, code,"  # noqa: S608 - no value is in it
            f" detail, media, body from command_result where {where} order by entry limit ?",
            (*values, limit),
        )
        return tuple(
            LoggedResult(
                entry=row[0],
                address=GatewayAddress(cell=row[1], gateway=row[2]),
                result=CommandResult(
                    command_id=row[3],
                    stage=Stage(row[4]),
                    at_utc=from_ms(row[5]),
                    parts_done=row[6],
                    parts=row[7],
                    code=row[8],
                    detail=row[9],
                    media=row[10],
                    body=row[11],
                ),
            )
            for row in rows
        )
