"""The composition root: databases opened, parts joined, the process run."""

import asyncio
import secrets
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn
from sqlalchemy.ext.asyncio import AsyncEngine

from quince.headend.assets.rules import Registration
from quince.headend.assets.store import AssetStore
from quince.headend.dashboard.endpoints import Desk, create_app
from quince.headend.identity.service import Identity
from quince.headend.identity.store import SqlTokenStore
from quince.headend.ingest.consumer import consume
from quince.headend.ingest.service import Ingest, accept
from quince.headend.ingest.store import (
    SqliteIngestReader,
    SqliteIngestStore,
    create_ingest_tables,
)
from quince.headend.intervals.store import SqliteIntervalStore, create_interval_tables
from quince.headend.outage.consumer import follow_events
from quince.headend.outage.store import SqlOutageStore
from quince.headend.platform.mqtt import MqttLink, TlsFiles, open_broker
from quince.headend.platform.sql import create_tables, open_engine
from quince.headend.platform.sqlite import open_connection
from quince.headend.settings import Settings
from quince.headend.usage.service import Usage
from quince.model.clock import Clock, parse_clock
from quince.model.errors import InvalidValueError
from quince.protocols.gateway.topics import cell_filters


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
    async with _open_parts(path) as parts:
        yield parts.usage


@asynccontextmanager
async def open_identity(path: Path) -> AsyncIterator[Identity]:
    """Open the tokens of the database at `path`."""
    prepare_database(path)
    async with _engine(path) as engine:
        yield Identity(store=SqlTokenStore(engine), random_octets=secrets.token_bytes)


@asynccontextmanager
async def open_desk(path: Path, clock: Clock) -> AsyncIterator[Desk]:
    """Open what the dashboard and the command line show of the database at `path`."""
    async with _open_parts(path) as parts:
        yield parts.desk(clock)


async def register(path: Path, registration: Registration) -> None:
    """Write a registration into the database at `path`."""
    prepare_database(path)
    async with _engine(path) as engine:
        await AssetStore(engine).register(registration)


async def run(settings: Settings) -> None:
    """Run ingest, outages and dashboard until SIGTERM or SIGINT, or until one of them fails."""
    clock = parse_clock(settings.clock)
    link = mqtt_link(settings)
    with open_ingest(settings.database) as ingest:
        async with _open_parts(settings.database) as parts, asyncio.TaskGroup() as tasks:
            server = _Server(_web(settings, parts.desk(clock)))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, server.stop)
            workers = [
                tasks.create_task(_consume(link, settings.cell, ingest, clock)),
                tasks.create_task(follow_events(parts.reader, parts.assets, parts.outages)),
            ]
            await server.serve()
            for worker in workers:
                worker.cancel()


async def _consume(link: MqttLink, cell: str, ingest: Ingest, clock: Clock) -> None:
    async with open_broker(link, cell_filters(cell)) as broker:
        await consume(broker, ingest, clock)


def mqtt_link(settings: Settings) -> MqttLink:
    """Return the way to the broker; the client identifier is the cell's, so its session is too."""
    password = settings.mqtt_password
    return MqttLink(
        host=settings.mqtt_host,
        port=settings.mqtt_port,
        client_id=f"quince-headend-{settings.cell}",
        username=settings.mqtt_username,
        password=None if password is None else password.get_secret_value(),
        tls=_tls_files(settings),
    )


def _tls_files(settings: Settings) -> TlsFiles | None:
    if settings.mqtt_ca is not None:
        return TlsFiles(ca=settings.mqtt_ca, cert=settings.mqtt_cert, key=settings.mqtt_key)
    if settings.mqtt_cert is not None:
        raise InvalidValueError("mqtt_cert", settings.mqtt_cert, "mqtt_ca is what turns TLS on")
    return None


class _Server(uvicorn.Server):
    """A web server that leaves the process's signals to the process."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # no generator needed
        return nullcontext()

    def stop(self) -> None:
        """Finish the requests at hand and return from `serve`."""
        self.should_exit = True


def _web(settings: Settings, desk: Desk) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(desk),
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """The reading stores, joined."""

    assets: AssetStore
    reader: SqliteIngestReader
    outages: SqlOutageStore
    usage: Usage

    def desk(self, clock: Clock) -> Desk:
        """Return what the dashboard shows."""
        return Desk(
            usage=self.usage,
            outages=self.outages,
            contacts=self.reader,
            tenants=self.assets,
            clock=clock,
        )


@asynccontextmanager
async def _open_parts(path: Path) -> AsyncIterator[_Parts]:
    prepare_database(path)
    with closing(open_connection(path)) as connection:
        async with _engine(path) as engine:
            yield _parts(connection, engine)


def _parts(connection: sqlite3.Connection, engine: AsyncEngine) -> _Parts:
    assets = AssetStore(engine)
    return _Parts(
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
