"""What the billing commands take from the environment."""

import os
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from quince.model.environment import invalid_setting, refuse_misspelt

_PREFIX = "QUINCE_BILLING_"


class BillingSettings(BaseSettings):
    """`QUINCE_BILLING_DATABASE`, `QUINCE_BILLING_CLOCK`, `QUINCE_BILLING_TENANT_ID`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX)

    database: Path = Field(default=Path("quince.db"), description="the head-end's database")
    clock: str = Field(default="system", description="system, or a faster one for demonstrations")
    tenant_id: int = Field(default=1, ge=1, description="whose customers are billed")


def load_settings() -> BillingSettings:
    """Read the environment; InvalidValueError for a name or a value that cannot be."""
    refuse_misspelt(os.environ, prefix=_PREFIX, fields=BillingSettings.model_fields)  # noqa: TID251 - the one place that may
    try:
        return BillingSettings()
    except ValidationError as error:
        raise invalid_setting(error.errors()[0], prefix=_PREFIX) from error
