"""An outbox file that a worn flash gave back otherwise than it was written."""

import random
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quince.edge.outbox.store import Outbox, Round
from quince.model.event import GatewayEvent, GatewayEventKind
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import Lane

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
STARTED = GatewayEvent(kind=GatewayEventKind.STARTED, at_utc=NOON)
ROUND = Round(messages=((Lane.EVENTS, Content(gateway_events=(STARTED,))),))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "outbox.db"
    with Outbox(path, random.Random(1)) as outbox:
        outbox.record(ROUND)
    return path


@pytest.mark.parametrize("page", [0, 1])
def test_a_damaged_file_is_set_aside_and_a_new_stream_begun(written: Path, page: int) -> None:
    octets = bytearray(written.read_bytes())
    octets[page * 4096 :] = b"\xa5" * (len(octets) - page * 4096)
    written.write_bytes(octets)
    with Outbox(written, random.Random(2)) as outbox:
        assert outbox.count == 0
        outbox.record(ROUND)
        assert outbox.count == 1
    assert written.with_name("outbox.db.damaged").read_bytes() == bytes(octets)


def test_a_whole_file_is_kept(written: Path) -> None:
    with Outbox(written, random.Random(2)) as outbox:
        assert outbox.count == 1
    assert not written.with_name("outbox.db.damaged").exists()


def test_a_file_that_cannot_be_opened_is_not_set_aside(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        Outbox(tmp_path / "outbox.db", random.Random(2))
