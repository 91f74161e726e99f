"""The outage loop: whatever ingest has committed, absorb it; then wait for more."""

import asyncio
from typing import Never, Protocol

from quince.headend.assets.rules import Tenant
from quince.headend.outage.service import EventLog, MeteringPoints, OutageStore, absorb

# An outage is to be on the screen before a person has read the first call's number.
POLL_PERIOD_S = 0.5


class Assets(MeteringPoints, Protocol):
    """The tenants, and where their meters stand."""

    async def tenants(self) -> tuple[Tenant, ...]:
        """Return every tenant."""
        ...


async def follow_events(events: EventLog, assets: Assets, store: OutageStore) -> Never:
    """Keep the outages of every tenant up with the committed events, for ever."""
    while True:
        absorbed = 0
        for tenant in await assets.tenants():
            absorbed += await absorb(
                tenant_id=tenant.tenant_id, events=events, points=assets, store=store
            )
        if absorbed == 0:
            await asyncio.sleep(POLL_PERIOD_S)
