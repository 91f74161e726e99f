"""The interval store on SQLite: day blocks read, filled in memory, swapped back by revision.

It calls sqlite3 directly, without threads: a merge of one batch takes milliseconds, its process
does nothing else, and a simulated day must run the same way twice.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import numpy as np

from quince.headend.errors import CorruptBlockError, StaleBlockError
from quince.headend.intervals.rules import (
    CONFLICT,
    DUPLICATE,
    EMPTY,
    FILLED,
    DayBlock,
    Flags,
    Indices,
    SlotColumns,
    Values,
    columns_of,
    decode_block,
    encode_blocks,
    fill_slots,
    moment_of,
)
from quince.headend.intervals.service import Arrival, Channel, Conflict, MergeResult
from quince.headend.platform.moments import to_ms
from quince.model.interval import SLOTS_PER_DAY, RegisterReading
from quince.model.obis import Obis
from quince.model.quality import Quality

_SCHEMA = """
create table if not exists channel(
  tenant_id integer not null, channel_id integer not null,
  meter_id text not null, obis text not null,
  primary key (tenant_id, channel_id), unique (tenant_id, meter_id, obis)) without rowid;

-- day: since 1970-01-01, UTC. v: 96 little-endian values, uint16 (65535 empty) or int32 (-2^31
-- empty) by its length. q: 96 quality octets, null when all are good. rev: one more per change.
create table if not exists interval_block(
  tenant_id integer not null, channel_id integer not null, day integer not null,
  rev integer not null, v blob not null, q blob,
  primary key (tenant_id, channel_id, day),
  foreign key (tenant_id, channel_id) references channel) without rowid;

-- A second, different value for a filled slot: kept with the message that brought it first.
create table if not exists interval_conflict(
  tenant_id integer not null, channel_id integer not null, slot integer not null,
  value integer not null, flags integer not null,
  source text not null, received_ms integer not null,
  primary key (tenant_id, channel_id, slot, value, flags)) without rowid;

-- The value is part of the key: a register read twice with different results says so.
create table if not exists register_reading(
  tenant_id integer not null, meter_id text not null, obis text not null,
  at_s integer not null, value integer not null,
  primary key (tenant_id, meter_id, obis, at_s, value)) without rowid;
"""

# A block key is channel << 22 | day: days to the year 9999 need 22 bits, which leaves a tenant
# 2^41 channels.
_DAY_BITS = 22
_DAY_MASK = (1 << _DAY_BITS) - 1
# A million channels of a thousand octets is what an ingest process may spend on not asking again.
CHANNELS_CACHED_MAX = 1_000_000


def create_interval_tables(connection: sqlite3.Connection) -> None:
    """Create the tables that are not there yet."""
    connection.executescript(_SCHEMA)


class SqliteIntervalStore:
    """Intervals of every tenant in one database; writes happen in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._channel_ids: dict[tuple[int, str, str], int] = {}

    # --- writing ---------------------------------------------------------------------------

    def merge(
        self, *, tenant_id: int, arrivals: Sequence[Arrival], received_utc: datetime
    ) -> MergeResult:
        """Fill the slots, record the conflicts; StaleBlockError if another writer got between."""
        columns = columns_of([arrival.series for arrival in arrivals])
        channels = np.array(
            [self._channel_id(tenant_id, arrival) for arrival in arrivals], np.int64
        )
        keys, block = np.unique(
            channels[columns.row] << _DAY_BITS | columns.slot // SLOTS_PER_DAY,
            return_inverse=True,
        )
        revs, values, flags = self._read_blocks(tenant_id, keys)
        outcome = fill_slots(
            block, columns.slot % SLOTS_PER_DAY, columns.values, columns.flags, values, flags
        )
        changed = np.unique(block[outcome == FILLED])
        self._swap_blocks(tenant_id, keys[changed], revs[changed], values[changed], flags[changed])
        conflicts = np.flatnonzero(outcome == CONFLICT)
        self._connection.executemany(
            "insert into interval_conflict values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
            _conflict_rows(tenant_id, arrivals, channels, columns, conflicts, received_utc),
        )
        return MergeResult(
            filled=int((outcome == FILLED).sum()),
            duplicates=int((outcome == DUPLICATE).sum()),
            conflicts=len(conflicts),
        )

    def add_readings(self, *, tenant_id: int, readings: Iterable[RegisterReading]) -> None:
        """Keep register readings; the same one again changes nothing."""
        self._connection.executemany(
            "insert into register_reading values (?, ?, ?, ?, ?) on conflict do nothing",
            (
                (tenant_id, one.meter_id, str(one.obis), int(one.at_utc.timestamp()), one.value)
                for one in readings
            ),
        )

    def forget_channels(self) -> None:
        """Ask the database again: what a rolled back transaction created is not there."""
        self._channel_ids.clear()

    def _channel_id(self, tenant_id: int, arrival: Arrival) -> int:
        key = (tenant_id, arrival.series.meter_id, str(arrival.series.obis))
        known = self._channel_ids.get(key)
        if known is not None:
            return known
        if len(self._channel_ids) >= CHANNELS_CACHED_MAX:
            self._channel_ids.clear()
        self._connection.execute(
            "insert into channel select ?1, coalesce(max(channel_id), 0) + 1, ?2, ?3"
            " from channel where tenant_id = ?1 on conflict do nothing",
            key,
        )
        row = self._connection.execute(
            "select channel_id from channel where tenant_id = ? and meter_id = ? and obis = ?", key
        ).fetchone()
        self._channel_ids[key] = int(row[0])
        return self._channel_ids[key]

    def _read_blocks(self, tenant_id: int, keys: Indices) -> tuple[Indices, Values, Flags]:
        revs = np.zeros(len(keys), np.int64)
        values = np.full((len(keys), SLOTS_PER_DAY), EMPTY, np.int32)
        flags = np.zeros((len(keys), SLOTS_PER_DAY), np.uint8)
        for i, key in enumerate(keys.tolist()):
            place = (tenant_id, key >> _DAY_BITS, key & _DAY_MASK)
            row = self._connection.execute(
                "select rev, v, q from interval_block"
                " where tenant_id = ? and channel_id = ? and day = ?",
                place,
            ).fetchone()
            if row is not None:
                revs[i] = row[0]
                values[i], flags[i] = _decode(*place, row[1], row[2])
        return revs, values, flags

    def _swap_blocks(
        self, tenant_id: int, keys: Indices, revs: Indices, values: Values, flags: Flags
    ) -> None:
        """Write each block if its revision is still the one that was read."""
        packed = encode_blocks(values, flags)
        written = self._connection.executemany(
            "insert into interval_block values (?, ?, ?, ?, ?, ?)"
            " on conflict do update set rev = excluded.rev, v = excluded.v, q = excluded.q"
            " where rev = excluded.rev - 1",
            (
                (tenant_id, key >> _DAY_BITS, key & _DAY_MASK, rev + 1, v, q)
                for key, rev, (v, q) in zip(keys.tolist(), revs.tolist(), packed, strict=True)
            ),
        ).rowcount
        if written < len(keys):
            raise StaleBlockError(f"{len(keys) - written} of {len(keys)} blocks were changed")

    # --- reading ---------------------------------------------------------------------------

    def channels(self, *, tenant_id: int, meter_ids: Sequence[str]) -> tuple[Channel, ...]:
        """Return the channels of these meters, by meter and OBIS code."""
        rows = self._connection.execute(
            "select channel_id, meter_id, obis from channel where tenant_id = ?"
            " and meter_id in (select value from json_each(?))",
            (tenant_id, json.dumps(list(meter_ids))),
        )
        found = [
            Channel(channel_id=channel_id, meter_id=meter_id, obis=Obis.parse(obis))
            for channel_id, meter_id, obis in rows
        ]
        return tuple(sorted(found, key=lambda channel: (channel.meter_id, channel.obis)))

    def meters_seen(self, *, tenant_id: int, after: str, limit: int) -> tuple[str, ...]:
        """Return the first `limit` meters that ever sent an interval and follow `after`."""
        rows = self._connection.execute(
            "select distinct meter_id from channel where tenant_id = ? and meter_id > ?"
            " order by meter_id limit ?",
            (tenant_id, after, limit),
        )
        return tuple(meter_id for (meter_id,) in rows)

    def read(
        self, *, tenant_id: int, channel_id: int, first_day: int, end_day: int
    ) -> tuple[DayBlock, ...]:
        """Return the stored days of [first_day, end_day), in order."""
        return tuple(self._blocks(tenant_id, channel_id, first_day, end_day))

    def load(
        self, *, tenant_id: int, channel_ids: Sequence[int], first_day: int, end_day: int
    ) -> Values:
        """Return values[channel, day, slot] of [first_day, end_day), EMPTY where nothing is."""
        values = np.full((len(channel_ids), end_day - first_day, SLOTS_PER_DAY), EMPTY, np.int32)
        for i, channel_id in enumerate(channel_ids):
            for block in self._blocks(tenant_id, channel_id, first_day, end_day):
                values[i, block.day - first_day] = block.values
        return values

    def register_values(
        self, *, tenant_id: int, meter_id: str, obis: Obis, at_utc: datetime
    ) -> tuple[int, ...]:
        """Return the different values the register was reported to have at that moment."""
        rows = self._connection.execute(
            "select value from register_reading"
            " where tenant_id = ? and meter_id = ? and obis = ? and at_s = ?",
            (tenant_id, meter_id, str(obis), int(at_utc.timestamp())),
        )
        return tuple(value for (value,) in rows)

    def conflicts(self, *, tenant_id: int, limit: int) -> tuple[Conflict, ...]:
        """Return the first `limit` conflicts by channel and slot."""
        rows = self._connection.execute(
            "select meter_id, obis, slot, value, flags, source"
            " from interval_conflict join channel using (tenant_id, channel_id)"
            " where tenant_id = ? order by channel_id, slot, value, flags limit ?",
            (tenant_id, limit),
        )
        return tuple(
            Conflict(
                meter_id=meter_id,
                obis=Obis.parse(obis),
                start_utc=moment_of(slot),
                value=value,
                quality=Quality(flags),
                source=source,
            )
            for meter_id, obis, slot, value, flags, source in rows
        )

    def _blocks(
        self, tenant_id: int, channel_id: int, first_day: int, end_day: int
    ) -> Iterator[DayBlock]:
        rows = self._connection.execute(
            "select day, rev, v, q from interval_block"
            " where tenant_id = ? and channel_id = ? and day >= ? and day < ? order by day",
            (tenant_id, channel_id, first_day, end_day),
        )
        for day, rev, packed, quality in rows:
            values, flags = _decode(tenant_id, channel_id, day, packed, quality)
            yield DayBlock(day=day, rev=rev, values=values, flags=flags)


def _decode(
    tenant_id: int, channel_id: int, day: int, packed: bytes, quality: bytes | None
) -> tuple[Values, Flags]:
    """Decode a block; its CorruptBlockError names the row, so that a person can find it."""
    try:
        return decode_block(packed, quality)
    except CorruptBlockError as error:
        raise CorruptBlockError(
            f"tenant {tenant_id}, channel {channel_id}, day {day}: {error}"
        ) from error


def _conflict_rows(
    tenant_id: int,
    arrivals: Sequence[Arrival],
    channels: Indices,
    columns: SlotColumns,
    chosen: Indices,
    received_utc: datetime,
) -> Iterator[tuple[int, int, int, int, int, str, int]]:
    received_ms = to_ms(received_utc)
    for i in chosen.tolist():
        row = int(columns.row[i])
        yield (
            tenant_id,
            int(channels[row]),
            int(columns.slot[i]),
            int(columns.values[i]),
            int(columns.flags[i]),
            arrivals[row].source,
            received_ms,
        )
