"""The composition root: one configuration file becomes one running gateway."""

import asyncio
import random
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack, closing
from functools import partial

import structlog

from quince.edge.agent import Agent, MeterPlan
from quince.edge.config import (
    DlmsMeterConfig,
    DsmrMeterConfig,
    GatewayConfig,
    ModbusMeterConfig,
    OpticalMeterConfig,
    PushConfig,
    SmlMeterConfig,
)
from quince.edge.outbox.store import Outbox, Round
from quince.edge.profiles.catalogue import load_profile
from quince.edge.pushes.in_session import SessionEar
from quince.edge.pushes.listener import PushListener
from quince.edge.pushes.pusher import Accept, Pusher
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import Login, login
from quince.edge.readers.dlms.security import authentication
from quince.edge.readers.modbus.line import ModbusLine
from quince.edge.readers.modbus.reader import Installation, open_modbus
from quince.edge.readers.optical.dsmr import open_dsmr
from quince.edge.readers.optical.reader import open_optical
from quince.edge.readers.optical.session import Dialect, OpticalLine
from quince.edge.readers.optical.sml import open_sml
from quince.edge.readers.reader import Reader
from quince.edge.transports.address import bus_of
from quince.edge.uplink.mqtt import keep_delivering
from quince.edge.uplink.service import Uplink
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.model.event import MeterEvent
from quince.model.rng import Rng
from quince.protocols.dlms.cosem.clock import MeterTime
from quince.protocols.dlms.security.credentials import Authentication, ciphering_of
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import GatewayAddress, Lane
from quince.protocols.optical.dsmr.encryption import TelegramKey
from quince.protocols.optical.line import PUSH_BAUD

log = structlog.get_logger()

Meter = DlmsMeterConfig | ModbusMeterConfig | OpticalMeterConfig | SmlMeterConfig | DsmrMeterConfig


class Workshop:
    """Builds readers: it holds what several of them share."""

    def __init__(self, clock: Clock, counters: CounterStore, rng: Rng, *, accept: Accept) -> None:
        """Take the clock, the invocation counters, the randomness for challenges.

        `accept` makes safe what a meter says unasked while it is read.
        """
        self._clock = clock
        self._counters = counters
        self._accept = accept
        # What each DLMS meter's profile last looked like: one entry for each in the configuration.
        self._layouts: dict[str, str] = {}
        self._logins: dict[str, Login] = {}
        self._pushers: dict[str, Pusher] = {}
        self._rng = rng

    def plan(self, meter: Meter) -> MeterPlan:
        """Return how the agent is to see a meter."""
        return MeterPlan(
            meter_id=meter.id,
            bus=bus_of(meter.url),
            keeps_profile=keeps_profile(meter),
            utc_offset_min=meter.utc_offset_min,
            connect=self.connector(meter),
            rolls_over_at=installation(meter).rolls_over_at
            if isinstance(meter, ModbusMeterConfig)
            else {},
        )

    def connector(self, meter: Meter) -> Callable[[], AbstractAsyncContextManager[Reader]]:
        """Return what opens a session with a meter."""
        match meter:
            case DlmsMeterConfig():
                return partial(
                    open_dlms,
                    dlms_line(meter),
                    meter_id=meter.id,
                    login=self._login(meter),
                    utc_offset_min=meter.utc_offset_min,
                    rng=self._rng,
                    quirks=meter.quirks,
                    layouts=self._layouts,
                    heard=SessionEar(self.pusher(meter), self._accept, self._clock).hear,
                )
            case ModbusMeterConfig():
                return partial(
                    open_modbus,
                    ModbusLine(url=meter.url, device_id=meter.device_id, tls=meter.tls),
                    meter_id=meter.id,
                    installation=installation(meter),
                    clock=self._clock,
                )
            case OpticalMeterConfig() | SmlMeterConfig() | DsmrMeterConfig():
                return self._light_connector(meter)

    def _light_connector(
        self, meter: OpticalMeterConfig | SmlMeterConfig | DsmrMeterConfig
    ) -> Callable[[], AbstractAsyncContextManager[Reader]]:
        """Return what opens a session through an optical head or a customer port."""
        match meter:
            case OpticalMeterConfig(mode="d"):
                return partial(
                    open_dsmr,
                    meter.url,
                    meter_id=meter.id,
                    baud=PUSH_BAUD,
                    utc_offset_min=meter.utc_offset_min,
                    clock=self._clock,
                )
            case OpticalMeterConfig():
                return partial(
                    open_optical,
                    optical_line(meter),
                    meter_id=meter.id,
                    utc_offset_min=meter.utc_offset_min,
                    clock=self._clock,
                )
            case SmlMeterConfig():
                return partial(open_sml, meter.url, meter_id=meter.id, clock=self._clock)
            case DsmrMeterConfig():
                return partial(
                    open_dsmr,
                    meter.url,
                    meter_id=meter.id,
                    baud=meter.baud,
                    key=telegram_key(meter),
                    utc_offset_min=meter.utc_offset_min,
                    clock=self._clock,
                )

    def pusher(self, meter: DlmsMeterConfig) -> Pusher:
        """Return how a meter's pushes are heard: under the keys of its sessions, if it has any."""
        if meter.id not in self._pushers:
            own = self._login(meter)
            self._pushers[meter.id] = Pusher(
                meter_id=meter.id,
                time=MeterTime(standard_offset_min=meter.utc_offset_min, quirks=meter.quirks),
                ciphering=lambda: ciphering_of(own.begin()),
                believed_in_clear=meter.plain_push,
            )
        return self._pushers[meter.id]

    def _login(self, meter: DlmsMeterConfig) -> Login:
        """Return one and the same for a meter, whose keys may be changed in it."""
        if meter.id not in self._logins:
            self._logins[meter.id] = login(self._authentication(meter), self._counters)
        return self._logins[meter.id]

    def _authentication(self, meter: DlmsMeterConfig) -> Authentication:
        try:
            return authentication(meter.security, self._counters)
        except InvalidValueError as error:
            field = f"{meter.id}.security.{error.field}"
            raise InvalidValueError(field, error.value, error.reason) from error


def dlms_line(meter: DlmsMeterConfig) -> DlmsLine:
    """Return where a DLMS meter is."""
    return DlmsLine(
        url=meter.url,
        client_sap=meter.client_sap,
        server_sap=meter.server_sap,
        physical_address=meter.physical_address,
        address_octets=meter.address_octets,
        window=meter.hdlc_window,
        optical_address=meter.optical_address,
    )


def installation(meter: ModbusMeterConfig) -> Installation:
    """Return what a Modbus meter is, and what stands before it."""
    return Installation(
        profile=load_profile(meter.profile), transformer_ratio=meter.transformer_ratio
    )


def keeps_profile(meter: Meter) -> bool:
    """Return whether a meter's intervals can be read; its registers are sampled otherwise."""
    match meter:
        case DlmsMeterConfig():
            return True
        case OpticalMeterConfig():
            return meter.keeps_profile
        case ModbusMeterConfig() | SmlMeterConfig() | DsmrMeterConfig():
            return False


def optical_line(meter: OpticalMeterConfig) -> OpticalLine:
    """Return where an optical meter is, and how it is spoken to."""
    return OpticalLine(
        url=meter.url,
        device_address=meter.device_address,
        password=None if meter.password is None else meter.password.get_secret_value(),
        dialect=Dialect(
            unlock=meter.unlock_command,
            read=meter.read_command,
            profile=meter.profile_command,
            write=meter.write_command,
        ),
    )


def telegram_key(meter: DsmrMeterConfig) -> TelegramKey | None:
    """Return what opens a P1 meter's telegrams, None if they are not sealed."""
    if meter.key is None:
        return None
    encryption = _octets(meter, meter.key.get_secret_value())
    if meter.additional is None:
        return TelegramKey(encryption=encryption)
    additional = _octets(meter, meter.additional.get_secret_value())
    return TelegramKey(encryption=encryption, additional=additional)


def _octets(meter: Meter, digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError as error:
        raise InvalidValueError(f"{meter.id} key", "…", "hexadecimal digits") from error


async def run(config: GatewayConfig, clock: Clock) -> None:
    """Read, keep and deliver until SIGTERM or SIGINT."""
    rng = random.SystemRandom()
    address = GatewayAddress(cell=config.cell, gateway=config.gateway)
    with ExitStack() as files:
        outbox = files.enter_context(Outbox(config.outbox, rng))
        counters = files.enter_context(CounterStore(config.outbox.with_suffix(".counters")))
        uplink = Uplink(outbox, address, clock)
        accept = _accept(outbox, uplink)
        workshop = Workshop(clock, counters, rng, accept=accept)
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
                listener = PushListener(
                    pushers={
                        meter.equipment_id: workshop.pusher(meter)
                        for meter in config.meters
                        if isinstance(meter, DlmsMeterConfig)
                    },
                    accept=accept,
                    clock=clock,
                    rng=rng,
                )
                workers.append(tasks.create_task(_listen(listener, config.push)))
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, _stop, workers)
            log.info("gateway_started", gateway=config.gateway, meters=len(config.meters))


def _stop(workers: list["asyncio.Task[None]"]) -> None:
    for worker in workers:
        worker.cancel()


def _accept(outbox: Outbox, uplink: Uplink) -> Accept:
    def accept(event: MeterEvent) -> None:
        outbox.record(Round(messages=((Lane.EVENTS, Content(events=(event,))),)))
        uplink.stir()

    return accept


async def _listen(listener: PushListener, push: PushConfig) -> None:
    udp = await listener.serve_udp(push.host, push.port)
    with closing(udp):
        async with await listener.serve(push.host, push.port) as server:
            await server.serve_forever()
