"""What the portal takes from the environment."""

import os
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from quince.model.environment import invalid_setting, refuse_misspelt

_PREFIX = "QUINCE_PORTAL_API_"


class PortalSettings(BaseSettings):
    """`QUINCE_PORTAL_API_DATABASE`, `…_HTTP_HOST`, `…_HTTP_PORT`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX)

    database: Path = Field(default=Path("quince.db"), description="the head-end's database")
    http_host: str = Field(default="127.0.0.1", description="where to listen")
    http_port: int = Field(default=8000, ge=1, le=65_535)


def load_settings() -> PortalSettings:
    """Read the environment; InvalidValueError for a name or a value that cannot be."""
    refuse_misspelt(os.environ, prefix=_PREFIX, fields=PortalSettings.model_fields)  # noqa: TID251 - the one place that may
    try:
        return PortalSettings()
    except ValidationError as error:
        raise invalid_setting(error.errors()[0], prefix=_PREFIX) from error
