"""The outbox's file: one SQLite database under a cap, and a ballast beside it for a full disk.

Law: what is committed survives a power cut (`synchronous=FULL`: with NORMAL, committed rows were
lost). On a full disk SQLite cannot even delete, because it writes first what it is about to do;
the ballast is given back then, so that a last gasp is kept and delivered messages can go.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import structlog

from quince.edge.errors import OutboxError, OutboxFullError

log = structlog.get_logger()

# Seven weeks of 100 meters' quarter-hours, an interval with its readings being some 140 octets;
# the meters' own profiles are the longer buffer.
OUTBOX_BYTES_MAX = 64 * 1024 * 1024
# The journal is carried over early: on a full disk a long one could be neither extended nor
# carried over, and not a single row deleted.
_JOURNAL_PAGES = 64
# What the journal may still grow by and the database behind it, several times.
BALLAST_BYTES = 1024 * 1024


class OutboxFile:
    """The open file; one process owns it."""

    def __init__(self, path: Path) -> None:
        """Open or make the file, and its ballast if the disk has room for one.

        A damaged file is set aside, and a new one begun: a gateway that does not start helps
        nobody, and the meters' profiles still have what was not delivered.
        """
        if _is_damaged(path):
            _set_aside(path)
        self._folder = path.parent
        self._ballast = path.with_suffix(".ballast")
        path.touch(mode=0o600)
        path.chmod(0o600)  # where a supply is used tells when nobody is at home
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("pragma journal_mode=wal")
        self.db.execute("pragma synchronous=full")
        (page_bytes,) = self.db.execute("pragma page_size").fetchone()
        self._page_bytes: int = page_bytes
        self.db.execute(f"pragma max_page_count={OUTBOX_BYTES_MAX // page_bytes}")
        self.db.execute(f"pragma wal_autocheckpoint={_JOURNAL_PAGES}")
        self.db.execute(f"pragma journal_size_limit={_JOURNAL_PAGES * page_bytes}")
        self._load_ballast()

    def close(self) -> None:
        """Close it; the ballast stays."""
        self.db.close()

    @property
    def bytes_used(self) -> int:
        """Octets of the file in use."""
        (pages,) = self.db.execute("pragma page_count").fetchone()
        (free,) = self.db.execute("pragma freelist_count").fetchone()
        return int(pages - free) * self._page_bytes

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of a block or nothing; OutboxFullError at the cap or on a full disk."""
        try:
            self.db.execute("begin immediate")
            yield
            self.db.execute("commit")
        except sqlite3.OperationalError as error:
            full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
            raise (OutboxFullError if full else OutboxError)(str(error)) from error
        finally:
            if self.db.in_transaction:  # a full disk may have rolled back by itself
                self.db.execute("rollback")

    def relieve_disk(self, *, keep_bytes: int) -> bool:
        """Cut the ballast down where the disk is full; False if that helps nothing."""
        if self._disk_bytes_free >= BALLAST_BYTES or self._ballast_bytes <= keep_bytes:
            return False
        os.truncate(self._ballast, keep_bytes)
        log.warning("outbox_ballast_cut", keep_bytes=keep_bytes)
        return True

    def has_disk(self) -> bool:
        """Say whether the disk has room for the ballast, and as much besides; load it if so."""
        return self._load_ballast() and self._disk_bytes_free >= BALLAST_BYTES

    @property
    def _disk_bytes_free(self) -> int:
        return shutil.disk_usage(self._folder).free

    @property
    def _ballast_bytes(self) -> int:
        return self._ballast.stat().st_size if self._ballast.exists() else 0

    def _load_ballast(self) -> bool:
        if self._ballast_bytes == BALLAST_BYTES:
            return True
        with suppress(OSError):
            descriptor = os.open(self._ballast, os.O_CREAT | os.O_WRONLY, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, BALLAST_BYTES)  # blocks, without wearing flash
                return True
            finally:
                os.close(descriptor)
        return False


def _is_damaged(path: Path) -> bool:
    """Say whether the file is there and is no whole database."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path)) as db:
        try:
            (finding,) = db.execute("pragma quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise
            finding = str(error)
    if finding != "ok":
        log.error("outbox_damaged", path=str(path), finding=finding)
    return bool(finding != "ok")


def _set_aside(path: Path) -> None:
    """Keep the damaged file for whoever wants to look, in the place of an earlier one."""
    for suffix in ("", "-wal"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(f"{path.name}.damaged{suffix}"))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
