"""The head-end as a running process: ingest, outages and dashboard, until it is told to stop."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path

import uvicorn

from quince.headend.dashboard.endpoints import Desk, create_app
from quince.headend.ingest.consumer import consume
from quince.headend.ingest.service import Ingest
from quince.headend.outage.consumer import follow_events
from quince.headend.platform.mqtt import MqttLink, TlsFiles, open_broker
from quince.headend.settings import Settings
from quince.headend.wiring import ReadSide, open_ingest, open_read_side
from quince.model.clock import Clock, parse_clock
from quince.model.errors import InvalidValueError
from quince.protocols.gateway.topics import cell_filters


@asynccontextmanager
async def open_desk(path: Path, clock: Clock) -> AsyncIterator[Desk]:
    """Open what the dashboard and the command line show of the database at `path`."""
    async with open_read_side(path) as side:
        yield _desk(side, clock)


def _desk(side: ReadSide, clock: Clock) -> Desk:
    return Desk(
        usage=side.usage,
        outages=side.outages,
        contacts=side.reader,
        tenants=side.assets,
        clock=clock,
    )


async def run(settings: Settings) -> None:
    """Run ingest, outages and dashboard until SIGTERM or SIGINT, or until one of them fails."""
    clock = parse_clock(settings.clock)
    link = mqtt_link(settings)
    with open_ingest(settings.database) as ingest:
        async with open_read_side(settings.database) as side, asyncio.TaskGroup() as tasks:
            server = _Server(_web(settings, _desk(side, clock)))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, server.stop)
            workers = [
                tasks.create_task(_consume(link, settings.cell, ingest, clock)),
                tasks.create_task(follow_events(side.reader, side.assets, side.outages)),
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
