"""What ingest keeps: watermarks, holes, meters' events, dead letters; on raw SQLite.

No threads: the process that ingests waits for its own commit and does little else meanwhile, and
a simulated day must run the same way twice.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from quince.headend.assets.store import GatewayDirectory
from quince.headend.ingest.gateway_store import (
    SqliteGatewayReader,
    SqliteGatewayStore,
    create_gateway_tables,
)
from quince.headend.ingest.rules import Refused
from quince.headend.ingest.service import (
    Attention,
    LoggedEvent,
    Received,
    Stream,
)
from quince.headend.intervals.service import Arrival
from quince.headend.intervals.store import SqliteIntervalStore
from quince.headend.platform.moments import from_ms, to_ms
from quince.headend.platform.sqlite import transaction
from quince.model.event import EventKind, MeterEvent
from quince.model.interval import RegisterReading
from quince.protocols.gateway.messages import Envelope
from quince.protocols.gateway.topics import GatewayAddress

_SCHEMA = """
create table if not exists watermark(
  tenant_id integer not null, cell text not null, gateway text not null,
  epoch text not null, lane integer not null, upto integer not null,
  primary key (tenant_id, cell, gateway, epoch, lane)) without rowid;

-- Numbers a gateway said it has no more, though they were never committed here.
create table if not exists sequence_hole(
  tenant_id integer not null, cell text not null, gateway text not null,
  epoch text not null, lane integer not null,
  first_seq integer not null, last_seq integer not null, noted_ms integer not null,
  primary key (tenant_id, cell, gateway, epoch, lane, first_seq)) without rowid;

-- entry: the order of commits, which is what readers with a cursor follow.
create table if not exists meter_event(
  entry integer primary key autoincrement, tenant_id integer not null,
  meter_id text not null, kind text not null, at_ms integer not null,
  received_ms integer not null, detail text not null,
  unique (tenant_id, meter_id, kind, at_ms));
create index if not exists meter_event_order on meter_event(tenant_id, entry);

-- A message with a place in a stream (source) that nobody can read: its lane has gone past it, so
-- these are the only octets left.
create table if not exists dead_letter(
  tenant_id integer not null, source text not null, body blob not null,
  refusal text not null, detail text not null, received_ms integer not null,
  primary key (tenant_id, source)) without rowid;

-- Messages without a place in a stream, counted by topic; why: of the last one. No lane goes past
-- them, and what a gateway sent it still has, so no octets are kept.
create table if not exists stray_letter(
  topic text primary key, refusal text not null, detail text not null,
  first_ms integer not null, last_ms integer not null, times integer not null) without rowid;
"""

# Of one tenant. At the largest message this is 2.6 GB, at a common one of a kilobyte 10 MB. Beyond
# it that tenant's lanes wait at what cannot be read: the gateways keep it, nothing is lost.
DEAD_LETTERS_MAX = 10_000
# Whoever may publish at all can make up topics; beyond this, new ones are logged and not kept.
STRAY_TOPICS_MAX = 10_000
TOPIC_CHARS_MAX = 256  # ours have at most 146; a broker's may have 65,535
DETAIL_CHARS_MAX = 1_000  # a validation error may quote its whole input


def create_ingest_tables(connection: sqlite3.Connection) -> None:
    """Create the tables that are not there yet."""
    connection.executescript(_SCHEMA)
    create_gateway_tables(connection)


class SqliteIngestStore:
    """The writing side, on the one connection that ingests."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        # Another writer may be a coroutine of this very thread: waiting would stop it for ever.
        # The consumer tries again instead.
        connection.execute("pragma busy_timeout = 0")
        self._connection = connection
        self._intervals = SqliteIntervalStore(connection)
        self._directory = GatewayDirectory(connection)
        self.gateways = SqliteGatewayStore(connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of it or nothing; StoreBusyError if another writer is at work."""
        try:
            with transaction(self._connection):
                yield
        except BaseException:
            self._intervals.forget_channels()
            self.gateways.forget_places()
            raise

    def tenant_of(self, address: GatewayAddress) -> int | None:
        """Return whose gateway this is."""
        return self._directory.tenant_of(address)

    def watermark(self, stream: Stream) -> int:
        """Return how far a stream is committed, 0 if not at all."""
        row = self._connection.execute(
            "select upto from watermark where tenant_id = ? and cell = ? and gateway = ?"
            " and epoch = ? and lane = ?",
            _key(stream),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def advance(self, stream: Stream, upto: int) -> None:
        """Move a stream's watermark; it never goes back."""
        self._connection.execute(
            "insert into watermark values (?, ?, ?, ?, ?, ?)"
            " on conflict do update set upto = max(upto, excluded.upto)",
            (*_key(stream), upto),
        )

    def record_hole(self, stream: Stream, hole: tuple[int, int], noted_utc: datetime) -> None:
        """Keep the numbers that will never come."""
        self._connection.execute(
            "insert into sequence_hole values (?, ?, ?, ?, ?, ?, ?, ?)",
            (*_key(stream), *hole, to_ms(noted_utc)),
        )

    def merge(self, tenant_id: int, arrivals: Sequence[Arrival], received_utc: datetime) -> None:
        """Fill interval slots; record conflicts."""
        self._intervals.merge(tenant_id=tenant_id, arrivals=arrivals, received_utc=received_utc)

    def add_readings(self, tenant_id: int, readings: Sequence[RegisterReading]) -> None:
        """Keep register readings."""
        self._intervals.add_readings(tenant_id=tenant_id, readings=readings)

    def add_events(self, tenant_id: int, events: Sequence[MeterEvent]) -> None:
        """Append events not yet known."""
        self._connection.executemany(
            "insert into meter_event(tenant_id, meter_id, kind, at_ms, received_ms, detail)"
            " values (?, ?, ?, ?, ?, ?) on conflict do nothing",
            (
                (
                    tenant_id,
                    event.meter_id,
                    event.kind,
                    to_ms(event.at_utc),
                    to_ms(event.received_utc),
                    event.detail,
                )
                for event in events
            ),
        )

    def bury(self, stream: Stream, envelope: Envelope, message: Received, refused: Refused) -> bool:
        """Keep a dead letter, once however often it comes; False if there is no room for it."""
        (kept,) = self._connection.execute(
            "select count(*) from dead_letter where tenant_id = ?", (stream.tenant_id,)
        ).fetchone()
        if kept >= DEAD_LETTERS_MAX:
            return False
        self._connection.execute(
            "insert into dead_letter values (?, ?, ?, ?, ?, ?) on conflict do nothing",
            (
                stream.tenant_id,
                stream.source(envelope),
                message.payload,
                refused.refusal,
                refused.detail[:DETAIL_CHARS_MAX],
                to_ms(message.received_utc),
            ),
        )
        return True

    def count_stray(self, message: Received, refused: Refused) -> None:
        """Count a message without a place under its topic, if there is room for the topic."""
        now_ms = to_ms(message.received_utc)
        topic = message.topic[:TOPIC_CHARS_MAX]
        why = (refused.refusal, refused.detail[:DETAIL_CHARS_MAX])
        seen = self._connection.execute(
            "update stray_letter set refusal = ?, detail = ?, last_ms = ?, times = times + 1"
            " where topic = ?",
            (*why, now_ms, topic),
        )
        if seen.rowcount == 0:
            self._connection.execute(
                "insert into stray_letter select ?, ?, ?, ?, ?, 1"
                " where (select count(*) from stray_letter) < ?",
                (topic, *why, now_ms, now_ms, STRAY_TOPICS_MAX),
            )


class SqliteIngestReader(SqliteGatewayReader):
    """What ingest committed, for those who follow it."""

    def events_after(self, *, tenant_id: int, entry: int, limit: int) -> tuple[LoggedEvent, ...]:
        """Return the first `limit` events committed after `entry`, in the order of commits."""
        rows = self._connection.execute(
            "select entry, meter_id, kind, at_ms, received_ms, detail from meter_event"
            " where tenant_id = ? and entry > ? order by entry limit ?",
            (tenant_id, entry, limit),
        )
        return tuple(
            LoggedEvent(
                entry=number,
                event=MeterEvent(
                    meter_id=meter_id,
                    kind=EventKind(kind),
                    at_utc=from_ms(at_ms),
                    received_utc=from_ms(received_ms),
                    detail=detail,
                ),
            )
            for number, meter_id, kind, at_ms, received_ms, detail in rows
        )

    def meter_events(
        self, *, tenant_id: int, meter_id: str, since_utc: datetime, limit: int
    ) -> tuple[LoggedEvent, ...]:
        """Return the latest `limit` events of a meter that were received since, latest first."""
        rows = self._connection.execute(
            "select entry, kind, at_ms, received_ms, detail from meter_event where tenant_id = ?"
            " and meter_id = ? and received_ms >= ? order by entry desc limit ?",
            (tenant_id, meter_id, to_ms(since_utc), limit),
        )
        return tuple(
            LoggedEvent(
                entry=entry,
                event=MeterEvent(
                    meter_id=meter_id,
                    kind=EventKind(kind),
                    at_utc=from_ms(at_ms),
                    received_utc=from_ms(received_ms),
                    detail=detail,
                ),
            )
            for entry, kind, at_ms, received_ms, detail in rows
        )

    def attention(self, *, tenant_id: int) -> Attention:
        """Count what a person should look at; stray letters are everybody's."""
        row = self._connection.execute(
            "select (select count(*) from sequence_hole where tenant_id = ?1),"
            " (select count(*) from interval_conflict where tenant_id = ?1),"
            " (select count(*) from dead_letter where tenant_id = ?1)"
            " + (select count(*) from stray_letter)",
            (tenant_id,),
        ).fetchone()
        return Attention(sequence_holes=row[0], interval_conflicts=row[1], dead_letters=row[2])


def _key(stream: Stream) -> tuple[int, str, str, str, int]:
    # The epoch has 64 bits without a sign; the database's integers have one.
    epoch = f"{stream.epoch:016x}"
    return stream.tenant_id, stream.address.cell, stream.address.gateway, epoch, stream.lane
