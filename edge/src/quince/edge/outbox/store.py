"""The outbox: messages by lane, the quarter-hours they cover, the commands they answer.

Law: a round of reads is one transaction, its messages and its coverage together; a message leaves
only by the head-end's watermark.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Self

from quince.edge.errors import OutboxFullError
from quince.edge.outbox.command_table import COMMAND_SCHEMA, CommandTable, KeptCommand
from quince.edge.outbox.file import BALLAST_BYTES, OUTBOX_BYTES_MAX, OutboxFile
from quince.edge.schedule.instant import Instant
from quince.edge.schedule.sampling import Sample, SampleTaken
from quince.model.event import GatewayEvent, GatewayEventKind
from quince.model.interval import SLOTS_PER_DAY, RegisterReading
from quince.model.obis import Obis
from quince.model.rng import Rng
from quince.protocols.gateway.messages import Content, Watermark, encode_content
from quince.protocols.gateway.topics import Lane

# Kept free for events and results, so that a full backlog never silences a last gasp; and half of
# it for events alone, so that results, which may be large, do not either.
RESERVE_BYTES = OUTBOX_BYTES_MAX // 16
_KEPT_FREE = {
    Lane.EVENTS: 0,
    Lane.RESULTS: RESERVE_BYTES // 2,
    Lane.LIVE: RESERVE_BYTES,
    Lane.BACKFILL: RESERVE_BYTES,
}
# Full is told once, and again only after half of it went: at the cap it is full every minute.
DRAINED_BYTES_MAX = OUTBOX_BYTES_MAX // 2
# Rows that one transaction deletes: its journal has to fit what a full disk leaves.
_ROWS_FORGOTTEN_MAX = 64

_SCHEMA = (
    """
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
create table if not exists sample_taken (
  meter_id text primary key, utc_s real not null, at_s real not null,
  boot text not null, measured_as text not null) without rowid;
create table if not exists told_full (told integer not null);
"""
    + COMMAND_SCHEMA
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message's content at its place in a lane."""

    lane: Lane
    seq: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round of reads yields, or one stage of a command; it is kept whole or not at all."""

    messages: tuple[tuple[Lane, Content], ...] = ()
    coverage: Mapping[tuple[str, date], int] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    taken: Mapping[str, SampleTaken] = field(default_factory=dict)
    commands: tuple[KeptCommand, ...] = ()


class Outbox:
    """One gateway's outbox; one process owns the file."""

    def __init__(self, path: Path, rng: Rng) -> None:
        """Open or make the file; a new file starts a new stream with a random epoch."""
        self._rng = rng
        self._file = OutboxFile(path)
        self._db = self._file.db
        self._db.executescript(_SCHEMA)
        self.commands = CommandTable(self._db)
        self._has_refused = False
        with self._file.transaction():
            if self._db.execute("select 1 from stream").fetchone() is None:
                self._start_stream()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def epoch(self) -> int:
        """The stream's random name; it changes only where sequence numbers would be reused."""
        (octets,) = self._db.execute("select epoch from stream").fetchone()
        return int.from_bytes(octets)

    # --- accepting ----------------------------------------------------------------------

    def record(self, round_: Round) -> None:
        """Commit a round: messages, coverage, samples, commands. OutboxFullError leaves no trace.

        Intervals are refused when the disk is full; the rest may use half of the ballast, so that
        what is delivered can be deleted even then.
        """
        if any(lane in (Lane.LIVE, Lane.BACKFILL) for lane, _ in round_.messages):
            self._commit_bulk(round_)
        else:
            self._require_room(round_)
            self._commit_urgently(partial(self._write, round_))

    def tell_of_fullness(self, now_utc: datetime) -> GatewayEventKind | None:
        """Record once that intervals are refused, and once that they are taken again.

        None if there is no news.
        """
        has_disk = self._file.has_disk()
        (told,) = self._db.execute("select count(*) from told_full").fetchone()
        if self._has_refused and not told:
            kind, statement = GatewayEventKind.OUTBOX_FULL, "insert into told_full values (1)"
        elif told and has_disk and self.bytes_used <= DRAINED_BYTES_MAX:
            kind, statement = GatewayEventKind.OUTBOX_DRAINED, "delete from told_full"
        else:
            return None
        event = GatewayEvent(kind=kind, at_utc=now_utc, detail=f"{self.bytes_used} octets")

        def write() -> None:
            self._append(Lane.EVENTS, Content(gateway_events=(event,)))
            self._db.execute(statement)

        self._commit_urgently(write)
        self._has_refused = False
        return kind

    def coverage(self, meter_id: str) -> dict[date, int]:
        """Return the meter's covered quarter-hours as bits, by UTC day."""
        rows = self._db.execute("select day, slots from coverage where meter_id = ?", (meter_id,))
        return {date.fromisoformat(day): int.from_bytes(slots) for day, slots in rows}

    def forget_coverage(self, meter_id: str, before: date) -> None:
        """Drop coverage older than any read will ask for, so that the table stays small."""
        with self._file.transaction():
            self._db.execute(
                "delete from coverage where meter_id = ? and day < ?",
                (meter_id, before.isoformat()),
            )

    def forget_commands(self, before_utc: datetime) -> None:
        """Drop commands that ended and cannot come again."""
        with self._file.transaction():
            self.commands.forget(before_utc)

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

    def sample_taken(self, meter_id: str) -> SampleTaken | None:
        """Return when the latest sample of a meter was taken."""
        row = self._db.execute(
            "select utc_s, at_s, boot, measured_as from sample_taken where meter_id = ?",
            (meter_id,),
        ).fetchone()
        if row is None:
            return None
        utc_s, at_s, boot, measured_as = row
        return SampleTaken(
            boot=boot,
            measured_as=measured_as,
            instant=Instant(datetime.fromtimestamp(utc_s, UTC), at_s),
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
        if mark.upto < self._next_seq(mark.lane):
            self._forget(mark)
            return
        with self._file.transaction():
            self._renew_stream()

    def _forget(self, mark: Watermark) -> None:
        """Delete in bites, oldest first: a full disk has room for the journal of a few rows."""
        rows = _ROWS_FORGOTTEN_MAX
        while (oldest := self.oldest_seq(mark.lane)) is not None and oldest <= mark.upto:
            upto = min(mark.upto, oldest + rows - 1)
            try:
                with self._file.transaction():
                    self._db.execute(
                        "delete from message where lane = ? and seq <= ?", (mark.lane, upto)
                    )
            except OutboxFullError:
                if rows == 1:
                    raise
                if not self._file.relieve_disk(keep_bytes=0):
                    rows = 1

    @property
    def count(self) -> int:
        """How many messages wait."""
        (count,) = self._db.execute("select count(*) from message").fetchone()
        return int(count)

    @property
    def bytes_used(self) -> int:
        """Octets of the file in use."""
        return self._file.bytes_used

    def messages(self) -> Iterable[StoredMessage]:
        """Return all that waits, by lane and sequence."""
        rows = self._db.execute("select lane, seq, body from message order by lane, seq")
        return [StoredMessage(lane=Lane(lane), seq=seq, body=body) for lane, seq, body in rows]

    # --- inside -------------------------------------------------------------------------

    def _require_room(self, round_: Round) -> None:
        kept_free = max((_KEPT_FREE[lane] for lane, _ in round_.messages), default=0)
        if self.bytes_used > OUTBOX_BYTES_MAX - kept_free:
            raise OutboxFullError(f"{self.bytes_used} octets used: the rest is for what is urgent")

    def _commit_bulk(self, round_: Round) -> None:
        try:
            self._require_room(round_)
            with self._file.transaction():
                self._write(round_)
        except OutboxFullError:
            self._has_refused = True
            raise

    def _commit_urgently(self, write: Callable[[], None]) -> None:
        try:
            with self._file.transaction():
                write()
        except OutboxFullError:
            if not self._file.relieve_disk(keep_bytes=BALLAST_BYTES // 2):
                raise
            with self._file.transaction():
                write()

    def _write(self, round_: Round) -> None:
        for lane, content in round_.messages:
            self._append(lane, content)
        for (meter_id, day), slots in round_.coverage.items():
            self._cover(meter_id, day, slots)
        for sample in round_.samples:
            self._keep_sample(sample)
        for meter_id, taken in round_.taken.items():
            self._keep_taken(meter_id, taken)
        for command in round_.commands:
            self.commands.keep(command)

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

    def _keep_taken(self, meter_id: str, taken: SampleTaken) -> None:
        instant = taken.instant
        self._db.execute(
            "insert or replace into sample_taken values (?, ?, ?, ?, ?)",
            (meter_id, instant.utc.timestamp(), instant.at_s, taken.boot, taken.measured_as),
        )

    def _start_stream(self) -> None:
        self._db.execute("delete from stream")
        self._db.execute("insert into stream values (?)", (self._rng.randbytes(8),))

    def _renew_stream(self) -> None:
        self._start_stream()
        for lane in Lane:
            next_seq = self._next_seq(lane)
            oldest_seq = self.oldest_seq(lane) or next_seq
            for seq in range(oldest_seq, next_seq):  # where they lie: all at once fill the memory
                self._db.execute(
                    "update message set seq = ? where lane = ? and seq = ?",
                    (seq - oldest_seq + 1, lane, seq),
                )
            fresh_seq = next_seq - oldest_seq + 1
            self._db.execute("insert or replace into lane values (?, ?)", (lane, fresh_seq))
