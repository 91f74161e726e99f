"""The command loop: hear what gateways said, publish what is due; then wait for more."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Never, Protocol

from quince.headend.assets.rules import Tenant
from quince.headend.commands.delivery import (
    RESULTS_MAX,
    ResultLog,
    Signer,
    absorb_results,
    publish_due,
)
from quince.headend.commands.service import CommandStore
from quince.model.clock import Clock

# A person waits for a reading, and a confirmation for its arming.
POLL_PERIOD_S = 0.5
# Ingest asks for the write lock every 0.02 s and must find it free in between.
BREATH_S = 0.05


class Broker(Protocol):
    """A session with the broker."""

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expires_s: float | None = None
    ) -> None:
        """Send a message."""
        ...


class Tenants(Protocol):
    """Who there is."""

    async def tenants(self) -> Sequence[Tenant]:
        """Return every tenant."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """What the loop works with."""

    tenants: Tenants
    results: ResultLog
    store: CommandStore
    signer: Signer
    clock: Clock


async def run_commands(dispatch: Dispatch, broker: Broker, cell: str) -> Never:
    """Serve the commands of the tenant that owns `cell`, for ever."""
    while True:
        turn = asyncio.create_task(_turn(dispatch, broker, cell))
        try:
            may_be_more = await asyncio.shield(turn)
        except asyncio.CancelledError:
            # A turn that began is finished: what it committed as published is to be published, and
            # a database call that is cut off leaves a broken connection behind.
            await turn
            raise
        await asyncio.sleep(BREATH_S if may_be_more else POLL_PERIOD_S)


async def _turn(dispatch: Dispatch, broker: Broker, cell: str) -> bool:
    """Serve each tenant once; True if there may be more to do at once."""
    owners = [one.tenant_id for one in await dispatch.tenants.tenants() if cell in one.cells]
    return any([await _serve(dispatch, broker, cell, tenant_id) for tenant_id in owners])


async def _serve(dispatch: Dispatch, broker: Broker, cell: str, tenant_id: int) -> bool:
    """Take in and publish what there is; True if there may be more at once."""
    absorbed = await absorb_results(
        tenant_id=tenant_id, results=dispatch.results, store=dispatch.store
    )
    publications = await publish_due(
        tenant_id=tenant_id,
        cell=cell,
        store=dispatch.store,
        signer=dispatch.signer,
        now_utc=dispatch.clock.now_utc(),
    )
    for publication in publications:
        await broker.publish(
            publication.topic,
            publication.payload,
            retain=publication.retain,
            expires_s=dispatch.clock.seconds_until(publication.not_after_utc),
        )
    return absorbed == RESULTS_MAX
