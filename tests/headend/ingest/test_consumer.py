import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from quince.headend import wiring
from quince.headend.errors import StoreBusyError
from quince.headend.ingest import consumer
from quince.headend.ingest.consumer import BATCH_MESSAGES_MAX, consume
from quince.headend.ingest.service import Ingest, Outgoing, Received
from quince.model.clock import SystemClock
from quince.model.interval import IntervalSeries
from quince.protocols.gateway.messages import Content, decode_ack


class Dead(BaseException):
    """The process dies here."""


@dataclass
class FakeBroker:
    """Gives each batch once, writes down what happens, then says that all is told."""

    batches: list[list[Received]]
    journal: list[str] = field(default_factory=list)
    published: list[bytes] = field(default_factory=list)
    dies_at: str = ""

    async def take(self, max_messages: int) -> list["FakeDelivery"]:
        assert max_messages == BATCH_MESSAGES_MAX
        if not self.batches:
            raise Dead
        return [FakeDelivery(self, one.topic, one.payload) for one in self.batches.pop(0)]

    async def publish(self, topic: str, payload: bytes) -> None:
        self.note(f"publish {topic[-8:]}")
        self.published.append(payload)

    def note(self, what: str) -> None:
        if self.dies_at and what.startswith(self.dies_at):
            raise Dead
        self.journal.append(what)


@dataclass
class FakeDelivery:
    broker: FakeBroker
    topic: str
    payload: bytes

    def ack(self) -> None:
        self.broker.note("puback")


async def run(broker: FakeBroker, ingest: Ingest) -> None:
    with pytest.raises(Dead):
        await consume(broker, ingest, SystemClock())


async def test_commit_comes_before_puback_and_puback_before_the_acknowledgement(
    ingest: Ingest, gateway: Any
) -> None:
    broker = FakeBroker([[gateway.send(Content()), gateway.send(Content())]])

    def noting(messages: Sequence[Received]) -> tuple[Outgoing, ...]:
        outgoing = ingest(messages)
        broker.note("commit")
        return outgoing

    await run(broker, noting)
    assert broker.journal == ["commit", "puback", "puback", "publish down/ack"]


async def test_an_undecodable_message_is_acknowledged_to_the_broker(ingest: Ingest) -> None:
    broker = FakeBroker([[Received(topic="x", payload=b"?", received_utc=SystemClock().now_utc())]])
    await run(broker, ingest)
    assert broker.journal == ["puback"]


async def test_a_crash_before_the_commit_acknowledges_nothing(gateway: Any) -> None:
    def dying(_messages: Sequence[Received]) -> tuple[Outgoing, ...]:
        raise Dead

    broker = FakeBroker([[gateway.send(Content())]])
    await run(broker, dying)
    assert broker.journal == []


@pytest.mark.parametrize("crash", ["puback", "publish"])
async def test_a_crash_after_the_commit_leads_to_a_repetition_that_changes_nothing(
    database: Path, gateway: Any, series: Callable[..., IntervalSeries], crash: str
) -> None:
    message = gateway.send(Content(series=(series("2026-03-08", 5, 6),)))
    for dies_at in (crash, ""):
        broker = FakeBroker([[message]], dies_at=dies_at)
        with wiring.open_ingest(database) as ingest:
            await run(broker, ingest)
    assert decode_ack(broker.published[0]).upto == 1
    async with wiring.open_usage(database) as usage:
        (block,) = usage.intervals.read(tenant_id=1, channel_id=1, first_day=0, end_day=30_000)
    assert block.rev == 1


async def test_a_busy_database_is_tried_again(ingest: Ingest, gateway: Any) -> None:
    refusals = [StoreBusyError("busy")] * 3

    def busy(messages: Sequence[Received]) -> tuple[Outgoing, ...]:
        if refusals:
            raise refusals.pop()
        return ingest(messages)

    broker = FakeBroker([[gateway.send(Content())]])
    await run(broker, busy)
    assert broker.journal == ["puback", "publish down/ack"]


async def test_a_database_that_stays_busy_ends_the_process_unacknowledged(
    gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "BUSY_TRIES_MAX", 3)
    monkeypatch.setattr(consumer, "BUSY_WAIT_S", 0)

    def busy(_messages: Sequence[Received]) -> tuple[Outgoing, ...]:
        raise StoreBusyError("busy")

    broker = FakeBroker([[gateway.send(Content())]])
    with pytest.raises(StoreBusyError):
        await consume(broker, busy, SystemClock())
    assert broker.journal == []
    await asyncio.sleep(0)
