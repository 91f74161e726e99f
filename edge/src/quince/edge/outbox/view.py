"""An outbox as it lies on the disk, looked at beside the process that owns it.

Law: looking changes nothing: no file is made, no row written, no journal carried over.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quince.edge.errors import OutboxError
from quince.edge.outbox.file import OUTBOX_BYTES_MAX
from quince.model.errors import CodecError
from quince.model.event import MeterEvent
from quince.protocols.gateway.messages import Content, Envelope, decode_uplink, encode_uplink
from quince.protocols.gateway.topics import Lane

HEADERS_MAX = 10_000  # more is no longer looked at by a person
_BUSY_S = 2.0  # a commit of the owner takes milliseconds
_EPOCH_UTC = datetime.fromtimestamp(0, UTC)  # the envelope of a message that has none yet


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """One lane: how many messages wait, from which to before which sequence number."""

    lane: Lane
    oldest_seq: int
    next_seq: int

    @property
    def messages(self) -> int:
        """How many wait; a lane has no holes, for only its oldest are ever deleted."""
        return self.next_seq - self.oldest_seq


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxView:
    """A whole outbox; `bytes_used` of `bytes_max` are taken in its file."""

    epoch: str
    bytes_used: int
    bytes_max: int
    lanes: tuple[LaneView, ...]

    @property
    def messages(self) -> int:
        """How many wait in all."""
        return sum(lane.messages for lane in self.lanes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a waiting message is about, without its values; `refusal` if it cannot be read."""

    lane: Lane
    seq: int
    octets: int
    meters: tuple[str, ...] = ()
    series: int = 0
    readings: int = 0
    events: tuple[str, ...] = ()
    results: int = 0
    oldest_utc: datetime | None = None
    newest_utc: datetime | None = None
    refusal: str = ""

    @property
    def about(self) -> str:
        """Say it in a few words."""
        counted = (("series", self.series), ("readings", self.readings), ("results", self.results))
        parts = [f"{count} {name}" for name, count in counted if count]
        return ", ".join([*self.events, *parts, *self.meters]) or self.refusal


def look(path: Path) -> OutboxView:
    """Return what an outbox holds; OutboxError if there is none that can be read."""
    with closing(_open(path)) as db:
        try:
            return _view(db)
        except sqlite3.Error as error:
            raise OutboxError(f"{path}: {error}") from error


def headers(path: Path, *, count_max: int) -> tuple[Header, ...]:
    """Return the oldest messages of every lane, `count_max` of each; OutboxError as above."""
    with closing(_open(path)) as db:
        try:
            return tuple(_headers(db, min(count_max, HEADERS_MAX)))
        except sqlite3.Error as error:
            raise OutboxError(f"{path}: {error}") from error


def waiting_events(path: Path, meter_id: str) -> list[MeterEvent]:
    """Return the events of a meter that wait; OutboxError as above, CodecError if it has others."""
    with closing(_open(path)) as db:
        try:
            rows = db.execute("select seq, body from message where lane = ?", (Lane.EVENTS,))
            contents = [_content(Lane.EVENTS, seq, body) for seq, body in rows]
        except sqlite3.Error as error:
            raise OutboxError(f"{path}: {error}") from error
    return [one for content in contents for one in content.events if one.meter_id == meter_id]


def octets_by_lane(path: Path) -> dict[Lane, int]:
    """Return what the waiting messages weigh; it reads all of them. OutboxError as above."""
    with closing(_open(path)) as db:
        try:
            rows = db.execute("select lane, sum(length(body)) from message group by lane")
            return {Lane(lane): octets for lane, octets in rows}
        except sqlite3.Error as error:
            raise OutboxError(f"{path}: {error}") from error


def outbox_document(path: Path) -> dict[str, Any]:
    """Return how full an outbox is, of JSON's own types; or why it cannot be read."""
    try:
        view = look(path)
    except OutboxError as error:
        return {"error": str(error)}
    return {
        "epoch": view.epoch,
        "bytes_used": view.bytes_used,
        "bytes_max": view.bytes_max,
        "messages": {lane.lane.name.lower(): lane.messages for lane in view.lanes},
    }


def waiting_document(path: Path, *, heads: int) -> dict[str, Any]:
    """Return what waits, lane by lane, and so many heads of each; OutboxError as `look`."""
    octets = octets_by_lane(path)
    oldest = {header.lane: header.oldest_utc for header in headers(path, count_max=1)}
    lanes = [
        {
            "lane": view.lane.name.lower(),
            "messages": view.messages,
            "octets": octets.get(view.lane, 0),
            "oldest_utc": _iso(oldest.get(view.lane)),
        }
        for view in look(path).lanes
    ]
    found = [_head_document(header) for header in headers(path, count_max=heads)]
    return {**outbox_document(path), "lanes": lanes, "heads": found}


def _head_document(header: Header) -> dict[str, Any]:
    return asdict(header) | {
        "lane": header.lane.name.lower(),
        "oldest_utc": _iso(header.oldest_utc),
        "newest_utc": _iso(header.newest_utc),
        "about": header.about,
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _open(path: Path) -> sqlite3.Connection:
    """Open for reading alone.

    Without its journal's index the file has no owner now, and SQLite would make one to read it:
    it is told that nobody writes.
    """
    if not path.is_file():
        raise OutboxError(f"{path}: no such outbox")
    owned = path.with_name(f"{path.name}-shm").exists()
    how = "mode=ro" if owned else "mode=ro&immutable=1"
    try:
        return sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=_BUSY_S)
    except sqlite3.Error as error:
        raise OutboxError(f"{path}: {error}") from error


def _view(db: sqlite3.Connection) -> OutboxView:
    (octets,) = db.execute("select epoch from stream").fetchone() or (b"",)
    (pages,) = db.execute("pragma page_count").fetchone()
    (free,) = db.execute("pragma freelist_count").fetchone()
    (page_bytes,) = db.execute("pragma page_size").fetchone()
    next_seqs = {lane: int(seq) for lane, seq in db.execute("select lane, next_seq from lane")}
    return OutboxView(
        epoch=octets.hex(),
        bytes_used=(pages - free) * page_bytes,
        bytes_max=OUTBOX_BYTES_MAX,
        lanes=tuple(_lane_view(db, lane, next_seqs.get(lane, 1)) for lane in Lane),
    )


def _lane_view(db: sqlite3.Connection, lane: Lane, next_seq: int) -> LaneView:
    (oldest,) = db.execute("select min(seq) from message where lane = ?", (lane,)).fetchone()
    return LaneView(lane=lane, oldest_seq=oldest or next_seq, next_seq=next_seq)


def _headers(db: sqlite3.Connection, count_max: int) -> Iterator[Header]:
    for lane in Lane:
        rows = db.execute(
            "select seq, body from message where lane = ? order by seq limit ?", (lane, count_max)
        )
        for seq, body in rows:
            yield _header(lane, seq, body)


def _header(lane: Lane, seq: int, body: bytes) -> Header:
    try:
        content = _content(lane, seq, body)
    except CodecError as error:
        return Header(lane=lane, seq=seq, octets=len(body), refusal=str(error))
    moments = sorted(_moments(content))
    return Header(
        lane=lane,
        seq=seq,
        octets=len(body),
        meters=tuple(sorted(set(_meters(content)))),
        series=len(content.series),
        readings=len(content.readings),
        events=(
            *(event.kind.value for event in content.events),
            *(event.kind.value for event in content.gateway_events),
        ),
        results=len(content.results),
        oldest_utc=moments[0] if moments else None,
        newest_utc=moments[-1] if moments else None,
    )


def _content(lane: Lane, seq: int, body: bytes) -> Content:
    """Return what a message says: it is kept without its envelope, and read with any."""
    envelope = Envelope(epoch=0, lane=lane, seq=seq, oldest_seq=seq, sent_utc=_EPOCH_UTC)
    return decode_uplink(encode_uplink(envelope, body))[1]


def _meters(content: Content) -> Iterator[str]:
    yield from (series.meter_id for series in content.series)
    yield from (reading.meter_id for reading in content.readings)
    yield from (event.meter_id for event in content.events)


def _moments(content: Content) -> Iterator[datetime]:
    for series in content.series:
        yield series.start_utc
        yield series.end_utc
    yield from (reading.at_utc for reading in content.readings)
    yield from (event.at_utc for event in content.events)
    yield from (event.at_utc for event in content.gateway_events)
    yield from (result.at_utc for result in content.results)
