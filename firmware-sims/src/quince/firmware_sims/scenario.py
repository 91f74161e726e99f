"""A scenario: which simulated meters there are, on which lines, and when their supply fails."""

import asyncio
import tomllib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.push import send_last_gasp, send_power_up
from quince.firmware_sims.dlms.server import serve_hdlc, serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.firmware_sims.optical.meter import OpticalMeter
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.protocols.dlms.association.states import Authentication, Password
from quince.protocols.dlms.security.protection import Gmac
from quince.protocols.dlms.security.suite import Keys, MemoryCounters
from quince.protocols.modbus.profiles import parse_profile

log = structlog.get_logger()

HOST = "127.0.0.1"  # simulated meters are for one machine

_Push = Callable[[DlmsMeter, str, int], Awaitable[None]]


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


class LlsConfig(_Strict):
    """The password the meter demands."""

    kind: Literal["lls"]
    password: str = Field(repr=False)


class GmacConfig(_Strict):
    """The meter's own system title, and its keys as hexadecimal digits."""

    kind: Literal["hls-gmac"]
    system_title: str
    encryption_key: str = Field(repr=False)
    authentication_key: str = Field(repr=False)


class DlmsConfig(_Meter):
    """A DLMS meter on a TCP port; `push_port` is where its last gasp goes."""

    kind: Literal["dlms"]
    link: Literal["wrapper", "hdlc"]
    port: int
    security: Annotated[LlsConfig | GmacConfig, Field(discriminator="kind")]
    push_port: int


class ModbusConfig(_Meter):
    """A Modbus TCP meter; `profile` is the file that says its registers."""

    kind: Literal["modbus"]
    port: int
    device_id: int
    profile: Path


class OpticalConfig(_Meter):
    """An optical meter on a pseudo-terminal that can be opened as `line`."""

    kind: Literal["optical"]
    line: Path
    password: str = Field(repr=False)


MeterConfig = Annotated[DlmsConfig | ModbusConfig | OpticalConfig, Field(discriminator="kind")]


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
                case OpticalConfig():
                    await _serve_optical(meter, clock, lines)
            log.info("meter_serving", meter_id=meter.id, kind=meter.kind)
        await asyncio.get_running_loop().create_future()  # for ever


async def _serve_dlms(config: DlmsConfig, clock: Clock, lines: AsyncExitStack) -> DlmsMeter:
    meter = DlmsMeter(
        device_id=config.id,
        household=config.household(),
        supply=config.supply(),
        clock=clock,
        accepts=(_authentication(config.security, clock),),
    )
    serve = serve_wrapper if config.link == "wrapper" else serve_hdlc
    await lines.enter_async_context(await serve(meter, HOST, config.port))
    return meter


async def _serve_modbus(config: ModbusConfig, clock: Clock, lines: AsyncExitStack) -> None:
    meter = ModbusMeter(
        config.household(),
        config.supply(),
        clock,
        profile=parse_profile(config.profile.read_text(encoding="utf-8")),
        device_id=config.device_id,
    )
    await lines.enter_async_context(meter.serve(HOST, config.port))


async def _serve_optical(config: OpticalConfig, clock: Clock, lines: AsyncExitStack) -> None:
    meter = OpticalMeter(
        config.household(),
        config.supply(),
        clock,
        serial=config.id,
        password=config.password,
        utc_offset_min=config.utc_offset_min,
    )
    await lines.enter_async_context(meter.serve(config.line))


def _authentication(config: LlsConfig | GmacConfig, clock: Clock) -> Authentication:
    match config:
        case LlsConfig(password=password):
            return Password(secret=password.encode())
        case GmacConfig():
            return Gmac(
                system_title=bytes.fromhex(config.system_title),
                keys=Keys(
                    encryption=bytes.fromhex(config.encryption_key),
                    authentication=bytes.fromhex(config.authentication_key),
                ),
                # A meter that starts again must not count from where it began before.
                counters=MemoryCounters(first=int(clock.now_utc().timestamp())),
            )


async def _live_through(meter: DlmsMeter, config: DlmsConfig, clock: Clock) -> None:
    """Gasp at the start of each outage to come, and speak up again at its end."""
    for from_utc, to_utc in meter.supply.outages:
        if to_utc <= clock.now_utc():
            continue
        await _wait_until(from_utc, clock)
        await _push(send_last_gasp, "last_gasp", meter, config.push_port)
        await _wait_until(to_utc, clock)
        await _push(send_power_up, "power_up", meter, config.push_port)


async def _push(send: _Push, what: str, meter: DlmsMeter, port: int) -> None:
    """Push once, as a dying meter does; nobody listening is nobody's fault here."""
    try:
        await send(meter, HOST, port)
    except OSError as error:
        log.warning("push_lost", meter_id=meter.device_id, push=what, reason=str(error))
    else:
        log.info("pushed", meter_id=meter.device_id, push=what)


async def _wait_until(moment_utc: datetime, clock: Clock) -> None:
    await asyncio.sleep(clock.seconds_until(moment_utc))
