"""The outbox: messages by lane, and which quarter-hours they cover, in one SQLite file.

Law: a round of reads is one transaction, its messages and its coverage together; a message leaves
only by the head-end's watermark. `synchronous=FULL`, because gateways lose power exactly when
outages matter (with NORMAL, committed rows were lost at a power cut).
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

from quince.edge.errors import OutboxError, OutboxFullError
from quince.edge.schedule.sampling import Sample
from quince.model.interval import SLOTS_PER_DAY, RegisterReading
from quince.model.obis import Obis
from quince.model.rng import Rng
from quince.protocols.gateway.messages import Content, Watermark, encode_content
from quince.protocols.gateway.topics import Lane

# Seven weeks of 100 meters' quarter-hours, an interval with its readings being some 140 octets;
# the meters' own profiles are the longer buffer.
OUTBOX_BYTES_MAX = 64 * 1024 * 1024
# Kept free for events and results, so that a full backlog never silences a last gasp.
_RESERVE_BYTES = OUTBOX_BYTES_MAX // 16

_SCHEMA = """
create table if not exists stream (epoch blob not null);
create table if not exists lane (lane integer primary key, next_seq integer not null);
create table if not exists message (
  lane integer not null, seq integer not null, body blob not null,
  primary key (lane, seq)) without rowid;
create table if not exists coverage (
  meter_id text not null, day text not null, slots blob not null,
  primary key (meter_id, day)) without rowid;
create table if not exists sample (
  meter_id text not null, obis blob not null, boundary_s integer not null,
  at_s real not null, value integer not null,
  primary key (meter_id, obis)) without rowid;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message's content at its place in a lane."""

    lane: Lane
    seq: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round of reads yields; it is kept whole or not at all."""

    messages: tuple[tuple[Lane, Content], ...] = ()
    coverage: Mapping[tuple[str, date], int] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()


class Outbox:
    """One gateway's outbox; one process owns the file."""

    def __init__(self, path: Path, rng: Rng) -> None:
        """Open or make the file; a new file starts a new stream with a random epoch."""
        self._rng = rng
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        (page_bytes,) = self._db.execute("pragma page_size").fetchone()
        self._page_bytes: int = page_bytes
        self._db.execute(f"pragma max_page_count={OUTBOX_BYTES_MAX // page_bytes}")
        self._db.executescript(_SCHEMA)
        with self._transaction():
            if self._db.execute("select 1 from stream").fetchone() is None:
                self._start_stream()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @property
    def epoch(self) -> int:
        """The stream's random name; it changes only where sequence numbers would be reused."""
        (octets,) = self._db.execute("select epoch from stream").fetchone()
        return int.from_bytes(octets)

    # --- accepting ----------------------------------------------------------------------

    def record(self, round_: Round) -> None:
        """Commit a round: its messages, coverage and samples. OutboxFullError leaves no trace."""
        bulk = any(lane in (Lane.LIVE, Lane.BACKFILL) for lane, _ in round_.messages)
        if bulk and self.bytes_used > OUTBOX_BYTES_MAX - _RESERVE_BYTES:
            raise OutboxFullError(f"{self.bytes_used} octets used: the reserve is for events")
        with self._transaction():
            for lane, content in round_.messages:
                self._append(lane, content)
            for (meter_id, day), slots in round_.coverage.items():
                self._cover(meter_id, day, slots)
            for sample in round_.samples:
                self._keep_sample(sample)

    def coverage(self, meter_id: str) -> dict[date, int]:
        """Return the meter's covered quarter-hours as bits, by UTC day."""
        rows = self._db.execute("select day, slots from coverage where meter_id = ?", (meter_id,))
        return {date.fromisoformat(day): int.from_bytes(slots) for day, slots in rows}

    def forget_coverage(self, meter_id: str, before: date) -> None:
        """Drop coverage older than any read will ask for, so that the table stays small."""
        self._db.execute(
            "delete from coverage where meter_id = ? and day < ?", (meter_id, before.isoformat())
        )

    def last_sample(self, meter_id: str, obis: Obis) -> Sample | None:
        """Return the latest sampled register of a meter without a profile."""
        row = self._db.execute(
            "select boundary_s, at_s, value from sample where meter_id = ? and obis = ?",
            (meter_id, bytes(obis)),
        ).fetchone()
        if row is None:
            return None
        boundary_s, at_s, value = row
        return Sample(
            boundary_utc=datetime.fromtimestamp(boundary_s, UTC),
            reading=RegisterReading(
                meter_id=meter_id,
                obis=obis,
                at_utc=datetime.fromtimestamp(at_s, UTC),
                value=value,
            ),
        )

    # --- delivering ---------------------------------------------------------------------

    def pending(self, lane: Lane, after_seq: int, count_max: int) -> list[StoredMessage]:
        """Return up to `count_max` messages of a lane beyond `after_seq`, in order."""
        rows = self._db.execute(
            "select seq, body from message where lane = ? and seq > ? order by seq limit ?",
            (lane, after_seq, count_max),
        )
        return [StoredMessage(lane=lane, seq=seq, body=body) for seq, body in rows]

    def oldest_seq(self, lane: Lane) -> int | None:
        """Return the lane's oldest undelivered sequence number, None when it is empty."""
        (seq,) = self._db.execute("select min(seq) from message where lane = ?", (lane,)).fetchone()
        return None if seq is None else int(seq)

    def acknowledge(self, mark: Watermark) -> None:
        """Delete what the head-end has committed; marks of another stream mean nothing.

        A mark beyond what this outbox ever sent tells of a file restored from an older copy: its
        sequence numbers are used up, so what is left moves to a new stream.
        """
        if mark.epoch != self.epoch:
            return
        with self._transaction():
            if mark.upto >= self._next_seq(mark.lane):
                self._renew_stream()
                return
            self._db.execute(
                "delete from message where lane = ? and seq <= ?", (mark.lane, mark.upto)
            )

    @property
    def count(self) -> int:
        """How many messages wait."""
        (count,) = self._db.execute("select count(*) from message").fetchone()
        return int(count)

    @property
    def bytes_used(self) -> int:
        """Octets of the file in use."""
        (pages,) = self._db.execute("pragma page_count").fetchone()
        (free,) = self._db.execute("pragma freelist_count").fetchone()
        return int(pages - free) * self._page_bytes

    def messages(self) -> Iterable[StoredMessage]:
        """Return all that waits, by lane and sequence."""
        rows = self._db.execute("select lane, seq, body from message order by lane, seq")
        return [StoredMessage(lane=Lane(lane), seq=seq, body=body) for lane, seq, body in rows]

    # --- inside -------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("begin immediate")
            yield
            self._db.execute("commit")
        except sqlite3.OperationalError as error:
            full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
            raise (OutboxFullError if full else OutboxError)(str(error)) from error
        finally:
            if self._db.in_transaction:  # a full disk may have rolled back by itself
                self._db.execute("rollback")

    def _append(self, lane: Lane, content: Content) -> None:
        seq = self._next_seq(lane)
        self._db.execute(
            "insert into message values (?, ?, ?)", (lane, seq, encode_content(content))
        )
        self._db.execute("insert or replace into lane values (?, ?)", (lane, seq + 1))

    def _next_seq(self, lane: Lane) -> int:
        row = self._db.execute("select next_seq from lane where lane = ?", (lane,)).fetchone()
        return 1 if row is None else int(row[0])

    def _cover(self, meter_id: str, day: date, slots: int) -> None:
        key = (meter_id, day.isoformat())
        row = self._db.execute(
            "select slots from coverage where meter_id = ? and day = ?", key
        ).fetchone()
        before = 0 if row is None else int.from_bytes(row[0])
        octets = (before | slots).to_bytes(SLOTS_PER_DAY // 8)
        self._db.execute("insert or replace into coverage values (?, ?, ?)", (*key, octets))

    def _keep_sample(self, sample: Sample) -> None:
        reading = sample.reading
        self._db.execute(
            "insert or replace into sample values (?, ?, ?, ?, ?)",
            (
                reading.meter_id,
                bytes(reading.obis),
                int(sample.boundary_utc.timestamp()),
                reading.at_utc.timestamp(),
                reading.value,
            ),
        )

    def _start_stream(self) -> None:
        self._db.execute("delete from stream")
        self._db.execute("insert into stream values (?)", (self._rng.randbytes(8),))

    def _renew_stream(self) -> None:
        waiting = list(self.messages())
        self._db.execute("delete from message")
        self._db.execute("delete from lane")
        self._start_stream()
        for message in waiting:
            seq = self._next_seq(message.lane)
            self._db.execute(
                "insert into message values (?, ?, ?)", (message.lane, seq, message.body)
            )
            self._db.execute("insert or replace into lane values (?, ?)", (message.lane, seq + 1))
