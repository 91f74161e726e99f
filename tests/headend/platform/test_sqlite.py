import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from quince.headend.errors import StoreBusyError
from quince.headend.platform.sql import open_engine, writing
from quince.headend.platform.sqlite import open_connection, transaction


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "any.sqlite"
    with closing(open_connection(path)) as connection:
        connection.execute("create table t(n integer)")
    return path


def numbers(connection: sqlite3.Connection) -> list[int]:
    return [n for (n,) in connection.execute("select n from t")]


def test_commits_are_flushed_to_the_disk(path: Path) -> None:
    with closing(open_connection(path)) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
        assert connection.execute("pragma synchronous").fetchone() == (2,)  # FULL


def test_a_block_that_fails_writes_nothing(path: Path) -> None:
    with closing(open_connection(path)) as connection:
        with pytest.raises(sqlite3.ProgrammingError), transaction(connection):
            connection.executemany("insert into t values (?)", [(1,), (1, 2)])
        with transaction(connection):
            connection.execute("insert into t values (2)")
        assert numbers(connection) == [2]


def test_a_second_writer_is_told_that_the_first_is_at_work(path: Path) -> None:
    with closing(open_connection(path)) as one, closing(open_connection(path)) as other:
        other.execute("pragma busy_timeout = 0")
        with transaction(one), pytest.raises(StoreBusyError), transaction(other):
            raise AssertionError
        with transaction(other):
            other.execute("insert into t values (1)")
        assert numbers(one) == [1]


def test_another_fault_of_the_database_is_not_called_busy(path: Path) -> None:
    with (
        closing(open_connection(path)) as connection,
        transaction(connection),
        pytest.raises(sqlite3.OperationalError, match="within a transaction"),
        transaction(connection),
    ):
        raise AssertionError


async def test_the_engine_s_transactions_hold_the_write_lock_from_their_start(path: Path) -> None:
    engine = open_engine(path)
    with closing(open_connection(path)) as hot:
        hot.execute("pragma busy_timeout = 0")
        async with writing(engine) as connection:
            with pytest.raises(StoreBusyError), transaction(hot):
                raise AssertionError
            await connection.execute(text("insert into t values (1)"))
        assert numbers(hot) == [1]
    await engine.dispose()


async def test_a_reading_transaction_stops_no_writer(path: Path) -> None:
    engine = open_engine(path)
    async with engine.connect() as connection:
        await connection.execute(text("select * from t"))
        with closing(open_connection(path)) as hot, transaction(hot):
            hot.execute("insert into t values (1)")
        assert (await connection.execute(text("select count(*) from t"))).scalar() == 0
    await engine.dispose()
    await asyncio.sleep(0)
