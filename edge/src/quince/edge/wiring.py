"""The composition root: one configuration file becomes one running gateway."""

import asyncio
import random
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from quince.edge.agent import Agent
from quince.edge.agent.intake import Intake
from quince.edge.commands.configured import commands_of
from quince.edge.config import DlmsMeterConfig, GatewayConfig, PushConfig, load_config
from quince.edge.enrolment.renewal import renewal_of
from quince.edge.health.boot import boot_id
from quince.edge.health.heartbeat import boot_before, keep_beating
from quince.edge.health.notify import ServiceManager
from quince.edge.health.vitals import Vitals
from quince.edge.outbox.fullness import keep_telling_of_fullness
from quince.edge.outbox.store import Outbox, Round
from quince.edge.pushes.listener import PushListener
from quince.edge.pushes.pusher import Pusher
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.reload import Reload
from quince.edge.uplink.mqtt import keep_delivering
from quince.edge.uplink.service import Uplink
from quince.edge.workshop import Workshop
from quince.model.clock import Clock
from quince.model.event import GatewayEventKind, MeterEvent
from quince.model.rng import Rng
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import GatewayAddress, Lane

_Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gateway:
    """What runs side by side, until it is stopped; and what a signal and the start come to."""

    works: Sequence[_Work]
    reload: Callable[[], None]
    start: Callable[[], None]


async def run(path: Path, clock: Clock, *, notify: str | None = None) -> None:
    """Read, keep and deliver as the file at `path` says, until SIGTERM or SIGINT.

    `notify` is the address of a service manager that wants to hear of it.
    """
    with ExitStack() as files:
        gateway = _assemble(path, clock, ServiceManager(notify), files)
        async with asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(work()) for work in gateway.works]
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, gateway.reload)
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, _stop, workers)
            gateway.start()


def _assemble(path: Path, clock: Clock, manager: ServiceManager, files: ExitStack) -> _Gateway:
    """Put the parts together; what has to be closed is left in `files`."""
    config = load_config(path)
    rng = random.SystemRandom()
    address = GatewayAddress(cell=config.cell, gateway=config.gateway)
    outbox = files.enter_context(Outbox(config.outbox, rng))
    counters = files.enter_context(CounterStore(config.outbox.with_suffix(".counters")))
    uplink = Uplink(
        outbox,
        address,
        clock,
        take_command=lambda message: commands.take(message),  # noqa: PLW0108 - each needs the other
        twin=lambda: vitals.twin(),  # noqa: PLW0108 - likewise
    )
    intake = Intake(outbox=outbox, stir=uplink.stir, clock=clock)
    site = _Site(config, counters, intake, rng)
    vitals = Vitals(
        config,
        uplink=uplink,
        meters=site.agent.health,
        clock=clock,
        boot_before=boot_before(config),
    )
    serve = partial(_serve, site, vitals)
    commands = commands_of(
        config,
        outbox=outbox,
        meters=site.agent,
        serve=serve,
        diagnose=lambda: _diagnose(path, vitals.config, clock),
        stir=uplink.stir,
        clock=clock,
    )
    commands.resume()
    reload = Reload(path, config, serve=serve)
    renewal = renewal_of(config, intake.tell, clock, rng)
    works: list[_Work] = [
        site.agent.run,
        partial(keep_delivering, uplink, config.broker, address, rng),
        reload.run,
        commands.run,
        partial(keep_telling_of_fullness, outbox, clock, uplink.stir),
        partial(keep_beating, vitals, manager),
    ]
    if renewal is not None:
        works.append(renewal.run)
    if config.push is not None:
        works.append(partial(_listen, site.listener, config.push))
    start = f"{len(config.meters)} meters, start of the {vitals.boot_reason}"
    return _Gateway(
        works=works,
        reload=reload.ask,
        start=partial(intake.tell, GatewayEventKind.STARTED, start),
    )


class _Site:
    """The meters: who visits them, and who hears what they say unasked."""

    def __init__(
        self, config: GatewayConfig, counters: CounterStore, intake: Intake, rng: Rng
    ) -> None:
        accept = partial(_accept, intake)
        self._intake = intake
        self._workshop = Workshop(intake.clock, counters, rng, accept=accept)
        self.agent = Agent(
            gateway=config.gateway,
            plans=[self._workshop.plan(meter) for meter in config.meters],
            backfill_days=config.backfill_days,
            outbox=intake.outbox,
            stir=intake.stir,
            clock=intake.clock,
            # Where the kernel names no start, each of ours counts as one.
            boot=boot_id() or rng.randbytes(8).hex(),
        )
        self.listener = PushListener(
            pushers=self._pushers(config), accept=accept, clock=intake.clock, rng=rng
        )

    def serve(self, config: GatewayConfig) -> None:
        """Serve the meters of another configuration; InvalidValueError if one cannot be."""
        plans = [self._workshop.plan(meter) for meter in config.meters]
        pushers = self._pushers(config)
        self.agent.replace(plans, backfill_days=config.backfill_days)
        self.listener.replace(pushers)
        detail = f"revision {config.revision}, {len(plans)} meters"
        self._intake.tell(GatewayEventKind.CONFIGURED, detail)

    def _pushers(self, config: GatewayConfig) -> dict[str, Pusher]:
        return {
            meter.equipment_id: self._workshop.pusher(meter)
            for meter in config.meters
            if isinstance(meter, DlmsMeterConfig)
        }


def _serve(site: _Site, vitals: Vitals, config: GatewayConfig) -> None:
    site.serve(config)
    vitals.config = config


def _diagnose(path: Path, config: GatewayConfig, clock: Clock) -> bytes:
    """Return a bundle; what makes it is loaded when somebody asks, which is seldom."""
    from quince.edge.health.bundle import make_bundle  # noqa: PLC0415 - optional: see above

    return make_bundle(path, config, clock)


def _stop(workers: list["asyncio.Task[None]"]) -> None:
    for worker in workers:
        worker.cancel()


def _accept(intake: Intake, event: MeterEvent) -> None:
    intake.keep(Round(messages=((Lane.EVENTS, Content(events=(event,))),)))


async def _listen(listener: PushListener, push: PushConfig) -> None:
    udp = await listener.serve_udp(push.host, push.port)
    with closing(udp):
        async with await listener.serve(push.host, push.port) as server:
            await server.serve_forever()
