"""SQLAlchemy on SQLite for the domain tables: the engine, the one MetaData, the writing block."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from quince.headend.platform.sqlite import PRAGMAS

metadata = MetaData()

_BEGIN = "sqlite_begin"


def open_engine(path: Path) -> AsyncEngine:
    """Return an engine on the database at `path`; its transactions begin where they seem to."""
    # Left to itself the driver begins at the first write, so reads before it see another snapshot.
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", connect_args={"isolation_level": None}
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def writing(engine: AsyncEngine) -> AbstractAsyncContextManager[AsyncConnection]:
    """Return a transaction that holds the write lock from its start, and commits at its end.

    A transaction that reads first and locks later fails if anyone wrote in between.
    """
    return engine.execution_options(**{_BEGIN: "begin immediate"}).begin()


def create_tables(path: Path) -> None:
    """Create the domain tables that are not there yet; a new file is its owner's alone.

    Work orders hold meters' keys.
    """
    path.touch(mode=0o600)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        # Not create_all: it looks first and creates then, and two processes may start at once.
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
        if any(_missing(connection, table) for table in metadata.sorted_tables):
            _add_columns(connection)
        for table in metadata.sorted_tables:
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))
    engine.dispose()


def _add_columns(connection: Connection) -> None:
    """Add what an earlier version's tables lack; such columns can be null."""
    connection.exec_driver_sql("begin immediate")  # another process may be about to do the same
    for table in metadata.sorted_tables:
        for column in _missing(connection, table):
            definition = CreateColumn(column).compile(connection)
            connection.exec_driver_sql(f"alter table {table.name} add column {definition}")


def _missing(connection: Connection, table: Table) -> list[Column[Any]]:
    there = {row.name for row in connection.exec_driver_sql(f"pragma table_info({table.name})")}
    return [column for column in table.columns if column.name not in there]


def _prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "begin"))
