"""Commands that ask one meter."""

import asyncio
import random
import sys
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from quince.edge.cli.language import say
from quince.edge.cli.options import Config, find_meter, open_config
from quince.edge.cli.output import AsJson, present
from quince.edge.profiles.catalogue import load_profile, markdown, profile_names, rows
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.modbus.reader import ModbusReader
from quince.edge.readers.reader import Reader
from quince.edge.settings import load_settings
from quince.edge.wiring import Workshop
from quince.model.clock import parse_clock
from quince.model.event import MeterEvent

commands = typer.Typer()


@commands.command()
def read(meter: str, config: Config = None, *, as_json: AsJson = False) -> None:
    """Show who a meter is, and its clock and registers as they are now."""
    document = asyncio.run(_read(config, meter))
    present(document, as_json=as_json, shown=_reading_table(document))


@commands.command()
def profiles() -> None:
    """Print which Modbus meters are known, and what was proven with each, as a Markdown table."""
    print(markdown(rows({name: load_profile(name) for name in profile_names()})))


def open_meter(
    stack: ExitStack, config_path: Path | None, meter_id: str
) -> AbstractAsyncContextManager[Reader]:
    """Return a session with a meter of the configuration; `stack` closes what it stands on."""
    config = open_config(config_path)
    meter = find_meter(config, meter_id)
    # The very counters a running gateway uses: one reused would lock a ciphered meter out.
    counters = stack.enter_context(CounterStore(config.outbox.with_suffix(".counters")))
    clock = parse_clock(load_settings().clock)
    workshop = Workshop(clock, counters, random.SystemRandom(), accept=_tell)
    return workshop.connector(meter)()


async def _read(config: Path | None, meter_id: str) -> dict[str, Any]:
    with ExitStack() as stack:
        async with open_meter(stack, config, meter_id) as reader:
            momentaries = await reader.momentaries() if isinstance(reader, ModbusReader) else []
            return {
                "identity": asdict(await reader.identify()),
                "clock": (await reader.clock()).isoformat(),
                "registers": [
                    {"obis": str(one.obis), "value": one.value, "at": one.at_utc.isoformat()}
                    for one in await reader.registers()
                ],
                "momentaries": [
                    {"obis": str(one.obis), "thousandths": one.thousandths, "unit": one.unit}
                    for one in momentaries
                ],
            }


def _reading_table(document: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in document["identity"].items():
        table.add_row(say(name), value)
    table.add_row(say("clock"), document["clock"])
    for one in document["registers"]:
        table.add_row(one["obis"], f"{one['value']}", one["at"])
    for one in document["momentaries"]:
        table.add_row(one["obis"], f"{one['thousandths'] / 1000:.3f} {one['unit']}")
    return table


def _tell(event: MeterEvent) -> None:
    """Show what a meter said unasked: nobody keeps it here."""
    sys.stderr.write(f"{event.kind} {event.at_utc.isoformat()}\n")
