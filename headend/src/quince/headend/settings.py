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
    # Without a key nothing is published. The caps are how often in an hour a tenant's staff may do
    # without a second person.
    command_signer: str = Field(default="headend", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")
    command_key: Path | None = None
    alone_disconnects_max: int = Field(default=0, ge=0, le=1_000)
    alone_firmware_max: int = Field(default=0, ge=0, le=1_000)
    alone_keys_max: int = Field(default=0, ge=0, le=1_000)
    clock: str = "system"

    # The door for gateways and technicians; there is none without a port.
    field_host: str = "127.0.0.1"
    field_port: int | None = Field(default=None, ge=0, le=65_535)
    field_cert: Path | None = None
    field_key: Path | None = None
    firmware_folder: Path | None = None  # images, each named by its SHA-256 in hexadecimal

    # Enrolment; there is none without the authority's folder.
    device_ca: Path | None = None
    field_url: str | None = None  # the door, as gateways reach it
    gateway_mqtt_host: str | None = None  # the broker, as gateways reach it, if not as we do
    gateway_mqtt_port: int | None = Field(default=None, ge=1, le=65_535)
    gateway_certificate_days: int = Field(default=365, ge=1, le=3_650)
    control_cert: Path | None = None  # who hands out roles at the broker; none are without it
    control_key: Path | None = None
    broker_reload: str | None = None  # the command that makes the broker read its lists again

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
