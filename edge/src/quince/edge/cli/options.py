"""Options many commands share, and what they stand for."""

from pathlib import Path
from typing import Annotated

import typer

from quince.edge.config import GatewayConfig, MeterConfig, load_config
from quince.edge.settings import load_settings
from quince.model.errors import InvalidValueError

Config = Annotated[Path | None, typer.Option("--config", help="The gateway's configuration file.")]


def open_config(path: Path | None) -> GatewayConfig:
    """Return the configuration at `path`, else where the settings say it is."""
    return load_config(path or load_settings().config)


def find_meter(config: GatewayConfig, meter_id: str) -> MeterConfig:
    """Return one meter's part; InvalidValueError names those there are."""
    by_id = {meter.id: meter for meter in config.meters}
    if meter_id not in by_id:
        raise InvalidValueError("meter", meter_id, f"one of {', '.join(by_id)}")
    return by_id[meter_id]
