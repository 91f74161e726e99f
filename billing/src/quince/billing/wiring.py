"""The composition root: the stores, the head-end's read side and the clock, put together once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from quince.billing.contracts.store import SqlContractStore
from quince.billing.customers.store import SqlCustomerStore
from quince.billing.invoices.store import SqlInvoiceStore
from quince.billing.runs.service import Office
from quince.billing.schema import METADATA
from quince.billing.settings import BillingSettings
from quince.headend.platform.sql import open_engine, writing
from quince.headend.wiring import open_usage
from quince.model.clock import parse_clock


@asynccontextmanager
async def open_office(settings: BillingSettings) -> AsyncIterator[Office]:
    """Open the database, with the tables this distribution needs, until the block ends."""
    engine = open_engine(settings.database)
    try:
        async with writing(engine) as connection:
            await connection.run_sync(METADATA.create_all)
        async with open_usage(settings.database) as usage:
            yield Office(
                customers=SqlCustomerStore(engine),
                contracts=SqlContractStore(engine),
                invoices=SqlInvoiceStore(engine),
                usage=usage,
                clock=parse_clock(settings.clock),
                code_version=version("quince-billing"),
            )
    finally:
        await engine.dispose()
