"""The composition root of the data: databases opened, stores joined; no server, no broker."""

import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from quince.headend.assets.rules import Registration
from quince.headend.assets.store import AssetStore, GatewayDirectory
from quince.headend.commands.rules import Danger
from quince.headend.commands.service import Commands
from quince.headend.commands.store import SqlCommandStore
from quince.headend.enrolment.service import GatewayKeys
from quince.headend.enrolment.store import SqlEnrolmentStore
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
from quince.headend.work_orders.service import WorkOrders
from quince.headend.work_orders.store import WorkOrderStore
from quince.model.clock import Clock


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


@asynccontextmanager
async def open_enrolment_store(path: Path) -> AsyncIterator[SqlEnrolmentStore]:
    """Open tokens, certificates and wanted roles of the database at `path`."""
    prepare_database(path)
    async with _engine(path) as engine:
        yield SqlEnrolmentStore(engine)


@asynccontextmanager
async def open_order_book(path: Path) -> AsyncIterator[WorkOrderStore]:
    """Open the work orders of the database at `path`."""
    prepare_database(path)
    async with _engine(path) as engine:
        yield WorkOrderStore(engine)


@asynccontextmanager
async def open_work_orders(path: Path, clock: Clock) -> AsyncIterator[WorkOrders]:
    """Open what technicians ask the database at `path`, for `work_order_router`."""
    async with open_read_side(path) as side, open_order_book(path) as orders:
        yield WorkOrders(orders=orders, usage=side.usage, events=side.reader, clock=clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRoom:
    """What persons, and the loop, do with commands."""

    commands: Commands
    store: SqlCommandStore
    results: SqliteIngestReader
    tenants: AssetStore


@asynccontextmanager
async def open_commands(
    path: Path, clock: Clock, alone_max: Mapping[Danger, int]
) -> AsyncIterator[CommandRoom]:
    """Open the commands of the database at `path`."""
    prepare_database(path)
    with closing(open_connection(path)) as connection:
        async with _engine(path) as engine:
            store, reader = SqlCommandStore(engine), SqliteIngestReader(connection)
            commands = Commands(
                store=store,
                owners=GatewayDirectory(connection),
                places=reader,
                keys=GatewayKeys(store=SqlEnrolmentStore(engine), clock=clock),
                clock=clock,
                random_octets=secrets.token_bytes,
                alone_max=alone_max,
            )
            yield CommandRoom(
                commands=commands, store=store, results=reader, tenants=AssetStore(engine)
            )


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
