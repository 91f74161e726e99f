"""The invocation counters of each key, on disk before they are used.

Law: a counter handed out is never handed out again, whatever crashes: AES-GCM falls with one nonce
used twice. They are reserved by the block, so that a crash costs a block and not a secret.

A meter has several keys, and each is counted under a name of its own. Keys that live no longer
than an association or an APDU have no row here: a dedicated key is counted in memory, and an
agreed or wrapped one is used under the global key's counters, as its transaction.
"""

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from quince.edge.readers.dlms.changed_keys import CHANGED_KEYS_SCHEMA, ChangedKeys
from quince.protocols.dlms.errors import CounterExhaustedError
from quince.protocols.dlms.security.counters import COUNTER_MAX, ReplayWindow

BLOCK = 64  # some sessions with one meter; what crashes skip outlasts any battery
# How far a meter's word that it expects a higher counter is followed: it comes unauthenticated,
# and whoever forges it shall not be able to use up a key, neither at once nor day by day: half of
# its counters are never given away on a word.
CATCH_UP_MAX = 2**24
CAUGHT_UP_MAX = COUNTER_MAX // 2

_SCHEMA = (
    """
create table if not exists own_counter (
  key_id blob primary key, reserved_upto integer not null) without rowid;
create table if not exists peer_window (
  key_id blob not null, peer blob not null, expected integer not null, seen integer not null,
  primary key (key_id, peer)) without rowid;
"""
    + CHANGED_KEYS_SCHEMA
)
_REMEMBER_OWN = "insert or replace into own_counter values (?, ?)"
_RECALL_PEER = "select expected, seen from peer_window where key_id = ? and peer = ?"
_REMEMBER_PEER = "insert or replace into peer_window values (?, ?, ?, ?)"


def key_id(system_title: bytes, encryption_key: bytes) -> bytes:
    """Name a key and who counts with it; a new key, or another title, counts from the start."""
    return hashlib.sha256(system_title + encryption_key).digest()[:16]


@dataclass(slots=True, kw_only=True)
class _Block:
    """Counters that are reserved on disk for this process: the next of them, and the last."""

    next: int
    upto: int


class CounterStore:
    """The counters of one gateway; a technician's command may use the file beside it.

    The keys that they count for are in the same file, where they are not the configuration's.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file."""
        path.touch(mode=0o600)  # keys that were changed are in it
        path.chmod(0o600)
        self._own = _connect(path, "full")
        self._own.executescript(_SCHEMA)
        self.changed_keys = ChangedKeys(self._own)
        # What meters counted is written without waiting for the disk, for every block of a long
        # answer is one of theirs. A crash of ours loses none; one of the machine may lose those
        # since our last block. What could be replayed then are answers of associations that are
        # over, which answer nothing any more, and the pushes of that while.
        self._peers = _connect(path, "normal")
        # One for each key of the configuration.
        self._blocks: dict[bytes, _Block] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._peers.close()
        self._own.close()

    def of(self, key: bytes) -> "SessionCounters":
        """Return the counters for one session under a key.

        A session of its own each time: the meter wants every counter above the last, whichever
        process sent it.
        """
        return SessionCounters(self, key)

    def draw(self, key: bytes, *, begins: bool) -> int:
        """Return a counter nobody had; CounterExhaustedError behind the last: change the key.

        A session that `begins` goes on in our block, unless somebody reserved one behind it.
        """
        block = self._blocks.get(key)
        is_last = not begins or block is None or block.upto == _reserved_upto(self._own, key)
        if block is None or block.next > block.upto or not is_last:
            block = self._blocks[key] = self._reserve_block(key)
        block.next += 1
        return block.next - 1

    def _reserve_block(self, key: bytes) -> "_Block":
        # Immediate: two processes that read before either writes would hand out one block twice.
        with self._own:
            self._own.execute("begin immediate")
            first = _reserved_upto(self._own, key) + 1
            upto = first + BLOCK - 1
            if upto > COUNTER_MAX:
                raise CounterExhaustedError("all invocation counters are used: change the key")
            self._own.execute(_REMEMBER_OWN, (key, upto))
        return _Block(next=first, upto=upto)

    def accept(self, key: bytes, peer: bytes, counter: int) -> None:
        """Remember a peer's counter; ReplayError if it was seen before, or is too old."""
        # Immediate: a session and a push may hear the same counter from two processes.
        with self._peers:
            self._peers.execute("begin immediate")
            row = self._peers.execute(_RECALL_PEER, (key, peer)).fetchone()
            window = ReplayWindow() if row is None else ReplayWindow(int(row[0]), int(row[1]))
            heard = window.accept(counter)
            self._peers.execute(_REMEMBER_PEER, (key, peer, heard.expected, heard.seen))

    def catch_up(self, key: bytes, expected: int) -> bool:
        """Go on from the counter a meter says it expects; False if that is too far to believe.

        It is no news either if it leads back.
        """
        block = self._blocks.get(key)
        if block is not None and block.next < expected <= block.upto:
            block.next = expected
            return True
        with self._own:
            self._own.execute("begin immediate")
            reserved_upto = _reserved_upto(self._own, key)
            if not reserved_upto < expected <= min(reserved_upto + CATCH_UP_MAX, CAUGHT_UP_MAX):
                return False
            self._own.execute(_REMEMBER_OWN, (key, expected - 1))
        self._blocks.pop(key, None)  # what is left of it is too low
        return True


class SessionCounters:
    """What the security layer asks for: our next counter, and the peer's to be remembered."""

    def __init__(self, store: CounterStore, key: bytes) -> None:
        """Begin with nothing drawn."""
        self._store = store
        self._key = key
        self._begins = True

    def reserve(self) -> int:
        """Return a counter nobody had; CounterExhaustedError behind the last: change the key."""
        counter = self._store.draw(self._key, begins=self._begins)
        self._begins = False
        return counter

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember the meter's counter; ReplayError if it was seen before, or is too old."""
        self._store.accept(self._key, peer, counter)


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute(f"pragma synchronous={synchronous}")
    return db


def _reserved_upto(db: sqlite3.Connection, key: bytes) -> int:
    row = db.execute("select reserved_upto from own_counter where key_id = ?", (key,)).fetchone()
    return 0 if row is None else int(row[0])
