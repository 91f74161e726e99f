from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Uplink(_message.Message):
    __slots__ = ("epoch", "lane", "seq", "oldest_seq", "sent_ms", "block", "reading", "event", "result", "gateway_event")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    OLDEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    SENT_MS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    READING_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_EVENT_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    lane: int
    seq: int
    oldest_seq: int
    sent_ms: int
    block: _containers.RepeatedCompositeFieldContainer[Block]
    reading: _containers.RepeatedCompositeFieldContainer[Reading]
    event: _containers.RepeatedCompositeFieldContainer[Event]
    result: _containers.RepeatedCompositeFieldContainer[Result]
    gateway_event: _containers.RepeatedCompositeFieldContainer[GatewayEvent]
    def __init__(self, epoch: _Optional[int] = ..., lane: _Optional[int] = ..., seq: _Optional[int] = ..., oldest_seq: _Optional[int] = ..., sent_ms: _Optional[int] = ..., block: _Optional[_Iterable[_Union[Block, _Mapping]]] = ..., reading: _Optional[_Iterable[_Union[Reading, _Mapping]]] = ..., event: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., result: _Optional[_Iterable[_Union[Result, _Mapping]]] = ..., gateway_event: _Optional[_Iterable[_Union[GatewayEvent, _Mapping]]] = ...) -> None: ...

class Block(_message.Message):
    __slots__ = ("meter", "channel", "start_s", "step_s", "count", "value", "flag_at", "flag")
    METER_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    STEP_S_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    FLAG_AT_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    meter: _containers.RepeatedScalarFieldContainer[str]
    channel: _containers.RepeatedScalarFieldContainer[int]
    start_s: int
    step_s: int
    count: int
    value: _containers.RepeatedScalarFieldContainer[int]
    flag_at: _containers.RepeatedScalarFieldContainer[int]
    flag: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, meter: _Optional[_Iterable[str]] = ..., channel: _Optional[_Iterable[int]] = ..., start_s: _Optional[int] = ..., step_s: _Optional[int] = ..., count: _Optional[int] = ..., value: _Optional[_Iterable[int]] = ..., flag_at: _Optional[_Iterable[int]] = ..., flag: _Optional[_Iterable[int]] = ...) -> None: ...

class Reading(_message.Message):
    __slots__ = ("meter", "channel", "at_s", "value")
    METER_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    AT_S_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    meter: str
    channel: int
    at_s: int
    value: int
    def __init__(self, meter: _Optional[str] = ..., channel: _Optional[int] = ..., at_s: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("meter", "kind", "at_ms", "received_ms", "detail")
    METER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_MS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    meter: str
    kind: str
    at_ms: int
    received_ms: int
    detail: str
    def __init__(self, meter: _Optional[str] = ..., kind: _Optional[str] = ..., at_ms: _Optional[int] = ..., received_ms: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class GatewayEvent(_message.Message):
    __slots__ = ("kind", "at_ms", "detail")
    KIND_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    kind: str
    at_ms: int
    detail: str
    def __init__(self, kind: _Optional[str] = ..., at_ms: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("command", "stage", "at_ms", "parts_done", "parts", "code", "detail", "media", "body")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    PARTS_DONE_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    command: bytes
    stage: int
    at_ms: int
    parts_done: int
    parts: int
    code: str
    detail: str
    media: str
    body: bytes
    def __init__(self, command: _Optional[bytes] = ..., stage: _Optional[int] = ..., at_ms: _Optional[int] = ..., parts_done: _Optional[int] = ..., parts: _Optional[int] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ..., media: _Optional[str] = ..., body: _Optional[bytes] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("epoch", "lane", "upto")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    UPTO_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    lane: int
    upto: int
    def __init__(self, epoch: _Optional[int] = ..., lane: _Optional[int] = ..., upto: _Optional[int] = ...) -> None: ...
