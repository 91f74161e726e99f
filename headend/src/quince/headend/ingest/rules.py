"""What an upward message is, and whether it is the next one of its lane."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Literal

from pydantic import BaseModel, JsonValue, RootModel, ValidationError

from quince.model.errors import CodecError, InvalidValueError
from quince.model.event import MeterEvent
from quince.model.interval import IntervalSeries, RegisterReading
from quince.protocols.gateway.messages import (
    Content,
    Envelope,
    decode_envelope,
    decode_uplink,
)
from quince.protocols.gateway.topics import GatewayAddress, Way, parse_up

METER_ID_CHARS_MAX = 64  # a logical device name has 16; a key of the store stays small
STATE_BYTES_MAX = 4_096  # a few words of JSON
TWIN_BYTES_MAX = 4_096  # versions, a revision, a date: no list of meters


class Refusal(StrEnum):
    """Why a message went to the dead letters."""

    NOT_OUR_TOPIC = "not_our_topic"
    UNKNOWN_GATEWAY = "unknown_gateway"
    NOT_A_MESSAGE = "not_a_message"
    CONTENT_UNREADABLE = "content_unreadable"
    CONTENT_REFUSED = "content_refused"


# --- what a message is --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A message that cannot be taken, and why."""

    refusal: Refusal
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """A message with its place in the stream; its content may be unreadable all the same."""

    address: GatewayAddress
    envelope: Envelope
    content: Content | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactReport:
    """The broker's or the gateway's word on whether they hear each other.

    It never says anything about the supply of a meter.
    """

    address: GatewayAddress
    online: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinReport:
    """What a gateway says it runs: a JSON object, kept as it is for people and programs."""

    address: GatewayAddress
    document: str


class _State(BaseModel):
    """A gateway's retained state message; other fields are welcome and not read."""

    state: Literal["online", "offline"]


# Pydantic reads JSON to a depth of its own; the standard library's reader ends in RecursionError.
_Twin = RootModel[dict[str, JsonValue]]

Letter = Uplink | ContactReport | TwinReport | Refused


def read_message(topic: str, payload: bytes) -> Letter:
    """Tell what a message is; never raises for what the bytes are."""
    try:
        address, way = parse_up(topic)
    except InvalidValueError as error:
        return Refused(refusal=Refusal.NOT_OUR_TOPIC, detail=str(error))
    try:
        if way is Way.STATE:
            return _read_state(address, payload)
        if way is Way.TWIN:
            return _read_twin(address, payload)
        return _read_uplink(address, payload)
    except (CodecError, ValidationError) as error:
        return Refused(refusal=Refusal.NOT_A_MESSAGE, detail=str(error))


def _read_state(address: GatewayAddress, payload: bytes) -> ContactReport:
    if len(payload) > STATE_BYTES_MAX:
        raise CodecError(f"a state of {len(payload)} octets; at most {STATE_BYTES_MAX}")
    return ContactReport(
        address=address, online=_State.model_validate_json(payload).state == "online"
    )


def _read_twin(address: GatewayAddress, payload: bytes) -> TwinReport:
    if len(payload) > TWIN_BYTES_MAX:
        raise CodecError(f"a twin of {len(payload)} octets; at most {TWIN_BYTES_MAX}")
    return TwinReport(
        address=address, document=_Twin.model_validate_json(payload).model_dump_json()
    )


def _read_uplink(address: GatewayAddress, payload: bytes) -> Uplink:
    try:
        envelope, content = decode_uplink(payload)
        _require_meter_ids(content)
    except (CodecError, InvalidValueError) as error:
        refused = Refused(refusal=Refusal.CONTENT_UNREADABLE, detail=str(error))
        return Uplink(address=address, envelope=decode_envelope(payload), content=refused)
    return Uplink(address=address, envelope=envelope, content=content)


def _require_meter_ids(content: Content) -> None:
    parts: tuple[IntervalSeries | RegisterReading | MeterEvent, ...] = (
        *content.series,
        *content.readings,
        *content.events,
    )
    for part in parts:
        if not 1 <= len(part.meter_id) <= METER_ID_CHARS_MAX:
            raise InvalidValueError("meter", part.meter_id, f"1..{METER_ID_CHARS_MAX} characters")


# --- where it stands in its lane ------------------------------------------------------------


class Verdict(Enum):
    """What to do with a message, given how far its lane is committed."""

    ACCEPT = auto()  # the next one
    DUPLICATE = auto()  # the lane is beyond it
    GAP = auto()  # one before it is missing and the gateway still has it: it shall go back


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict, how far the lane is known afterwards, and the numbers that will never come.

    `hole` is first..last inclusive, or None.
    """

    verdict: Verdict
    upto: int
    hole: tuple[int, int] | None = None


def judge(upto: int, envelope: Envelope) -> Judgement:
    """Judge a message of a lane committed up to and including `upto` (0: nothing yet)."""
    hole = None
    if envelope.oldest_seq > upto + 1:
        hole = (upto + 1, envelope.oldest_seq - 1)
        upto = envelope.oldest_seq - 1
    if envelope.seq == upto + 1:
        return Judgement(verdict=Verdict.ACCEPT, upto=envelope.seq, hole=hole)
    verdict = Verdict.DUPLICATE if envelope.seq <= upto else Verdict.GAP
    return Judgement(verdict=verdict, upto=upto, hole=hole)
