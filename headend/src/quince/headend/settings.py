"""What an operator may set: environment variables with the prefix QUINCE_HEADEND_."""

import os
from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from quince.model.clock import parse_clock
from quince.model.environment import invalid_setting, refuse_misspelt
from quince.model.errors import InvalidValueError

PREFIX = "QUINCE_HEADEND_"


class Settings(BaseSettings):
    """One head-end process: its database, its cell's broker, its dashboard, its clock."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    database: Path = Path("headend.sqlite")
    cell: str = Field(default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = Field(default=1883, ge=1, le=65_535)
    mqtt_username: str | None = None
    mqtt_password: SecretStr | None = None
    mqtt_ca: Path | None = None
    mqtt_cert: Path | None = None
    mqtt_key: Path | None = None
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65_535)
    clock: str = "system"

    @field_validator("clock")
    @classmethod
    def _clock_is_one(cls, text: str) -> str:
        try:
            parse_clock(text)
        except InvalidValueError as error:
            raise ValueError(str(error)) from error
        return text


def load_settings() -> Settings:
    """Read the environment; InvalidValueError for a name or a value that cannot be."""
    refuse_misspelt(os.environ, prefix=PREFIX, fields=Settings.model_fields)  # noqa: TID251 - the one place that may
    try:
        return Settings()
    except ValidationError as error:
        raise invalid_setting(error.errors()[0], prefix=PREFIX) from error
