"""The invocation counters of each meter's keys, on disk before they are used.

Law: a counter handed out is never handed out again, whatever crashes: AES-GCM falls with one nonce
used twice. They are reserved by the block, so that a crash costs a block and not a secret.
"""

import sqlite3
from pathlib import Path
from typing import Self

from quince.protocols.dlms.errors import CounterExhaustedError, ReplayError

BLOCK = 64  # a day's session with one meter; 2^32 of them outlast any battery
_COUNTER_MAX = 2**32 - 1

_SCHEMA = """
create table if not exists own_counter (
  meter_id text primary key, reserved_upto integer not null) without rowid;
create table if not exists peer_counter (
  meter_id text not null, system_title blob not null, next integer not null,
  primary key (meter_id, system_title)) without rowid;
"""


class CounterStore:
    """The counters of one gateway; one process owns the file."""

    def __init__(self, path: Path) -> None:
        """Open or make the file."""
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        self._db.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def of(self, meter_id: str) -> "MeterCounters":
        """Return the counters shared with one meter, from a fresh block on."""
        return MeterCounters(self._db, meter_id)


class MeterCounters:
    """What the security layer asks for: our next counter, and the peer's to be remembered."""

    def __init__(self, db: sqlite3.Connection, meter_id: str) -> None:
        """Begin with nothing reserved."""
        self._db = db
        self._meter_id = meter_id
        self._next = 0
        self._reserved_upto = -1

    def reserve(self) -> int:
        """Return a counter nobody had; CounterExhaustedError behind the last: change the key."""
        if self._next > self._reserved_upto:
            self._reserve_block()
        self._next += 1
        return self._next - 1

    def accept(self, system_title: bytes, counter: int) -> None:
        """Remember the meter's counter; ReplayError if it is not above the last one."""
        key = (self._meter_id, system_title)
        row = self._db.execute(
            "select next from peer_counter where meter_id = ? and system_title = ?", key
        ).fetchone()
        expected = 0 if row is None else int(row[0])
        if counter < expected:
            raise ReplayError(counter, expected)
        self._db.execute(
            "insert or replace into peer_counter values (?, ?, ?)", (*key, counter + 1)
        )

    def _reserve_block(self) -> None:
        row = self._db.execute(
            "select reserved_upto from own_counter where meter_id = ?", (self._meter_id,)
        ).fetchone()
        first = 1 if row is None else int(row[0]) + 1
        upto = first + BLOCK - 1
        if upto > _COUNTER_MAX:
            raise CounterExhaustedError("all invocation counters are used: change the key")
        self._db.execute("insert or replace into own_counter values (?, ?)", (self._meter_id, upto))
        self._next, self._reserved_upto = first, upto
