"""A technician's session with one meter, as a gateway has it: the same keys, the same counters."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from quince.edge.config import MeterConfig
from quince.edge.pushes.pusher import Accept
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.reader import Instrument
from quince.edge.workshop import Workshop
from quince.model.clock import Clock
from quince.protocols.dlms.errors import ServiceRefusedError


@asynccontextmanager
async def open_instrument(
    meter: MeterConfig, *, counters: Path, clock: Clock, accept: Accept
) -> AsyncIterator[Instrument]:
    """Open a session; `counters` is the file of invocation counters, `accept` hears pushes.

    Of a meter that a gateway reads too it is the gateway's very file: a counter used twice would
    lock a ciphered meter. Where somebody else counted further the meter says so at the first try,
    and lets us in at the second.
    """
    counters.parent.mkdir(parents=True, exist_ok=True)
    with CounterStore(counters) as store:
        workshop = Workshop(clock, store, random.SystemRandom(), accept=accept)
        connect = workshop.connector(meter)
        async with AsyncExitStack() as session:
            try:
                instrument = await session.enter_async_context(connect())
            except ServiceRefusedError as refusal:
                if refusal.expected_counter is None:
                    raise
                instrument = await session.enter_async_context(connect())
            yield instrument
