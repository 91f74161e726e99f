"""Messages up and acks down, as values; bytes ↔ values, bounds-checked.

Law: bytes that are not a whole, consistent message raise CodecError and nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from itertools import accumulate, pairwise

from google.protobuf.message import DecodeError

from quince.model.errors import CodecError, InvalidValueError
from quince.model.event import EventKind, GatewayEvent, GatewayEventKind, MeterEvent
from quince.model.interval import STEP_S, IntervalSeries, RegisterReading, require_utc
from quince.model.obis import Obis
from quince.model.quality import Quality
from quince.protocols.gateway import uplink_pb2 as wire
from quince.protocols.gateway.commands import ID_OCTETS
from quince.protocols.gateway.moments import from_ms, from_s, to_ms, to_s
from quince.protocols.gateway.topics import Lane

# Mosquitto's default takes 256 MB; a round of 500 meters is 25 kB. Ten times that is no gateway.
MESSAGE_BYTES_MAX = 262_144
SEQ_MAX = 2**63 - 1  # what SQLite and PostgreSQL both keep as an integer
# A diagnostic bundle is the largest; with its envelope it stays under MESSAGE_BYTES_MAX.
RESULT_BODY_BYTES_MAX = 196_608


class Stage(IntEnum):
    """How far a command is; the last three are its end."""

    ACCEPTED = 1
    PROGRESS = 2
    DONE = 3
    REFUSED = 4  # nothing was begun
    FAILED = 5  # it was begun

    @property
    def is_final(self) -> bool:
        """Whether nothing comes after it."""
        return self >= Stage.DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """One stage of one command; `code` is the stable code of the error that ended it.

    `body` is what was asked for, of the type `media`; `parts_done` of `parts` tell of progress.
    """

    command_id: bytes
    stage: Stage
    at_utc: datetime
    parts_done: int = 0
    parts: int = 0
    code: str = ""
    detail: str = ""
    media: str = ""
    body: bytes = b""

    def __post_init__(self) -> None:
        require_utc("at_utc", self.at_utc)
        if len(self.command_id) != ID_OCTETS:
            raise InvalidValueError("command_id", self.command_id.hex(), f"{ID_OCTETS} octets")
        if len(self.body) > RESULT_BODY_BYTES_MAX:
            raise InvalidValueError("body", len(self.body), f"at most {RESULT_BODY_BYTES_MAX}")
        if not 0 <= self.parts_done <= self.parts <= SEQ_MAX:
            raise InvalidValueError("parts_done", self.parts_done, f"0..{self.parts}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one message carries, without its place in the stream."""

    series: tuple[IntervalSeries, ...] = ()
    readings: tuple[RegisterReading, ...] = ()
    events: tuple[MeterEvent, ...] = ()
    results: tuple[CommandResult, ...] = ()
    gateway_events: tuple[GatewayEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A message's place in its gateway's stream."""

    epoch: int
    lane: Lane
    seq: int
    oldest_seq: int
    sent_utc: datetime

    def __post_init__(self) -> None:
        if not 1 <= self.oldest_seq <= self.seq <= SEQ_MAX:
            raise InvalidValueError("seq", self.seq, f"1 ≤ oldest_seq ({self.oldest_seq}) ≤ seq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """The head-end's word that a lane is committed up to and including `upto`."""

    epoch: int
    lane: Lane
    upto: int


# --- up ---------------------------------------------------------------------------------


def encode_content(content: Content) -> bytes:
    """Return the part of a message that is known when the outbox takes it."""
    message = wire.Uplink(
        block=[_encode_series(series) for series in content.series],
        reading=[_encode_reading(reading) for reading in content.readings],
        event=[_encode_event(event) for event in content.events],
        result=[_encode_result(result) for result in content.results],
        gateway_event=[
            wire.GatewayEvent(kind=event.kind, at_ms=to_ms(event.at_utc), detail=event.detail)
            for event in content.gateway_events
        ],
    )
    return message.SerializeToString(deterministic=True)


def encode_uplink(envelope: Envelope, content: bytes) -> bytes:
    """Return the whole message; protobuf messages concatenate, so `content` is not parsed again."""
    head = wire.Uplink(
        epoch=envelope.epoch,
        lane=envelope.lane,
        seq=envelope.seq,
        oldest_seq=envelope.oldest_seq,
        sent_ms=to_ms(envelope.sent_utc),
    )
    return head.SerializeToString(deterministic=True) + content


def decode_uplink(payload: bytes) -> tuple[Envelope, Content]:
    """Return a message's envelope and content; CodecError if it is not one."""
    if len(payload) > MESSAGE_BYTES_MAX:
        raise CodecError(f"message of {len(payload)} octets; at most {MESSAGE_BYTES_MAX}")
    try:
        message = wire.Uplink.FromString(payload)
        envelope = _envelope(message)
        content = Content(
            series=tuple(series for block in message.block for series in _decode_block(block)),
            readings=tuple(_decode_reading(reading) for reading in message.reading),
            events=tuple(_decode_event(event) for event in message.event),
            results=tuple(_decode_result(result) for result in message.result),
            gateway_events=tuple(_decode_gateway_event(event) for event in message.gateway_event),
        )
    except (DecodeError, InvalidValueError, ValueError) as error:
        raise CodecError(f"not an uplink message: {error}") from error
    return envelope, content


def decode_envelope(payload: bytes) -> Envelope:
    """Return the envelope alone, of a message whose content cannot be read; CodecError if none.

    A head-end that knows the place of what it cannot read can set it aside and go on.
    """
    if len(payload) > MESSAGE_BYTES_MAX:
        raise CodecError(f"message of {len(payload)} octets; at most {MESSAGE_BYTES_MAX}")
    try:
        return _envelope(wire.Uplink.FromString(payload))
    except (DecodeError, InvalidValueError, ValueError) as error:
        raise CodecError(f"not an uplink message: {error}") from error


# --- down -------------------------------------------------------------------------------


def encode_ack(mark: Watermark) -> bytes:
    """Return the acknowledgement as octets."""
    return wire.Ack(epoch=mark.epoch, lane=mark.lane, upto=mark.upto).SerializeToString(
        deterministic=True
    )


def decode_ack(payload: bytes) -> Watermark:
    """Return an acknowledgement; CodecError if it is not one."""
    try:
        message = wire.Ack.FromString(payload)
        return Watermark(epoch=message.epoch, lane=Lane(message.lane), upto=message.upto)
    except (DecodeError, ValueError) as error:
        raise CodecError(f"not an acknowledgement: {error}") from error


# --- parts ------------------------------------------------------------------------------


def _envelope(message: wire.Uplink) -> Envelope:
    return Envelope(
        epoch=message.epoch,
        lane=Lane(message.lane),
        seq=message.seq,
        oldest_seq=message.oldest_seq,
        sent_utc=from_ms(message.sent_ms),
    )


def _encode_series(series: IntervalSeries) -> wire.Block:
    carried = _carry_forward(series.values)
    flagged = [i for i, flags in enumerate(series.quality) if flags]
    return wire.Block(
        meter=[series.meter_id],
        channel=[int.from_bytes(bytes(series.obis))],
        start_s=to_s(series.start_utc),
        step_s=STEP_S,
        count=len(series.values),
        value=_deltas(carried),
        flag_at=_deltas(flagged),
        flag=[int(series.quality[i]) for i in flagged],
    )


def _decode_block(block: wire.Block) -> Iterable[IntervalSeries]:
    """Yield the block's channels; every length is checked before anything is built."""
    channels, count = len(block.meter) * len(block.channel), block.count
    if block.step_s != STEP_S:
        raise InvalidValueError("step_s", block.step_s, f"only {STEP_S} is taken")
    if channels * count != len(block.value) or not len(block.value):
        raise InvalidValueError("value", len(block.value), f"expected {channels} × {count} values")
    flags = _decode_flags(block)
    start_utc = from_s(block.start_s)
    keys = [(meter, channel) for meter in block.meter for channel in block.channel]
    for index, (meter, channel) in enumerate(keys):
        span = slice(index * count, (index + 1) * count)
        quality = tuple(flags[span])
        carried = accumulate(block.value[span])
        yield IntervalSeries(
            meter_id=meter,
            obis=_obis(channel),
            start_utc=start_utc,
            values=tuple(
                None if flag & Quality.MISSING else value
                for value, flag in zip(carried, quality, strict=True)
            ),
            quality=quality,
        )


def _decode_flags(block: wire.Block) -> list[Quality]:
    if len(block.flag) != len(block.flag_at):
        raise InvalidValueError("flag", len(block.flag), "one flag octet per position")
    flags = [Quality.GOOD] * len(block.value)
    for position, flag in zip(accumulate(block.flag_at), block.flag, strict=True):
        if position >= len(flags) or flag > 255:  # noqa: PLR2004 - an octet
            raise InvalidValueError("flag_at", position, f"0..{len(flags) - 1}, flag 0..255")
        flags[position] = Quality(flag)
    return flags


def _encode_reading(reading: RegisterReading) -> wire.Reading:
    return wire.Reading(
        meter=reading.meter_id,
        channel=int.from_bytes(bytes(reading.obis)),
        at_s=to_s(reading.at_utc),
        value=reading.value,
    )


def _decode_reading(reading: wire.Reading) -> RegisterReading:
    if reading.value > SEQ_MAX:
        raise InvalidValueError("reading.value", reading.value, "beyond 63 bits")
    return RegisterReading(
        meter_id=reading.meter,
        obis=_obis(reading.channel),
        at_utc=from_s(reading.at_s),
        value=reading.value,
    )


def _encode_event(event: MeterEvent) -> wire.Event:
    return wire.Event(
        meter=event.meter_id,
        kind=event.kind,
        at_ms=to_ms(event.at_utc),
        received_ms=to_ms(event.received_utc),
        detail=event.detail,
    )


def _decode_event(event: wire.Event) -> MeterEvent:
    return MeterEvent(
        meter_id=event.meter,
        kind=EventKind(event.kind),
        at_utc=from_ms(event.at_ms),
        received_utc=from_ms(event.received_ms),
        detail=event.detail,
    )


def _decode_gateway_event(event: wire.GatewayEvent) -> GatewayEvent:
    return GatewayEvent(
        kind=GatewayEventKind(event.kind), at_utc=from_ms(event.at_ms), detail=event.detail
    )


def _encode_result(result: CommandResult) -> wire.Result:
    return wire.Result(
        command=result.command_id,
        stage=result.stage,
        at_ms=to_ms(result.at_utc),
        parts_done=result.parts_done,
        parts=result.parts,
        code=result.code,
        detail=result.detail,
        media=result.media,
        body=result.body,
    )


def _decode_result(result: wire.Result) -> CommandResult:
    return CommandResult(
        command_id=result.command,
        stage=Stage(result.stage),
        at_utc=from_ms(result.at_ms),
        parts_done=result.parts_done,
        parts=result.parts,
        code=result.code,
        detail=result.detail,
        media=result.media,
        body=result.body,
    )


def _carry_forward(values: Sequence[int | None]) -> list[int]:
    """Give a missing value its predecessor's, so that it costs one octet; its flag says missing."""
    carried, last = [], 0
    for value in values:
        last = last if value is None else value
        carried.append(last)
    return carried


def _deltas(values: Sequence[int]) -> list[int]:
    return [after - before for before, after in pairwise([0, *values])]


def _obis(channel: int) -> Obis:
    if channel >= 1 << 48:
        raise InvalidValueError("channel", channel, "an OBIS code has six octets")
    return Obis.from_bytes(channel.to_bytes(6))
