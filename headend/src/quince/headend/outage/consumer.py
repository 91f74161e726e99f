"""The outage loop: whatever ingest has committed, absorb it; then wait for more."""

import asyncio
from typing import Never, Protocol

from quince.headend.assets.rules import Tenant
from quince.headend.outage.service import EVENTS_MAX, EventLog, MeteringPoints, OutageStore, absorb

# An outage is to be on the screen before a person has read the first call's number.
POLL_PERIOD_S = 0.5
# In a storm one batch would follow another at once; ingest asks for the write lock every 0.02 s and
# must find it free in between.
BREATH_S = 0.05


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
            count = await absorb(
                tenant_id=tenant.tenant_id, events=events, points=assets, store=store
            )
            if count == EVENTS_MAX:
                await asyncio.sleep(BREATH_S)
            absorbed += count
        if absorbed == 0:
            await asyncio.sleep(POLL_PERIOD_S)
