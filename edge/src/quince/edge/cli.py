"""quince-edge: run a gateway, or ask one of its meters something."""

import asyncio
import logging
import random
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import structlog
import typer

from quince.edge.commissioning.decode import explain, read_octets
from quince.edge.commissioning.keys import opener_of
from quince.edge.commissioning.layer import render
from quince.edge.config import GatewayConfig, MeterConfig, load_config
from quince.edge.profiles.catalogue import load_profile, markdown, profile_names, rows
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.modbus.reader import ModbusReader
from quince.edge.settings import EdgeSettings, load_settings
from quince.edge.wiring import Workshop, run as run_gateway
from quince.model.clock import parse_clock
from quince.model.command import run_command
from quince.model.errors import InvalidValueError
from quince.model.event import MeterEvent

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)

_Config = Annotated[Path | None, typer.Option("--config", help="the gateway's configuration file")]


@app.command()
def run(config: _Config = None) -> None:
    """Read the meters and deliver what they say, until stopped."""
    settings = load_settings()
    structlog.configure(processors=[*_LOG_LINES])
    asyncio.run(run_gateway(_config(settings, config), parse_clock(settings.clock)))


@app.command()
def read(meter: str, config: _Config = None) -> None:
    """Print who a meter is, and its clock and registers as they are now."""
    settings = load_settings()
    asyncio.run(_read(settings, _config(settings, config), meter))


@app.command()
def decode(
    frame: Annotated[str, typer.Argument(help="hexadecimal digits, or the name of a file")],
    meter: Annotated[str | None, typer.Option(help="whose keys open what is ciphered")] = None,
    system_title: Annotated[
        str, typer.Option(help="who sealed it, hexadecimal, where the frame does not say")
    ] = "",
    config: _Config = None,
) -> None:
    """Explain a frame of any protocol, layer by layer."""
    # What a frame of no function makes pymodbus say is said better by the refusal.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    opener = None
    if meter is not None:
        gateway = _config(load_settings(), config)
        opener = opener_of(_meter(gateway, meter), system_title)
    print(render(explain(read_octets(frame), opener)))


@app.command()
def profiles() -> None:
    """Print which Modbus meters are known, and what was proven with each, as a Markdown table."""
    print(markdown(rows({name: load_profile(name) for name in profile_names()})))


@app.command()
def settings() -> None:
    """Print the settings in force."""
    for name, value in load_settings():
        print(f"{name} = {value}")


def main() -> None:
    """Run the command."""
    run_command(app)


_LOG_LINES = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(),
)


def _config(settings: EdgeSettings, path: Path | None) -> GatewayConfig:
    return load_config(path or settings.config)


def _meter(config: GatewayConfig, meter_id: str) -> MeterConfig:
    by_id = {meter.id: meter for meter in config.meters}
    if meter_id not in by_id:
        raise InvalidValueError("meter", meter_id, f"one of {', '.join(by_id)}")
    return by_id[meter_id]


def _tell(event: MeterEvent) -> None:
    print(f"unasked     {event.kind} at {event.at_utc:%Y-%m-%d %H:%M:%S}Z")


async def _read(settings: EdgeSettings, config: GatewayConfig, meter_id: str) -> None:
    meter = _meter(config, meter_id)
    with CounterStore(config.outbox.with_suffix(".counters")) as counters:
        workshop = Workshop(
            parse_clock(settings.clock), counters, random.SystemRandom(), accept=_tell
        )
        async with workshop.connector(meter)() as reader:
            for label, value in asdict(await reader.identify()).items():
                print(f"{label:<11} {value}".rstrip())
            print(f"clock       {await reader.clock():%Y-%m-%d %H:%M:%S}Z")
            for reading in await reader.registers():
                print(f"{reading.obis!s:<11} {reading.value} at {reading.at_utc:%H:%M:%S}Z")
            if isinstance(reader, ModbusReader):
                for now in await reader.momentaries():
                    print(f"{now.obis!s:<11} {now.thousandths / 1000:.3f} {now.unit}")
