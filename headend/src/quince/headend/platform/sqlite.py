"""A raw SQLite connection with explicit transactions, whose commits survive a power cut."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quince.headend.errors import StoreBusyError

PRAGMAS = (
    "pragma busy_timeout = 5000",
    "pragma journal_mode = wal",  # readers never wait for the writer
    "pragma synchronous = full",  # the gateway deletes its copy once we have committed
    "pragma foreign_keys = on",
)
_PRIMARY_CODE = 0xFF  # an extended result code carries its primary code in the low octet


def open_connection(path: Path) -> sqlite3.Connection:
    """Return a connection in autocommit: a transaction begins where `transaction` says so."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block writes, or nothing of it; StoreBusyError if another writer is at work.

    IMMEDIATE takes the write lock at once: a transaction that reads first and writes later would
    fail in its middle if anyone wrote in between.
    """
    try:
        connection.execute("begin immediate")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & _PRIMARY_CODE == sqlite3.SQLITE_BUSY:
            raise StoreBusyError("another writer holds the database") from error
        raise
    try:
        yield
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
