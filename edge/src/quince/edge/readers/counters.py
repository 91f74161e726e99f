"""The invocation counters of each key, on disk before they are used.

Law: a counter handed out is never handed out again, whatever crashes: AES-GCM falls with one nonce
used twice. They are reserved by the block, so that a crash costs a block and not a secret.
"""

import hashlib
import sqlite3
from pathlib import Path
from typing import Self

from quince.protocols.dlms.errors import CounterExhaustedError, ReplayError

BLOCK = 64  # more than a session with one meter takes; 2^32 of them outlast any battery
_COUNTER_MAX = 2**32 - 1
# How far a meter's word that it expects a higher counter is followed: it comes unauthenticated,
# and whoever forges it shall not be able to use up a key.
CATCH_UP_MAX = 2**24

_SCHEMA = """
create table if not exists own_counter (
  key_id blob primary key, reserved_upto integer not null) without rowid;
create table if not exists peer_counter (
  key_id blob not null, system_title blob not null, next integer not null,
  primary key (key_id, system_title)) without rowid;
"""


_REMEMBER_OWN = "insert or replace into own_counter values (?, ?)"
_REMEMBER_PEER = "insert or replace into peer_counter values (?, ?, ?)"


def key_id(system_title: bytes, encryption_key: bytes) -> bytes:
    """Name a key and who counts with it; a new key, or another title, counts from the start."""
    return hashlib.sha256(system_title + encryption_key).digest()[:16]


class CounterStore:
    """The counters of one gateway; a technician's command may use the file beside it."""

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

    def of(self, key: bytes) -> "SessionCounters":
        """Return the counters for one session under a key, from a fresh block on.

        A session of its own each time: the meter wants every counter above the last, whichever
        process sent it.
        """
        return SessionCounters(self._db, key)

    def catch_up(self, key: bytes, expected: int) -> bool:
        """Go on from the counter a meter says it expects; False if that is too far to believe."""
        with self._db:
            self._db.execute("begin immediate")
            reserved_upto = _reserved_upto(self._db, key)
            if not reserved_upto < expected <= reserved_upto + CATCH_UP_MAX:
                return False
            self._db.execute(
                "insert or replace into own_counter values (?, ?)", (key, expected - 1)
            )
        return True


class SessionCounters:
    """What the security layer asks for: our next counter, and the peer's to be remembered."""

    def __init__(self, db: sqlite3.Connection, key: bytes) -> None:
        """Begin with nothing reserved."""
        self._db = db
        self._key = key
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
        key = (self._key, system_title)
        row = self._db.execute(
            "select next from peer_counter where key_id = ? and system_title = ?", key
        ).fetchone()
        expected = 0 if row is None else int(row[0])
        if counter < expected:
            raise ReplayError(counter, expected)
        self._db.execute(
            "insert or replace into peer_counter values (?, ?, ?)", (*key, counter + 1)
        )

    def _reserve_block(self) -> None:
        # Immediate: two processes that read before either writes would hand out one block twice.
        with self._db:
            self._db.execute("begin immediate")
            first = _reserved_upto(self._db, self._key) + 1
            upto = first + BLOCK - 1
            if upto > _COUNTER_MAX:
                raise CounterExhaustedError("all invocation counters are used: change the key")
            self._db.execute(_REMEMBER_OWN, (self._key, upto))
        self._next, self._reserved_upto = first, upto


def _reserved_upto(db: sqlite3.Connection, key: bytes) -> int:
    row = db.execute("select reserved_upto from own_counter where key_id = ?", (key,)).fetchone()
    return 0 if row is None else int(row[0])
