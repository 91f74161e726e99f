"""Options many commands share, and what they stand for."""

import functools
import inspect
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Concatenate, ParamSpec

import typer

from quince.edge.cli.language import say
from quince.edge.cli.output import busy
from quince.edge.commissioning.ad_hoc import is_url, meter_at
from quince.edge.commissioning.visit import open_instrument
from quince.edge.config import GatewayConfig, MeterConfig, load_config
from quince.edge.readers.reader import Instrument
from quince.edge.settings import load_settings
from quince.model.clock import parse_clock
from quince.model.errors import InvalidValueError
from quince.model.event import MeterEvent

Config = Annotated[Path | None, typer.Option("--config", help="The gateway's configuration file.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

_P = ParamSpec("_P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which meter a command is about: one of the configuration, or the one at a URL."""

    name: str
    fields: tuple[str, ...]
    secrets: Path | None
    config: Path | None

    def meter(self) -> MeterConfig:
        """Return its part of a configuration."""
        if is_url(self.name):
            return meter_at(self.name, self.fields, self.secrets)
        if self.fields or self.secrets is not None:
            raise InvalidValueError("meter", self.name, "fields and secrets are for a URL")
        return find_meter(open_config(self.config), self.name)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Instrument]:
        """Open a session with it, and show that something goes on: a slow line takes its time."""
        with busy(say("asking {meter}", meter=self.name)):
            async with self.open_as(self.meter()) as instrument:
                yield instrument

    def open_as(self, meter: MeterConfig) -> AbstractAsyncContextManager[Instrument]:
        """Return a session with `meter`, which is this one, perhaps with other secrets.

        What it says unasked goes to stderr: nobody keeps it here.
        """
        settings = load_settings()
        counters = settings.state / "counters"
        if not is_url(self.name):
            counters = open_config(self.config).outbox.with_suffix(".counters")
        clock = parse_clock(settings.clock)
        return open_instrument(meter, counters=counters, clock=clock, accept=_tell)


def asks_a_meter(command: Callable[Concatenate[Asked, _P], None]) -> Callable[..., None]:
    """Let a command be called with the options that name a meter; it takes them as one `Asked`."""

    @functools.wraps(command)
    def called(
        meter: str,
        field: list[str],
        secrets: Path | None,
        config: Path | None,
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> None:
        asked = Asked(name=meter, fields=tuple(field), secrets=secrets, config=config)
        command(asked, *args, **kwargs)

    own = list(inspect.signature(command).parameters.values())[1:]
    # typer reads the signature: the options stand in the place of the first parameter.
    called.__signature__ = inspect.Signature([*_NAMING, *own])  # type: ignore[attr-defined] # set
    called.__annotations__ = {one.name: one.annotation for one in (*_NAMING, *own)}
    return called


def open_config(path: Path | None) -> GatewayConfig:
    """Return the configuration at `path`, else where the settings say it is."""
    return load_config(path or load_settings().config)


def find_meter(config: GatewayConfig, meter_id: str) -> MeterConfig:
    """Return one meter's part; InvalidValueError names those there are."""
    by_id = {meter.id: meter for meter in config.meters}
    if meter_id not in by_id:
        raise InvalidValueError("meter", meter_id, f"one of {', '.join(by_id)}")
    return by_id[meter_id]


def _tell(event: MeterEvent) -> None:
    sys.stderr.write(f"{event.kind} {event.at_utc.isoformat()}\n")


_Meter = Annotated[
    str, typer.Argument(help="The meter's id in the configuration, or the URL of its line.")
]
_Fields = Annotated[
    list[str],
    typer.Option("--field", "-f", help="name=value of the meter at a URL, as in a configuration."),
]
_Secrets = Annotated[
    Path | None,
    typer.Option("--secrets", help="A TOML file with the password or the keys of the meter there."),
]
_KIND = inspect.Parameter.KEYWORD_ONLY
_NAMING = (
    inspect.Parameter("meter", _KIND, annotation=_Meter),
    inspect.Parameter("field", _KIND, annotation=_Fields, default=[]),
    inspect.Parameter("secrets", _KIND, annotation=_Secrets, default=None),
    inspect.Parameter("config", _KIND, annotation=Config, default=None),
)
