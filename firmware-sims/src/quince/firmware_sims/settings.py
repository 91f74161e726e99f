"""What the simulators take from the environment."""

import os
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from quince.model.environment import invalid_setting, refuse_misspelt

_PREFIX = "QUINCE_FIRMWARE_SIMS_"


class SimsSettings(BaseSettings):
    """`QUINCE_FIRMWARE_SIMS_SCENARIO`, `QUINCE_FIRMWARE_SIMS_CLOCK`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX)

    scenario: Path = Field(default=Path("meters.toml"), description="the scenario file")
    clock: str = Field(default="system", description="system, or a faster one for demonstrations")


def load_settings() -> SimsSettings:
    """Read the environment; InvalidValueError for a name or a value that cannot be."""
    refuse_misspelt(os.environ, prefix=_PREFIX, fields=SimsSettings.model_fields)  # noqa: TID251 - the one place that may
    try:
        return SimsSettings()
    except ValidationError as error:
        raise invalid_setting(error.errors()[0], prefix=_PREFIX) from error
