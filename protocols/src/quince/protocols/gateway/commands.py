"""Commands down and how far they are, as values; bytes ↔ values, bounds-checked.

Law: bytes that are not a whole, consistent command raise CodecError and nothing else. A command
is one and the same by its id, however often it arrives; nothing is begun after `not_after_utc`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf.message import DecodeError, Message

from quince.model.errors import CodecError, InvalidValueError
from quince.model.interval import require_boundary, require_utc
from quince.model.meter_key import MeterKey
from quince.protocols.gateway import command_pb2 as wire
from quince.protocols.gateway.moments import from_ms, from_s, to_ms, to_s
from quince.protocols.gateway.topics import GatewayAddress

COMMAND_BYTES_MAX = 131_072  # a configuration of 500 meters with keys is 200 octets for each
ID_OCTETS = 16
CLOCK_STEP_S_MAX = 3_600  # more is no drift but another error, which a person should see
PROFILE_DAYS_MAX = 400  # what meters keep at most
FIRMWARE_BYTES_MAX = 16 * 1024 * 1024
_DAY_S = 86_400
_SHA256_OCTETS = 32
_TEXT_CHARS_MAX = 128
_URL_CHARS_MAX = 1_024


# --- what can be asked ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadNow:
    """Say who the meter is, its clock and its registers, as they are now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadProfile:
    """Read these quarter-hours again; what the meter has goes up as intervals."""

    start_utc: datetime
    end_utc: datetime

    def __post_init__(self) -> None:
        require_boundary("start_utc", self.start_utc)
        require_boundary("end_utc", self.end_utc)
        if not 0 < (self.end_utc - self.start_utc).total_seconds() <= PROFILE_DAYS_MAX * _DAY_S:
            raise InvalidValueError(
                "end_utc", self.end_utc.isoformat(), f"at most {PROFILE_DAYS_MAX} days behind start"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadClock:
    """Say what the meter's clock shows, and what the gateway's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetClock:
    """Set the meter's clock to the gateway's, if it is off by no more than `step_s_max`."""

    step_s_max: int

    def __post_init__(self) -> None:
        if not 1 <= self.step_s_max <= CLOCK_STEP_S_MAX:
            raise InvalidValueError("step_s_max", self.step_s_max, f"1..{CLOCK_STEP_S_MAX}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSupply:
    """Say what the supply switch does now, and make ready to turn it on or off."""

    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmSupply:
    """Turn the switch as the command `armed_by` made it ready for."""

    armed_by: bytes

    def __post_init__(self) -> None:
        _require_octets("armed_by", self.armed_by, ID_OCTETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFirmware:
    """Fetch an image and bring it to the meter, whole and verified; it is not started yet."""

    identifier: str
    url: str
    sha256: bytes
    size: int

    def __post_init__(self) -> None:
        _require_text("identifier", self.identifier, _TEXT_CHARS_MAX)
        _require_text("url", self.url, _URL_CHARS_MAX)
        _require_octets("sha256", self.sha256, _SHA256_OCTETS)
        if not 1 <= self.size <= FIRMWARE_BYTES_MAX:
            raise InvalidValueError("size", self.size, f"1..{FIRMWARE_BYTES_MAX} octets")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateFirmware:
    """Start the verified image of this name."""

    identifier: str

    def __post_init__(self) -> None:
        _require_text("identifier", self.identifier, _TEXT_CHARS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeKey:
    """Replace one of the meter's keys by what is `sealed` for this gateway."""

    key: MeterKey
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """Take another configuration, if its revision is higher than the one in force."""

    revision: int
    sealed: bytes

    def __post_init__(self) -> None:
        if not 1 <= self.revision < 1 << 63:
            raise InvalidValueError("revision", self.revision, "1..2^63-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnose:
    """Send a diagnostic bundle, secrets redacted."""


MeterOperation = (
    ReadNow
    | ReadProfile
    | ReadClock
    | SetClock
    | ArmSupply
    | ConfirmSupply
    | TransferFirmware
    | ActivateFirmware
    | ChangeKey
)
GatewayOperation = Configure | Diagnose
Operation = MeterOperation | GatewayOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing to be done at most once, by one gateway, to one meter or (empty) to itself."""

    command_id: bytes
    address: GatewayAddress
    meter_id: str
    issued_utc: datetime
    not_after_utc: datetime
    operation: Operation

    def __post_init__(self) -> None:
        _require_octets("command_id", self.command_id, ID_OCTETS)
        require_utc("issued_utc", self.issued_utc)
        require_utc("not_after_utc", self.not_after_utc)
        if self.not_after_utc <= self.issued_utc:
            raise InvalidValueError(
                "not_after_utc", self.not_after_utc.isoformat(), "later than issued_utc"
            )
        if bool(self.meter_id) == isinstance(self.operation, GatewayOperation):
            kind = type(self.operation).__name__
            raise InvalidValueError("meter_id", self.meter_id, f"does not fit {kind}")
        if self.meter_id:
            _require_text("meter_id", self.meter_id, _TEXT_CHARS_MAX)


# --- bytes ------------------------------------------------------------------------------

# Each operation's field of the message, how it is written there, and how it is read.
_Codec = tuple[str, Callable[[Any], Message], Callable[[Any], Operation]]
_CODECS: Mapping[type[Operation], _Codec] = {
    ReadNow: ("read_now", lambda _: wire.Nothing(), lambda _: ReadNow()),
    ReadProfile: (
        "read_profile",
        lambda one: wire.Span(start_s=to_s(one.start_utc), end_s=to_s(one.end_utc)),
        lambda span: ReadProfile(start_utc=from_s(span.start_s), end_utc=from_s(span.end_s)),
    ),
    ReadClock: ("read_clock", lambda _: wire.Nothing(), lambda _: ReadClock()),
    SetClock: (
        "set_clock",
        lambda one: wire.ClockStep(step_s_max=one.step_s_max),
        lambda step: SetClock(step_s_max=step.step_s_max),
    ),
    ArmSupply: (
        "arm_supply",
        lambda one: wire.Supply(on=one.on),
        lambda supply: ArmSupply(on=supply.on),
    ),
    ConfirmSupply: (
        "confirm_supply",
        lambda one: wire.Armed(by=one.armed_by),
        lambda armed: ConfirmSupply(armed_by=armed.by),
    ),
    TransferFirmware: (
        "transfer_firmware",
        lambda one: wire.Firmware(
            identifier=one.identifier, url=one.url, sha256=one.sha256, size=one.size
        ),
        lambda image: TransferFirmware(
            identifier=image.identifier, url=image.url, sha256=image.sha256, size=image.size
        ),
    ),
    ActivateFirmware: (
        "activate_firmware",
        lambda one: wire.Named(identifier=one.identifier),
        lambda named: ActivateFirmware(identifier=named.identifier),
    ),
    ChangeKey: (
        "change_key",
        lambda one: wire.SealedKey(key=one.key, sealed=one.sealed),
        lambda change: ChangeKey(key=MeterKey(change.key), sealed=change.sealed),
    ),
    Configure: (
        "configure",
        lambda one: wire.Configuration(revision=one.revision, sealed=one.sealed),
        lambda desired: Configure(revision=desired.revision, sealed=desired.sealed),
    ),
    Diagnose: ("diagnose", lambda _: wire.Nothing(), lambda _: Diagnose()),
}
_READERS = {field: read for field, _, read in _CODECS.values()}


def operation_name(operation: Operation) -> str:
    """Return the operation's stable name, as logs, audits and documents use it."""
    return _CODECS[type(operation)][0]


def encode_command(command: Command) -> bytes:
    """Return the octets that are signed."""
    field, write, _ = _CODECS[type(command.operation)]
    message = wire.Command(
        id=command.command_id,
        cell=command.address.cell,
        gateway=command.address.gateway,
        meter=command.meter_id,
        issued_ms=to_ms(command.issued_utc),
        not_after_ms=to_ms(command.not_after_utc),
    )
    getattr(message, field).CopyFrom(write(command.operation))
    return message.SerializeToString(deterministic=True)


def decode_command(octets: bytes) -> Command:
    """Return a command; CodecError if it is not one."""
    if len(octets) > COMMAND_BYTES_MAX:
        raise CodecError(f"command of {len(octets)} octets; at most {COMMAND_BYTES_MAX}")
    try:
        message = wire.Command.FromString(octets)
        field = message.WhichOneof("operation")
        if field is None:
            raise CodecError("a command for an operation this side does not know")
        return Command(
            command_id=message.id,
            address=GatewayAddress(cell=message.cell, gateway=message.gateway),
            meter_id=message.meter,
            issued_utc=from_ms(message.issued_ms),
            not_after_utc=from_ms(message.not_after_ms),
            operation=_READERS[field](getattr(message, field)),
        )
    except (DecodeError, InvalidValueError, ValueError) as error:
        raise CodecError(f"not a command: {error}") from error


def key_purpose(meter_id: str, key: MeterKey) -> bytes:
    """Return what a sealed key is for: this key of this meter."""
    return f"key {key} of {meter_id}".encode()


def configuration_purpose(revision: int) -> bytes:
    """Return what a sealed configuration is for: to be this revision."""
    return f"configuration {revision}".encode()


def _require_octets(field: str, octets: bytes, count: int) -> None:
    if len(octets) != count:
        raise InvalidValueError(field, octets.hex(), f"{count} octets")


def _require_text(field: str, text: str, chars_max: int) -> None:
    if not 1 <= len(text) <= chars_max or not text.isprintable():
        raise InvalidValueError(field, text, f"1..{chars_max} printable characters")
