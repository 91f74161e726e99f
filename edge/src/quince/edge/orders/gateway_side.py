"""What the gateway on this device has not delivered yet, looked at and left as it is."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from quince.edge.errors import OutboxError
from quince.model.event import MeterEvent
from quince.protocols.gateway.messages import Envelope, decode_uplink, encode_uplink
from quince.protocols.gateway.topics import Lane

_ENVELOPE = Envelope(
    epoch=1, lane=Lane.EVENTS, seq=1, oldest_seq=1, sent_utc=datetime(2000, 1, 1, tzinfo=UTC)
)
_PATIENCE_S = 5.0  # a gateway's transaction takes milliseconds


def waiting_messages(outbox: Path) -> int | None:
    """Return how many messages wait for the head-end, None where no gateway keeps any."""
    if not outbox.exists():
        return None
    with _looking_at(outbox) as db:
        (count,) = db.execute("select count(*) from message").fetchone()
    return int(count)


def waiting_events(outbox: Path, meter_id: str) -> list[MeterEvent]:
    """Return the events of a meter that wait for the head-end."""
    if not outbox.exists():
        return []
    with _looking_at(outbox) as db:
        bodies = db.execute("select body from message where lane = ?", (Lane.EVENTS,)).fetchall()
    # Content is kept without its envelope, and read with any.
    contents = [decode_uplink(encode_uplink(_ENVELOPE, body))[1] for (body,) in bodies]
    return [one for content in contents for one in content.events if one.meter_id == meter_id]


@contextmanager
def _looking_at(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_S)
        ) as db:
            yield db
    except sqlite3.Error as error:
        raise OutboxError(f"{path}: {error}") from error
