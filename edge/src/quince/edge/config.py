"""The gateway's configuration file: which meters, on which lines, with which keys, to which broker.

Parsed once at the border; a mistake names the line's field and its value.
"""

import tomllib
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from quince.model.errors import InvalidValueError

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
_Hex16 = Annotated[SecretStr, Field(description="16 octets as 32 hexadecimal digits")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsConfig(_Strict):
    """The gateway's certificate and the authority it trusts."""

    ca_file: Path
    cert_file: Path
    key_file: Path


class BrokerConfig(_Strict):
    """Where the broker is. Without `tls` the link is for loopback only."""

    host: str
    port: int = Field(ge=1, le=65_535)
    username: str | None = None
    password: SecretStr | None = None
    tls: TlsConfig | None = None


class _Meter(_Strict):
    id: _Name
    url: str
    utc_offset_min: int = Field(
        ge=-720, le=840, multiple_of=15, description="the meter's local time minus UTC"
    )


class DlmsLls(_Strict):
    """Low-level security: a password in the clear, for lines nobody else can hear."""

    kind: Literal["lls"]
    password: SecretStr


class DlmsGmac(_Strict):
    """High-level security 5 (GMAC), authenticated and ciphered with security suite 0."""

    kind: Literal["hls-gmac"]
    system_title: str = Field(pattern=r"^[0-9A-Fa-f]{16}$", description="this client's, 8 octets")
    encryption_key: _Hex16
    authentication_key: _Hex16


class DlmsMeterConfig(_Meter):
    """A DLMS/COSEM meter: `tcp://host:port` (wrapper) or `hdlc+tcp://host:port`."""

    kind: Literal["dlms"]
    client_sap: int = Field(ge=1, le=127)
    server_sap: int = Field(ge=1, le=16_383)
    physical_address: int | None = Field(default=None, ge=1, le=16_383, description="HDLC only")
    address_octets: Literal[1, 2, 4] | None = Field(default=None, description="HDLC only")
    security: Annotated[DlmsLls | DlmsGmac, Field(discriminator="kind")]
    equipment_id: str = Field(description="the name the meter gives in its push messages")


class ModbusMeterConfig(_Meter):
    """A Modbus meter: `modbus+tcp://host:port`; `profile` names a file of edge/profiles."""

    kind: Literal["modbus"]
    device_id: int = Field(ge=1, le=247)
    profile: str


class OpticalMeterConfig(_Meter):
    """An IEC 62056-21 mode C meter: `optical:/dev/…`."""

    kind: Literal["optical"]
    device_address: str = ""
    password: SecretStr


MeterConfig = Annotated[
    DlmsMeterConfig | ModbusMeterConfig | OpticalMeterConfig, Field(discriminator="kind")
]


class PushConfig(_Strict):
    """Where meters push last gasps to."""

    host: str
    port: int = Field(ge=1, le=65_535)


class GatewayConfig(_Strict):
    """The whole file."""

    gateway: _Name
    cell: _Name
    outbox: Path = Field(description="the outbox file, beside this one unless absolute")
    backfill_days: int = Field(default=3, ge=1, le=400)
    broker: BrokerConfig
    push: PushConfig | None = None
    meters: list[MeterConfig] = Field(min_length=1)


def load_config(path: Path) -> GatewayConfig:
    """Read the file; InvalidValueError names the first field that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        config = GatewayConfig.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidValueError("config", str(path), str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidValueError(field, str(path), first["msg"]) from error
    _refuse_twins(config)
    return config.model_copy(update={"outbox": path.parent / config.outbox})


def _refuse_twins(config: GatewayConfig) -> None:
    names = {
        "meters.id": [meter.id for meter in config.meters],
        "meters.equipment_id": [
            meter.equipment_id for meter in config.meters if isinstance(meter, DlmsMeterConfig)
        ],
    }
    for field, values in names.items():
        for value, count in Counter(values).items():
            if count > 1:
                raise InvalidValueError(field, value, "named twice")
