"""The head-end as a running process: ingest, outages and dashboard, until it is told to stop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from quince.headend.commands.consumer import Dispatch, run_commands
from quince.headend.commands.rules import Danger
from quince.headend.commands.signing_key import CommandSigner, read_signer
from quince.headend.dashboard.endpoints import Desk, create_app
from quince.headend.door import open_authorizer, open_door
from quince.headend.enrolment.roles import Authorizer, keep_roles
from quince.headend.ingest.consumer import consume
from quince.headend.ingest.service import Ingest
from quince.headend.outage.consumer import follow_events
from quince.headend.platform.mqtt import MqttBroker, MqttLink, TlsFiles, open_broker
from quince.headend.settings import Settings
from quince.headend.wiring import (
    ReadSide,
    open_commands,
    open_enrolment_store,
    open_ingest,
    open_read_side,
)
from quince.model.clock import Clock, parse_clock
from quince.model.errors import InvalidValueError
from quince.protocols.gateway.topics import cell_filters

# A client that trickles its request shall not hold up an orderly end until somebody kills us.
GRACE_S_MAX = 10


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
    signer = command_signer(settings)
    with open_ingest(settings.database) as ingest:
        async with (
            open_read_side(settings.database) as side,
            _open_servers(settings, _desk(side, clock), clock) as servers,
            asyncio.TaskGroup() as tasks,
        ):
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, _stop, servers)
            workers = [
                tasks.create_task(_serve_cell(link, settings, signer, ingest, clock)),
                tasks.create_task(follow_events(side.reader, side.assets, side.outages)),
            ]
            authorizer = open_authorizer(settings)
            if authorizer is not None:
                workers.append(tasks.create_task(_keep_roles(settings, authorizer)))
            await asyncio.gather(*(server.serve() for server in servers))
            for worker in workers:
                worker.cancel()


def _stop(servers: Sequence["_Server"]) -> None:
    for server in servers:
        server.stop()


async def _keep_roles(settings: Settings, authorizer: Authorizer) -> None:
    async with open_enrolment_store(settings.database) as store:
        await keep_roles(store, authorizer, settings.cell)


async def _serve_cell(
    link: MqttLink,
    settings: Settings,
    signer: CommandSigner | None,
    ingest: Ingest,
    clock: Clock,
) -> None:
    """Ingest what the cell's gateways say, and tell them what they are to do."""
    async with (
        open_broker(link, cell_filters(settings.cell)) as broker,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(consume(broker, ingest, clock))
        if signer is not None:
            tasks.create_task(_command(settings, signer, broker, clock))


async def _command(
    settings: Settings, signer: CommandSigner, broker: MqttBroker, clock: Clock
) -> None:
    async with open_commands(settings.database, clock, alone_max(settings)) as room:
        dispatch = Dispatch(
            tenants=room.tenants,
            results=room.results,
            store=room.store,
            signer=signer,
            clock=clock,
        )
        await run_commands(dispatch, broker, settings.cell)


def command_signer(settings: Settings) -> CommandSigner | None:
    """Return who signs commands; None where none are to be published."""
    if settings.command_key is None:
        return None
    return read_signer(settings.command_signer, settings.command_key)


def alone_max(settings: Settings) -> dict[Danger, int]:
    """Return how often an hour one person will do for what is dangerous."""
    return {
        Danger.DISCONNECT: settings.alone_disconnects_max,
        Danger.FIRMWARE: settings.alone_firmware_max,
        Danger.KEY: settings.alone_keys_max,
    }


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


@asynccontextmanager
async def _open_servers(
    settings: Settings, desk: Desk, clock: Clock
) -> AsyncIterator[Sequence[_Server]]:
    """Open the dashboard, and the door if it has a port."""
    dashboard = _Server(_web(create_app(desk), settings.http_host, settings.http_port))
    if settings.field_port is None:
        yield [dashboard]
        return
    async with open_door(settings, clock) as app:
        config = _web(app, settings.field_host, settings.field_port)
        config.ssl_certfile, config.ssl_keyfile = settings.field_cert, settings.field_key
        yield [dashboard, _Server(config)]


def _web(app: FastAPI, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=GRACE_S_MAX,
    )
