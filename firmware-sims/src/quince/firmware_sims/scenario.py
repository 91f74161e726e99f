"""A scenario: which simulated meters there are, on which lines, and when their supply fails."""

import asyncio
import tomllib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Annotated, Literal, Self

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from quince.firmware_sims.dlms.build_config import BuildConfig
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.push import Carrier, send_last_gasp, send_power_up
from quince.firmware_sims.dlms.security_config import SecurityConfig, believed
from quince.firmware_sims.dlms.serial_door import serve_serial
from quince.firmware_sims.dlms.server import serve_hdlc, serve_udp, serve_wrapper
from quince.firmware_sims.lines.bad_line import bad_line
from quince.firmware_sims.lines.faults import Faults as OpticalFaults
from quince.firmware_sims.lines.mischief import Mischief, Mischiefs
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.modbus.config import (
    FaultsConfig,
    LinkConfig,
    TcpConfig,
    load_profile,
    serve_line,
)
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.firmware_sims.optical.memory import Memory
from quince.firmware_sims.optical.meter import OpticalMeter
from quince.firmware_sims.optical.pushing import (
    PushingMeter,
    mode_d_meter,
    p1_meter,
    sml_meter,
)
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.protocols.dlms.security.credentials import Password
from quince.protocols.optical.dsmr.encryption import TelegramKey
from quince.protocols.optical.iec62056_21.messages import Protocol

log = structlog.get_logger()

HOST = "127.0.0.1"  # simulated meters are for one machine

_Push = Callable[[DlmsMeter, str, int, Carrier], Awaitable[None]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OutageConfig(_Strict):
    """When the supply is off, [from, to)."""

    from_utc: AwareDatetime = Field(alias="from")
    to_utc: AwareDatetime = Field(alias="to")


class _Meter(_Strict):
    id: str
    seed: int
    base_wh: int = 100
    utc_offset_min: int = -360
    outages: list[OutageConfig] = []

    def household(self) -> Household:
        """Return what it measures."""
        return Household(seed=self.seed, base_wh=self.base_wh, utc_offset_min=self.utc_offset_min)

    def supply(self) -> Supply:
        """Return when it has power."""
        return Supply(
            (outage.from_utc.astimezone(UTC), outage.to_utc.astimezone(UTC))
            for outage in self.outages
        )


class BadLineConfig(_Strict):
    """What befalls a meter's answers on their way, each kind with probability `rate`."""

    kinds: frozenset[Mischief]
    rate: float = Field(ge=0, le=1)


class DlmsConfig(_Meter):
    """A DLMS meter on a TCP port, a UDP one, or a pseudo-terminal that can be opened as `line`.

    `push_port` is where its last gasp goes. A `bad_line` is one over TCP.
    """

    kind: Literal["dlms"]
    link: Literal["wrapper", "hdlc", "udp", "serial"]
    port: int = 0
    line: Path | None = None
    baud: int = 9600
    security: SecurityConfig
    push_port: int
    push_carrier: Carrier = Carrier.TCP
    build: BuildConfig = BuildConfig()
    bad_line: BadLineConfig | None = None

    @model_validator(mode="after")
    def _bad_lines_are_of_tcp(self) -> Self:
        if self.link in ("udp", "serial") and self.bad_line is not None:
            raise ValueError("a bad_line is over TCP")
        return self


class ModbusConfig(_Meter):
    """A Modbus meter; `profile` is the file that says its registers."""

    kind: Literal["modbus"]
    port: int = 0
    device_id: int
    profile: Path
    link: LinkConfig = TcpConfig(kind="tcp")
    faults: FaultsConfig = FaultsConfig()


class OpticalFaultsConfig(_Strict):
    """What is wrong with the head or the meter; `optical.faults` says what each does."""

    echoes: bool = False
    noise: bytes = b""
    damaged: frozenset[int] = frozenset()
    damaged_at: int = 0
    truncated: frozenset[int] = frozenset()
    pause_s: float = 0.0
    stuck: bool = False


class _Light(_Meter):
    line: Path
    faults: OpticalFaultsConfig = OpticalFaultsConfig()

    def memory(self) -> Memory:
        """Return what it remembers."""
        return Memory(
            household=self.household(),
            supply=self.supply(),
            serial=self.id,
            utc_offset_min=self.utc_offset_min,
        )


class OpticalConfig(_Light):
    """An optical meter on a pseudo-terminal that can be opened as `line`.

    Mode e hands over to DLMS with the same password, besides what mode c does.
    """

    kind: Literal["optical"]
    mode: Literal["a", "b", "c", "d", "e"] = "c"
    password: str = Field(default="", repr=False)
    drift_s: int = 0


class SmlConfig(_Light):
    """An SML meter on a pseudo-terminal that can be opened as `line`."""

    kind: Literal["sml"]


class DsmrConfig(_Light):
    """A P1 port on a pseudo-terminal that can be opened as `line`; with a `key` it is sealed."""

    kind: Literal["dsmr"]
    key: str | None = Field(default=None, repr=False)


MeterConfig = Annotated[
    DlmsConfig | ModbusConfig | OpticalConfig | SmlConfig | DsmrConfig,
    Field(discriminator="kind"),
]


class Scenario(_Strict):
    """All of them."""

    meters: list[MeterConfig] = Field(min_length=1)


def load_scenario(path: Path) -> Scenario:
    """Read the file; InvalidValueError names the first field that is wrong."""
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidValueError("scenario", str(path), str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidValueError(field, str(path), first["msg"]) from error


async def play(scenario: Scenario, clock: Clock) -> None:
    """Serve every meter, and let the supply fail as the scenario says, until cancelled."""
    async with AsyncExitStack() as lines, asyncio.TaskGroup() as fates:
        for meter in scenario.meters:
            match meter:
                case DlmsConfig():
                    device = await _serve_dlms(meter, clock, lines)
                    fates.create_task(_live_through(device, meter, clock))
                case ModbusConfig():
                    await _serve_modbus(meter, clock, lines)
                case OpticalConfig() | SmlConfig() | DsmrConfig():
                    faults = OpticalFaults(**meter.faults.model_dump())
                    await lines.enter_async_context(
                        _light_meter(meter, clock).serve(meter.line, faults)
                    )
            log.info("meter_serving", meter_id=meter.id, kind=meter.kind)
        await asyncio.get_running_loop().create_future()  # for ever


async def _serve_dlms(config: DlmsConfig, clock: Clock, lines: AsyncExitStack) -> DlmsMeter:
    meter = DlmsMeter(
        device_id=config.id,
        household=config.household(),
        supply=config.supply(),
        clock=clock,
        accepts=(believed(config.security, clock),),
        build=config.build.build(),
    )
    if config.link == "udp":
        await lines.enter_async_context(serve_udp(meter, HOST, config.port))
        return meter
    if config.link == "serial":
        await lines.enter_async_context(serve_serial(meter, config.line, config.baud))
        return meter
    serve = serve_wrapper if config.link == "wrapper" else serve_hdlc
    if config.bad_line is None:
        await lines.enter_async_context(await serve(meter, HOST, config.port))
        return meter
    server = await lines.enter_async_context(await serve(meter, HOST, 0))
    rng = Random(config.seed)  # noqa: S311 - the same mischief from the same scenario
    fate = Mischiefs(config.bad_line.kinds, rng, rate=config.bad_line.rate)
    door = server.sockets[0].getsockname()
    await lines.enter_async_context(bad_line(fate, meter=door, host=HOST, port=config.port))
    return meter


async def _serve_modbus(config: ModbusConfig, clock: Clock, lines: AsyncExitStack) -> None:
    meter = ModbusMeter(
        config.household(),
        config.supply(),
        clock,
        profile=load_profile(config.profile),
        device_id=config.device_id,
    )
    line = serve_line(meter, config.link, (HOST, config.port), config.faults.faults())
    await lines.enter_async_context(line)


def _light_meter(
    config: OpticalConfig | SmlConfig | DsmrConfig, clock: Clock
) -> OpticalMeter | PushingMeter:
    memory = config.memory()
    match config:
        case OpticalConfig(mode="d"):
            return mode_d_meter(memory, clock)
        case OpticalConfig():
            return OpticalMeter(
                memory,
                clock,
                password=config.password,
                protocol=Protocol(config.mode.upper().replace("E", "C")),
                drift=timedelta(seconds=config.drift_s),
                dlms=_dlms_behind(config, clock) if config.mode == "e" else None,
            )
        case SmlConfig():
            return sml_meter(memory, clock)
        case DsmrConfig():
            digits = config.key
            key = None if digits is None else TelegramKey(encryption=bytes.fromhex(digits))
            return p1_meter(memory, clock, key=key)


def _dlms_behind(config: OpticalConfig, clock: Clock) -> DlmsMeter:
    return DlmsMeter(
        device_id=config.id,
        household=config.household(),
        supply=config.supply(),
        clock=clock,
        accepts=(Password(secret=config.password.encode()),),
    )


async def _live_through(meter: DlmsMeter, config: DlmsConfig, clock: Clock) -> None:
    """Gasp at the start of each outage to come, and speak up again at its end."""
    for from_utc, to_utc in meter.supply.outages:
        if to_utc <= clock.now_utc():
            continue
        await _wait_until(from_utc, clock)
        await _push(send_last_gasp, "last_gasp", meter, config)
        await _wait_until(to_utc, clock)
        await _push(send_power_up, "power_up", meter, config)


async def _push(send: _Push, what: str, meter: DlmsMeter, config: DlmsConfig) -> None:
    """Push once, as a dying meter does; nobody listening is nobody's fault here."""
    try:
        await send(meter, HOST, config.push_port, config.push_carrier)
    except OSError as error:
        log.warning("push_lost", meter_id=meter.device_id, push=what, reason=str(error))
    else:
        log.info("pushed", meter_id=meter.device_id, push=what)


async def _wait_until(moment_utc: datetime, clock: Clock) -> None:
    await asyncio.sleep(clock.seconds_until(moment_utc))
