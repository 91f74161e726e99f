from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SignedCommand(_message.Message):
    __slots__ = ("command", "signer", "signature")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    command: bytes
    signer: str
    signature: bytes
    def __init__(self, command: _Optional[bytes] = ..., signer: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("id", "cell", "gateway", "meter", "issued_ms", "not_after_ms", "read_now", "read_profile", "read_clock", "set_clock", "arm_supply", "confirm_supply", "transfer_firmware", "activate_firmware", "change_key", "configure", "diagnose")
    ID_FIELD_NUMBER: _ClassVar[int]
    CELL_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    METER_FIELD_NUMBER: _ClassVar[int]
    ISSUED_MS_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    READ_NOW_FIELD_NUMBER: _ClassVar[int]
    READ_PROFILE_FIELD_NUMBER: _ClassVar[int]
    READ_CLOCK_FIELD_NUMBER: _ClassVar[int]
    SET_CLOCK_FIELD_NUMBER: _ClassVar[int]
    ARM_SUPPLY_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_SUPPLY_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_FIRMWARE_FIELD_NUMBER: _ClassVar[int]
    ACTIVATE_FIRMWARE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_KEY_FIELD_NUMBER: _ClassVar[int]
    CONFIGURE_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSE_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    cell: str
    gateway: str
    meter: str
    issued_ms: int
    not_after_ms: int
    read_now: Nothing
    read_profile: Span
    read_clock: Nothing
    set_clock: ClockStep
    arm_supply: Supply
    confirm_supply: Armed
    transfer_firmware: Firmware
    activate_firmware: Named
    change_key: SealedKey
    configure: Configuration
    diagnose: Nothing
    def __init__(self, id: _Optional[bytes] = ..., cell: _Optional[str] = ..., gateway: _Optional[str] = ..., meter: _Optional[str] = ..., issued_ms: _Optional[int] = ..., not_after_ms: _Optional[int] = ..., read_now: _Optional[_Union[Nothing, _Mapping]] = ..., read_profile: _Optional[_Union[Span, _Mapping]] = ..., read_clock: _Optional[_Union[Nothing, _Mapping]] = ..., set_clock: _Optional[_Union[ClockStep, _Mapping]] = ..., arm_supply: _Optional[_Union[Supply, _Mapping]] = ..., confirm_supply: _Optional[_Union[Armed, _Mapping]] = ..., transfer_firmware: _Optional[_Union[Firmware, _Mapping]] = ..., activate_firmware: _Optional[_Union[Named, _Mapping]] = ..., change_key: _Optional[_Union[SealedKey, _Mapping]] = ..., configure: _Optional[_Union[Configuration, _Mapping]] = ..., diagnose: _Optional[_Union[Nothing, _Mapping]] = ...) -> None: ...

class Nothing(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Span(_message.Message):
    __slots__ = ("start_s", "end_s")
    START_S_FIELD_NUMBER: _ClassVar[int]
    END_S_FIELD_NUMBER: _ClassVar[int]
    start_s: int
    end_s: int
    def __init__(self, start_s: _Optional[int] = ..., end_s: _Optional[int] = ...) -> None: ...

class ClockStep(_message.Message):
    __slots__ = ("step_s_max",)
    STEP_S_MAX_FIELD_NUMBER: _ClassVar[int]
    step_s_max: int
    def __init__(self, step_s_max: _Optional[int] = ...) -> None: ...

class Supply(_message.Message):
    __slots__ = ("on",)
    ON_FIELD_NUMBER: _ClassVar[int]
    on: bool
    def __init__(self, on: _Optional[bool] = ...) -> None: ...

class Armed(_message.Message):
    __slots__ = ("by",)
    BY_FIELD_NUMBER: _ClassVar[int]
    by: bytes
    def __init__(self, by: _Optional[bytes] = ...) -> None: ...

class Firmware(_message.Message):
    __slots__ = ("identifier", "url", "sha256", "size")
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    identifier: str
    url: str
    sha256: bytes
    size: int
    def __init__(self, identifier: _Optional[str] = ..., url: _Optional[str] = ..., sha256: _Optional[bytes] = ..., size: _Optional[int] = ...) -> None: ...

class Named(_message.Message):
    __slots__ = ("identifier",)
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    identifier: str
    def __init__(self, identifier: _Optional[str] = ...) -> None: ...

class SealedKey(_message.Message):
    __slots__ = ("key", "sealed")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    key: str
    sealed: bytes
    def __init__(self, key: _Optional[str] = ..., sealed: _Optional[bytes] = ...) -> None: ...

class Configuration(_message.Message):
    __slots__ = ("revision", "sealed")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    revision: int
    sealed: bytes
    def __init__(self, revision: _Optional[int] = ..., sealed: _Optional[bytes] = ...) -> None: ...
