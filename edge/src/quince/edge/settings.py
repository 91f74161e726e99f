"""What a gateway takes from its environment; everything else stands in its configuration file."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from quince.model.environment import invalid_setting, refuse_misspelt

_PREFIX = "QUINCE_EDGE_"

Language = Literal["en", "es"]


def _terminal_language() -> Language:
    """Return Spanish where the terminal speaks it, English elsewhere."""
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))  # noqa: TID251 - the one place that may
    first = next(filter(None, names), "")
    return "es" if first.startswith("es") else "en"


class EdgeSettings(BaseSettings):
    """`QUINCE_EDGE_CONFIG`, `QUINCE_EDGE_CLOCK`, `QUINCE_EDGE_LANG`, `QUINCE_EDGE_STATE`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX)

    config: Path = Field(default=Path("gateway.toml"), description="the configuration file")
    clock: str = Field(default="system", description="system, or a faster one for demonstrations")
    lang: Language = Field(default_factory=_terminal_language, description="en or es")
    state: Path = Field(
        default_factory=lambda: Path.home() / ".local/state/quince-edge",
        description="the folder where a technician's command keeps what no gateway does",
    )


def load_settings() -> EdgeSettings:
    """Read the environment; InvalidValueError for a name or a value that cannot be."""
    refuse_misspelt(os.environ, prefix=_PREFIX, fields=EdgeSettings.model_fields)  # noqa: TID251 - the one place that may
    try:
        return EdgeSettings()
    except ValidationError as error:
        raise invalid_setting(error.errors()[0], prefix=_PREFIX) from error


def service_manager() -> str | None:
    """Return where the service manager listens, if one started this process and wants to hear."""
    return os.environ.get("NOTIFY_SOCKET")  # noqa: TID251 - the one place that may
