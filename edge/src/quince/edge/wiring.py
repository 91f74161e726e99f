"""The composition root: one configuration file becomes one running gateway."""

import asyncio
import random
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from functools import partial

import structlog

from quince.edge.agent import Agent, MeterPlan
from quince.edge.config import (
    DlmsGmac,
    DlmsLls,
    DlmsMeterConfig,
    GatewayConfig,
    ModbusMeterConfig,
    OpticalMeterConfig,
    PushConfig,
)
from quince.edge.outbox.store import Outbox, Round
from quince.edge.readers.counters import CounterStore
from quince.edge.readers.dlms_line import (
    Authenticate,
    DlmsLine,
    WithGmac,
    WithPassword,
    open_dlms,
)
from quince.edge.readers.modbus import load_profile, open_modbus
from quince.edge.readers.optical import open_optical
from quince.edge.readers.push import Pusher, PushListener
from quince.edge.readers.reader import Reader
from quince.edge.uplink.mqtt import keep_delivering
from quince.edge.uplink.service import Uplink
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.model.event import MeterEvent
from quince.model.rng import Rng
from quince.protocols.dlms.association.states import Password
from quince.protocols.dlms.security.suite import Keys
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import GatewayAddress, Lane

log = structlog.get_logger()

Meter = DlmsMeterConfig | ModbusMeterConfig | OpticalMeterConfig


class Workshop:
    """Builds readers: it holds what several of them share."""

    def __init__(self, clock: Clock, counters: CounterStore, rng: Rng) -> None:
        """Take the clock, the invocation counters and the randomness for challenges."""
        self._clock = clock
        self._counters = counters
        self._rng = rng

    def plan(self, meter: Meter) -> MeterPlan:
        """Return how the agent is to see a meter."""
        return MeterPlan(
            meter_id=meter.id,
            bus=meter.url,
            keeps_profile=not isinstance(meter, ModbusMeterConfig),
            utc_offset_min=meter.utc_offset_min,
            connect=self.connector(meter),
        )

    def connector(self, meter: Meter) -> Callable[[], AbstractAsyncContextManager[Reader]]:
        """Return what opens a session with a meter."""
        match meter:
            case DlmsMeterConfig():
                return partial(
                    open_dlms,
                    dlms_line(meter),
                    meter_id=meter.id,
                    authenticate=self._authenticate(meter),
                    utc_offset_min=meter.utc_offset_min,
                    rng=self._rng,
                )
            case ModbusMeterConfig():
                return partial(
                    open_modbus,
                    meter.url,
                    meter_id=meter.id,
                    device_id=meter.device_id,
                    profile=load_profile(meter.profile),
                    clock=self._clock,
                )
            case OpticalMeterConfig():
                return partial(
                    open_optical,
                    meter.url,
                    meter_id=meter.id,
                    device_address=meter.device_address,
                    password=meter.password.get_secret_value(),
                    utc_offset_min=meter.utc_offset_min,
                    clock=self._clock,
                )

    def _authenticate(self, meter: DlmsMeterConfig) -> Authenticate:
        match meter.security:
            case DlmsLls(password=password):
                return WithPassword(Password(secret=password.get_secret_value().encode()))
            case DlmsGmac() as gmac:
                return WithGmac(
                    counters=self._counters,
                    system_title=bytes.fromhex(gmac.system_title),
                    keys=Keys(
                        encryption=_octets(meter, gmac.encryption_key.get_secret_value()),
                        authentication=_octets(meter, gmac.authentication_key.get_secret_value()),
                    ),
                )


def dlms_line(meter: DlmsMeterConfig) -> DlmsLine:
    """Return where a DLMS meter is."""
    return DlmsLine(
        url=meter.url,
        client_sap=meter.client_sap,
        server_sap=meter.server_sap,
        physical_address=meter.physical_address,
        address_octets=meter.address_octets,
    )


def _octets(meter: DlmsMeterConfig, digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError as error:
        raise InvalidValueError(f"{meter.id}.security", "…", "hexadecimal digits") from error


async def run(config: GatewayConfig, clock: Clock) -> None:
    """Read, keep and deliver until SIGTERM or SIGINT."""
    rng = random.SystemRandom()
    address = GatewayAddress(cell=config.cell, gateway=config.gateway)
    with ExitStack() as files:
        outbox = files.enter_context(Outbox(config.outbox, rng))
        counters = files.enter_context(CounterStore(config.outbox.with_suffix(".counters")))
        workshop = Workshop(clock, counters, rng)
        uplink = Uplink(outbox, address, clock)
        agent = Agent(
            gateway=config.gateway,
            plans=[workshop.plan(meter) for meter in config.meters],
            backfill_days=config.backfill_days,
            outbox=outbox,
            stir=uplink.stir,
            clock=clock,
        )
        async with asyncio.TaskGroup() as tasks:
            workers = [
                tasks.create_task(agent.run()),
                tasks.create_task(keep_delivering(uplink, config.broker, address, rng)),
            ]
            if config.push is not None:
                listener = _listener(config, outbox, uplink, clock)
                workers.append(tasks.create_task(_listen(listener, config.push)))
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, _stop, workers)
            log.info("gateway_started", gateway=config.gateway, meters=len(config.meters))


def _stop(workers: list["asyncio.Task[None]"]) -> None:
    for worker in workers:
        worker.cancel()


def _listener(config: GatewayConfig, outbox: Outbox, uplink: Uplink, clock: Clock) -> PushListener:
    def accept(event: MeterEvent) -> None:
        outbox.record(Round(messages=((Lane.EVENTS, Content(events=(event,))),)))
        uplink.stir()

    equipment = {
        meter.equipment_id: Pusher(meter_id=meter.id, utc_offset_min=meter.utc_offset_min)
        for meter in config.meters
        if isinstance(meter, DlmsMeterConfig)
    }
    return PushListener(pushers=equipment, accept=accept, clock=clock)


async def _listen(listener: PushListener, push: PushConfig) -> None:
    async with await listener.serve(push.host, push.port) as server:
        await server.serve_forever()
