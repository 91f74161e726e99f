"""The composition root: one database, opened once, behind one door."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from quince.billing.settings import BillingSettings
from quince.billing.wiring import open_office
from quince.headend.wiring import open_identity, open_usage
from quince.portal_api.app import create_app
from quince.portal_api.door import Door
from quince.portal_api.settings import PortalSettings


@asynccontextmanager
async def open_door(settings: PortalSettings) -> AsyncIterator[Door]:
    """Open the database until the block ends."""
    path = settings.database
    async with (
        open_office(BillingSettings(database=path)) as office,
        open_usage(path) as usage,
        open_identity(path) as identity,
    ):
        yield Door(office=office, usage=usage, identity=identity)


async def serve(settings: PortalSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with open_door(settings) as door:
        config = uvicorn.Config(
            create_app(door),
            host=settings.http_host,
            port=settings.http_port,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
        )
        await uvicorn.Server(config).serve()
