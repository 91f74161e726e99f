"""A registered database, and a gateway that numbers its messages as a real one does."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quince.headend import wiring
from quince.headend.assets.rules import read_registration
from quince.headend.ingest.service import Ingest, Received
from quince.model.event import EventKind, MeterEvent
from quince.model.interval import IntervalSeries, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER, Obis
from quince.model.quality import Quality
from quince.protocols.gateway.messages import Content, Envelope, encode_content, encode_uplink
from quince.protocols.gateway.topics import GatewayAddress, Lane, way_of

REGISTRATION = """
[tenant]
id = 1
name = "Cooperativa Quince"
cells = ["north"]

[[gateway]]
id = "gw-1"
cell = "north"

[[meter]]
id = "m-1"
metering_point = "mp-1"
premise = "12 Elm Street"
zone = "America/New_York"
"""
SENT_UTC = datetime(2026, 3, 8, 12, tzinfo=UTC)


@pytest.fixture
def registration() -> str:
    return REGISTRATION


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "headend.sqlite"
    asyncio.run(wiring.register(path, read_registration(REGISTRATION)))
    return path


@pytest.fixture
def ingest(database: Path) -> Iterator[Ingest]:
    with wiring.open_ingest(database) as accept:
        yield accept


@dataclass
class Gateway:
    """Numbers each lane's messages from 1."""

    address: GatewayAddress = field(
        default_factory=lambda: GatewayAddress(cell="north", gateway="gw-1")
    )
    epoch: int = 7
    last_seq: dict[Lane, int] = field(default_factory=dict)
    sent_utc: datetime = SENT_UTC

    def send(
        self, content: Content | bytes, *, lane: Lane = Lane.LIVE, oldest_seq: int = 1
    ) -> Received:
        seq = self.last_seq.get(lane, 0) + 1
        self.last_seq[lane] = seq
        envelope = Envelope(
            epoch=self.epoch, lane=lane, seq=seq, oldest_seq=oldest_seq, sent_utc=self.sent_utc
        )
        body = content if isinstance(content, bytes) else encode_content(content)
        return Received(
            topic=self.address.up(way_of(lane)),
            payload=encode_uplink(envelope, body),
            received_utc=SENT_UTC,
        )


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def new_gateway() -> Callable[..., Gateway]:
    return Gateway


def make_series(
    start: str,
    *values: int | None,
    meter_id: str = "m-1",
    flags: Quality = Quality.GOOD,
    obis: Obis = ACTIVE_IMPORT_INTERVAL,
) -> IntervalSeries:
    return IntervalSeries(
        meter_id=meter_id,
        obis=obis,
        start_utc=datetime.fromisoformat(start).replace(tzinfo=UTC),
        values=values,
        quality=tuple(Quality.MISSING if value is None else flags for value in values),
    )


@pytest.fixture
def series() -> Callable[..., IntervalSeries]:
    return make_series


@pytest.fixture
def reading() -> Callable[..., RegisterReading]:
    def make(at: str, value: int, meter_id: str = "m-1") -> RegisterReading:
        return RegisterReading(
            meter_id=meter_id,
            obis=ACTIVE_IMPORT_REGISTER,
            at_utc=datetime.fromisoformat(at).replace(tzinfo=UTC),
            value=value,
        )

    return make


@pytest.fixture
def event() -> Callable[..., MeterEvent]:
    def make(kind: EventKind, at: str, meter_id: str = "m-1") -> MeterEvent:
        return MeterEvent(
            meter_id=meter_id,
            kind=kind,
            at_utc=datetime.fromisoformat(at).replace(tzinfo=UTC),
            received_utc=SENT_UTC,
        )

    return make
