"""What a gateway takes from its environment; everything else stands in its configuration file."""

import os
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from quince.model.environment import invalid_setting, refuse_misspelt

_PREFIX = "QUINCE_EDGE_"


class EdgeSettings(BaseSettings):
    """`QUINCE_EDGE_CONFIG`, `QUINCE_EDGE_CLOCK`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX)

    config: Path = Field(default=Path("gateway.toml"), description="the configuration file")
    clock: str = Field(default="system", description="system, or a faster one for demonstrations")


def load_settings() -> EdgeSettings:
    """Read the environment; InvalidValueError for a name or a value that cannot be."""
    refuse_misspelt(os.environ, prefix=_PREFIX, fields=EdgeSettings.model_fields)  # noqa: TID251 - the one place that may
    try:
        return EdgeSettings()
    except ValidationError as error:
        raise invalid_setting(error.errors()[0], prefix=_PREFIX) from error
