"""Taking a batch of messages: one transaction, then what to tell the gateways.

Law: nothing is acknowledged, to the broker or to a gateway, before the commit has returned.
"""

import sqlite3
from collections.abc import Callable, Sequence, Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from quince.headend.errors import CorruptBlockError
from quince.headend.ingest.rules import (
    ContactReport,
    Letter,
    Refusal,
    Refused,
    TwinReport,
    Uplink,
    Verdict,
    judge,
    read_message,
)
from quince.headend.intervals.service import Arrival
from quince.model.errors import InvalidValueError
from quince.model.event import GatewayEvent, MeterEvent
from quince.model.interval import RegisterReading
from quince.protocols.gateway.messages import (
    CommandResult,
    Content,
    Envelope,
    Watermark,
    encode_ack,
)
from quince.protocols.gateway.topics import GatewayAddress, Lane

log = structlog.get_logger()

# What a message's content can make the store raise. Not OperationalError: a full disk or a lock is
# not the message's fault, and setting the message aside would lose it. A block that is spoilt is
# not either, but it stays so, and would stop every gateway of the cell.
_CONTENT_FAULTS = (
    ArithmeticError,
    CorruptBlockError,
    InvalidValueError,
    LookupError,
    TypeError,
    ValueError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message as the broker gave it, and when."""

    topic: str
    payload: bytes
    received_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message for the broker."""

    topic: str
    payload: bytes


Ingest = Callable[[Sequence[Received]], tuple[Outgoing, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One lane of one gateway since one start of its outbox: what is numbered without a gap."""

    tenant_id: int
    address: GatewayAddress
    epoch: int
    lane: Lane

    def source(self, envelope: Envelope) -> str:
        """Name a message of this stream, the same however often it is sent."""
        place = f"{self.epoch:016x}/{self.lane}/{envelope.seq}"
        return f"{self.address.cell}/{self.address.gateway}/{place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An event and its place in the order of commits."""

    entry: int
    event: MeterEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedResult:
    """A gateway's word on a command, and its place in the order of commits."""

    entry: int
    address: GatewayAddress
    result: CommandResult


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayContact:
    """Whether a gateway and the broker hear each other; None where neither ever said."""

    address: GatewayAddress
    online: bool | None
    since_utc: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """What a person should look at, counted."""

    sequence_holes: int
    interval_conflicts: int
    dead_letters: int


class GatewayStore(Protocol):
    """What a batch writes of what gateways say, within the transaction of its IngestStore."""

    def add_results(
        self, stream: Stream, results: Sequence[CommandResult], received_utc: datetime
    ) -> None:
        """Append results not yet known."""
        ...

    def add_events(
        self, stream: Stream, events: Sequence[GatewayEvent], received_utc: datetime
    ) -> None:
        """Append a gateway's events not yet known."""
        ...

    def note_meters(self, stream: Stream, meter_ids: AbstractSet[str], at_utc: datetime) -> None:
        """Keep which gateway these meters' values come from now, and since when."""
        ...

    def note_twin(self, tenant_id: int, report: TwinReport, at_utc: datetime) -> None:
        """Keep what the gateway says it runs."""
        ...

    def note_contact(self, tenant_id: int, report: ContactReport, at_utc: datetime) -> None:
        """Keep whether the gateway is in contact, and since when."""
        ...


class IngestStore(Protocol):
    """What a batch writes; everything happens within one `transaction`."""

    @property
    def gateways(self) -> GatewayStore:
        """What gateways say of themselves and of their commands."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Commit all of it or nothing; StoreBusyError if another writer is at work."""
        ...

    def tenant_of(self, address: GatewayAddress) -> int | None:
        """Return whose gateway this is."""
        ...

    def watermark(self, stream: Stream) -> int:
        """Return how far a stream is committed, 0 if not at all."""
        ...

    def advance(self, stream: Stream, upto: int) -> None:
        """Move a stream's watermark."""
        ...

    def record_hole(self, stream: Stream, hole: tuple[int, int], noted_utc: datetime) -> None:
        """Keep the numbers that will never come."""
        ...

    def merge(self, tenant_id: int, arrivals: Sequence[Arrival], received_utc: datetime) -> None:
        """Fill interval slots; record conflicts."""
        ...

    def add_readings(self, tenant_id: int, readings: Sequence[RegisterReading]) -> None:
        """Keep register readings."""
        ...

    def add_events(self, tenant_id: int, events: Sequence[MeterEvent]) -> None:
        """Append events not yet known."""
        ...

    def bury(self, stream: Stream, envelope: Envelope, message: Received, refused: Refused) -> bool:
        """Keep a dead letter; False if there is no room for it."""
        ...

    def count_stray(self, message: Received, refused: Refused) -> None:
        """Count a message that has no place in a stream."""
        ...


def accept(messages: Sequence[Received], store: IngestStore) -> tuple[Outgoing, ...]:
    """Commit a batch and return the acknowledgements it earns its gateways.

    If the batch as a whole cannot be written for what one message holds, each is tried alone and
    the faulty one becomes a dead letter. StoreBusyError, StaleBlockError: nothing was written.
    """
    letters = [(message, read_message(message.topic, message.payload)) for message in messages]
    try:
        marks = _commit(letters, store)
    except _CONTENT_FAULTS:
        log.exception("batch_refused", messages=len(letters))
        marks = {}
        for message, letter in letters:
            marks |= _commit_alone(message, letter, store)
    return tuple(
        Outgoing(
            topic=stream.address.ack,
            payload=encode_ack(Watermark(epoch=stream.epoch, lane=stream.lane, upto=upto)),
        )
        for stream, upto in marks.items()
    )


Marks = dict[Stream, int]


def _commit_alone(message: Received, letter: Letter, store: IngestStore) -> Marks:
    try:
        return _commit([(message, letter)], store)
    except _CONTENT_FAULTS as error:
        refused = Refused(refusal=Refusal.CONTENT_REFUSED, detail=repr(error))
    if isinstance(letter, Uplink):
        aside = Uplink(address=letter.address, envelope=letter.envelope, content=refused)
        return _commit([(message, aside)], store)
    return _commit([(message, refused)], store)


def _commit(letters: Sequence[tuple[Received, Letter]], store: IngestStore) -> Marks:
    """Write the letters in one transaction; return how far each stream they touched now is."""
    marks: Marks = {}
    arrivals: dict[int, list[Arrival]] = {}
    with store.transaction():
        for message, letter in letters:
            if isinstance(letter, Refused):
                _count_stray(message, letter, store)
                continue
            tenant_id = store.tenant_of(letter.address)
            if tenant_id is None:
                stranger = Refused(
                    refusal=Refusal.UNKNOWN_GATEWAY, detail="registered in no cell of that name"
                )
                _count_stray(message, stranger, store)
            elif isinstance(letter, ContactReport):
                store.gateways.note_contact(tenant_id, letter, message.received_utc)
            elif isinstance(letter, TwinReport):
                store.gateways.note_twin(tenant_id, letter, message.received_utc)
            else:
                stream = Stream(
                    tenant_id=tenant_id,
                    address=letter.address,
                    epoch=letter.envelope.epoch,
                    lane=letter.envelope.lane,
                )
                marks[stream], series = _take(stream, message, letter, store)
                arrivals.setdefault(tenant_id, []).extend(series)
        for tenant_id, series in arrivals.items():
            store.merge(tenant_id, series, letters[-1][0].received_utc)
    return marks


def _take(
    stream: Stream, message: Received, uplink: Uplink, store: IngestStore
) -> tuple[int, Sequence[Arrival]]:
    """Write one message but for its intervals; return its stream's watermark and the intervals."""
    before = store.watermark(stream)
    judgement = judge(before, uplink.envelope)
    if judgement.hole is not None:
        log.error(
            "sequence_hole",
            gateway=stream.address.gateway,
            lane=stream.lane.name,
            first=judgement.hole[0],
            last=judgement.hole[1],
        )
        store.record_hole(stream, judgement.hole, message.received_utc)
    arrivals: Sequence[Arrival] = ()
    upto = judgement.upto
    if isinstance(uplink.content, Refused):
        # The lane goes on past what nobody can read, if and only if its octets are kept.
        if judgement.verdict is Verdict.ACCEPT and not _bury(
            stream, uplink.envelope, message, uplink.content, store
        ):
            upto -= 1
    elif judgement.verdict is not Verdict.GAP:
        # A duplicate is written again: that changes nothing, and it saves what comes late out of
        # a hole, or under a number that a gateway's restored backup uses a second time.
        arrivals = _write(stream, uplink.envelope, uplink.content, message.received_utc, store)
    if upto != before:
        store.advance(stream, upto)
    return upto, arrivals


def _write(
    stream: Stream,
    envelope: Envelope,
    content: Content,
    received_utc: datetime,
    store: IngestStore,
) -> Sequence[Arrival]:
    store.add_readings(stream.tenant_id, content.readings)
    store.add_events(stream.tenant_id, content.events)
    store.gateways.add_results(stream, content.results, received_utc)
    store.gateways.add_events(stream, content.gateway_events, received_utc)
    if stream.lane is Lane.LIVE:  # a gateway's backlog tells where a meter was
        store.gateways.note_meters(stream, {one.meter_id for one in content.series}, received_utc)
    source = stream.source(envelope)
    return [Arrival(series=series, source=source) for series in content.series]


def _bury(
    stream: Stream, envelope: Envelope, message: Received, refused: Refused, store: IngestStore
) -> bool:
    kept = store.bury(stream, envelope, message, refused)
    log.error(
        "dead_letter",
        source=stream.source(envelope),
        refusal=refused.refusal,
        kept=kept,
        detail=refused.detail,
    )
    return kept


def _count_stray(message: Received, refused: Refused, store: IngestStore) -> None:
    store.count_stray(message, refused)
    log.error("stray_letter", topic=message.topic, refusal=refused.refusal, detail=refused.detail)
