"""The composition root of the data: databases opened, stores joined; no server, no broker."""

import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from quince.headend.assets.rules import Registration
from quince.headend.assets.store import AssetStore
from quince.headend.identity.service import Identity
from quince.headend.identity.store import SqlTokenStore
from quince.headend.ingest.service import Ingest, accept
from quince.headend.ingest.store import (
    SqliteIngestReader,
    SqliteIngestStore,
    create_ingest_tables,
)
from quince.headend.intervals.store import SqliteIntervalStore, create_interval_tables
from quince.headend.outage.store import SqlOutageStore
from quince.headend.platform.sql import create_tables, open_engine
from quince.headend.platform.sqlite import open_connection
from quince.headend.usage.service import Usage


def prepare_database(path: Path) -> None:
    """Create the database at `path`, or what is not there yet of it."""
    create_tables(path)
    with closing(open_connection(path)) as connection:
        create_interval_tables(connection)
        create_ingest_tables(connection)


@contextmanager
def open_ingest(path: Path) -> Iterator[Ingest]:
    """Open the ingest of the database at `path`, for `consume`; it uses no thread."""
    prepare_database(path)
    with closing(open_connection(path)) as connection:
        yield partial(accept, store=SqliteIngestStore(connection))


@asynccontextmanager
async def open_usage(path: Path) -> AsyncIterator[Usage]:
    """Open the read side of the database at `path`."""
    async with open_read_side(path) as side:
        yield side.usage


@asynccontextmanager
async def open_identity(path: Path) -> AsyncIterator[Identity]:
    """Open the tokens of the database at `path`."""
    prepare_database(path)
    async with _engine(path) as engine:
        yield Identity(store=SqlTokenStore(engine), random_octets=secrets.token_bytes)


async def register(path: Path, registration: Registration) -> None:
    """Write a registration into the database at `path`."""
    prepare_database(path)
    async with _engine(path) as engine:
        await AssetStore(engine).register(registration)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSide:
    """The reading stores, joined."""

    assets: AssetStore
    reader: SqliteIngestReader
    outages: SqlOutageStore
    usage: Usage


@asynccontextmanager
async def open_read_side(path: Path) -> AsyncIterator[ReadSide]:
    """Open the reading stores of the database at `path`."""
    prepare_database(path)
    with closing(open_connection(path)) as connection:
        async with _engine(path) as engine:
            yield _read_side(connection, engine)


def _read_side(connection: sqlite3.Connection, engine: AsyncEngine) -> ReadSide:
    assets = AssetStore(engine)
    return ReadSide(
        assets=assets,
        reader=SqliteIngestReader(connection),
        outages=SqlOutageStore(engine),
        usage=Usage(intervals=SqliteIntervalStore(connection), meters=assets),
    )


@asynccontextmanager
async def _engine(path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(path)
    try:
        yield engine
    finally:
        await engine.dispose()
