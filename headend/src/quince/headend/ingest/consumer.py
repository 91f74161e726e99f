"""The ingest loop: take a batch, commit it, acknowledge it to the broker, tell the gateways."""

import asyncio
from collections.abc import Sequence
from typing import Never, Protocol

import structlog

from quince.headend.errors import StaleBlockError, StoreBusyError
from quince.headend.ingest.service import Ingest, Outgoing, Received
from quince.model.clock import Clock

log = structlog.get_logger()

# A batch is one transaction: large enough to share a disk flush, small enough to be over soon.
BATCH_MESSAGES_MAX = 100
BUSY_WAIT_S = 0.02
# Half a minute: longer than any import. Then the process ends, unacknowledged, and starts anew.
BUSY_TRIES_MAX = 1_500


class Delivery(Protocol):
    """A message the broker delivered and will repeat until it is acknowledged."""

    @property
    def topic(self) -> str:
        """Where it was published."""
        ...

    @property
    def payload(self) -> bytes:
        """Its octets."""
        ...

    def ack(self) -> None:
        """Let the broker forget the message."""
        ...


class Broker(Protocol):
    """A session with the broker."""

    async def take(self, max_messages: int) -> Sequence[Delivery]:
        """Wait for at least one message; return at most `max_messages`."""
        ...

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send a message."""
        ...


async def consume(broker: Broker, ingest: Ingest, clock: Clock) -> Never:
    """Ingest for ever, in this order: commit, PUBACK, application acknowledgement."""
    while True:
        deliveries = await broker.take(BATCH_MESSAGES_MAX)
        now_utc = clock.now_utc()
        outgoing = await _commit(
            [
                Received(topic=delivery.topic, payload=delivery.payload, received_utc=now_utc)
                for delivery in deliveries
            ],
            ingest,
        )
        for delivery in deliveries:
            delivery.ack()
        for message in outgoing:
            await broker.publish(message.topic, message.payload)


async def _commit(messages: Sequence[Received], ingest: Ingest) -> Sequence[Outgoing]:
    """Try until no other writer is in the way; the last try's error is the caller's."""
    for _ in range(BUSY_TRIES_MAX):
        try:
            return ingest(messages)
        except (StoreBusyError, StaleBlockError) as error:
            log.debug("commit_postponed", code=error.code)
            await asyncio.sleep(BUSY_WAIT_S)
    return ingest(messages)
