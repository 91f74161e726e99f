"""The gateway's configuration file: which meters, on which lines, with which keys, to which broker.

Parsed once at the border; a mistake names the line's field and its value.
"""

import tomllib
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from quince.edge.readers.dlms.reader import Quirk
from quince.edge.readers.dlms.security import DlmsSecurity
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


class DlmsMeterConfig(_Meter):
    """A DLMS/COSEM meter.

    The wrapper is spoken at `tcp://host:port` and `udp://host:port`, HDLC at
    `hdlc+tcp://host:port`, `serial:/dev/…?baud=…` and `optical:/dev/…`.
    """

    kind: Literal["dlms"]
    client_sap: int = Field(ge=1, le=127)
    server_sap: int = Field(ge=1, le=16_383)
    physical_address: int | None = Field(default=None, ge=1, le=16_383, description="HDLC only")
    address_octets: Literal[1, 2, 4] | None = Field(default=None, description="HDLC only")
    hdlc_window: int = Field(default=1, ge=1, le=7, description="frames in a row, HDLC only")
    optical_address: str = Field(default="", description="for the sign-on, optical: only")
    security: DlmsSecurity
    equipment_id: str = Field(description="the name the meter gives in its push messages")
    quirks: frozenset[Quirk] = Field(
        default=frozenset(), description="what the meter does otherwise than the standard says"
    )
    plain_push: bool = Field(
        default=False, description="believe its pushes in clear, though its keys are known"
    )


class ModbusMeterConfig(_Meter):
    """A Modbus meter; `profile` names a file of edge/profiles.

    At `modbus+tcp://host:port`, `modbus+tls://host:port`, `modbus+rtu+tcp://host:port` (a serial
    server) or `modbus+rtu:/dev/…?baud=9600&parity=N&stop=1`.
    """

    kind: Literal["modbus"]
    device_id: int = Field(ge=1, le=255, description="above 247 over TCP only")
    profile: str
    transformer_ratio: int = Field(default=1, description="where the meter does not multiply")
    tls: TlsConfig | None = Field(default=None, description="modbus+tls only, and there a must")


class OpticalMeterConfig(_Meter):
    """An IEC 62056-21 meter behind an optical head: `optical:/dev/…`.

    Modes a and b are only read out, as is c without a `load_profile`; mode d is only listened to.
    The commands are those of German utilities; a meter that follows the standard alone knows R1
    and W1. For mode e the kind is `dlms`.
    """

    kind: Literal["optical"]
    mode: Literal["a", "b", "c", "d"] = "c"
    load_profile: bool = True
    device_address: str = ""
    password: SecretStr | None = Field(default=None, description="for programming mode")
    unlock_command: Literal["P1", "P2"] = "P1"
    read_command: Literal["R1", "R2", "R5"] = "R5"
    profile_command: Literal["R1", "R2", "R3", "R4", "R5", "R6"] = "R5"
    write_command: Literal["W1", "W2", "W5"] = "W5"

    @property
    def keeps_profile(self) -> bool:
        """Whether intervals can be read, or have to be sampled."""
        return self.mode == "c" and self.load_profile


class SmlMeterConfig(_Meter):
    """An SML meter that pushes through its optical head: `serial:/dev/…` or `tcp://host:port`."""

    kind: Literal["sml"]


class DsmrMeterConfig(_Meter):
    """A P1 port: `serial:/dev/…` or `tcp://host:port`; 9600 baud are 7E1, as before DSMR 4."""

    kind: Literal["dsmr"]
    baud: Literal[9600, 115_200] = 115_200
    key: _Hex16 | None = Field(default=None, description="where telegrams are sealed")
    additional: SecretStr | None = Field(
        default=None, description="authenticated additional data, hexadecimal, if not the usual"
    )


MeterConfig = Annotated[
    DlmsMeterConfig | ModbusMeterConfig | OpticalMeterConfig | SmlMeterConfig | DsmrMeterConfig,
    Field(discriminator="kind"),
]


class PushConfig(_Strict):
    """Where meters push last gasps to, over TCP and over UDP."""

    host: str
    port: int = Field(ge=1, le=65_535)


class CommandsConfig(_Strict):
    """Whose commands are obeyed: Ed25519 public keys, 64 hexadecimal digits, by signer's name."""

    signers: dict[_Name, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(min_length=1)


class HeadendConfig(_Strict):
    """The head-end's own door, beside the broker: certificates, firmware, work orders."""

    url: str = Field(pattern=r"^https?://[^\s/]+$")
    ca_file: Path | None = Field(default=None, description="the system's authorities if absent")


class GatewayConfig(_Strict):
    """The whole file; its meters are those of the head-end's latest revision, once it sent one."""

    gateway: _Name
    cell: _Name
    outbox: Path = Field(description="the outbox file, beside this one unless absolute")
    backfill_days: int = Field(default=3, ge=1, le=400)
    broker: BrokerConfig
    push: PushConfig | None = None
    commands: CommandsConfig | None = Field(default=None, description="none are obeyed if absent")
    headend: HeadendConfig | None = None
    meters: list[MeterConfig] = Field(default=[], description="none yet, just after enrolment")
    revision: int = Field(default=0, ge=0, description="which of the head-end's, 0 if none")


class Revision(_Strict):
    """What the head-end configures: the meters, and how far back to read them."""

    revision: int = Field(ge=1)
    backfill_days: int | None = Field(default=None, ge=1, le=400)
    meters: list[MeterConfig] = Field(min_length=1)


_Model = TypeVar("_Model", GatewayConfig, Revision)


def load_config(path: Path) -> GatewayConfig:
    """Read the file, and the head-end's latest revision beside its outbox.

    InvalidValueError names the first field that is wrong.
    """
    own = _parse(GatewayConfig, _read(path), path)
    _refuse_twins(own)
    config = _beside(own, path.parent)
    revision = revision_file(config.outbox)
    return revise(config, _read(revision)) if revision.exists() else config


def _beside(config: GatewayConfig, folder: Path) -> GatewayConfig:
    """Return the configuration with the gateway's own files beside it, unless they are absolute."""
    broker, headend = config.broker, config.headend
    if broker.tls is not None:
        files = {name: folder / path for name, path in broker.tls}
        broker = broker.model_copy(update={"tls": broker.tls.model_copy(update=files)})
    if headend is not None and headend.ca_file is not None:
        headend = headend.model_copy(update={"ca_file": folder / headend.ca_file})
    own = {"outbox": folder / config.outbox, "broker": broker, "headend": headend}
    return config.model_copy(update=own)


def revision_file(outbox: Path) -> Path:
    """Return where the head-end's latest revision is kept."""
    return outbox.with_suffix(".revision")


def revise(config: GatewayConfig, text: str) -> GatewayConfig:
    """Return the configuration with a revision in force; InvalidValueError as `load_config`.

    One that is not newer than the file's own changes nothing.
    """
    revision = _parse(Revision, text, revision_file(config.outbox))
    if revision.revision <= config.revision:
        return config
    revised = config.model_copy(
        update={
            "revision": revision.revision,
            "meters": revision.meters,
            "backfill_days": revision.backfill_days or config.backfill_days,
        }
    )
    _refuse_twins(revised)
    return revised


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValueError("config", str(path), str(error)) from error


def _parse(model: type[_Model], text: str, path: Path) -> _Model:
    try:
        return model.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidValueError("config", str(path), str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidValueError(field, str(path), first["msg"]) from error


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
