"""Tells the head-end when the outbox begins to refuse intervals, and when it takes them again."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import structlog

from quince.edge.errors import OutboxError
from quince.edge.outbox.store import Outbox
from quince.model.clock import Clock

log = structlog.get_logger()

LOOK_S = 10.0  # a full outbox lasts hours


async def keep_telling_of_fullness(
    outbox: Outbox, clock: Clock, stir: Callable[[], None]
) -> NoReturn:
    """Look now and then, for ever; what cannot be written is tried at the next look."""
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            news = outbox.tell_of_fullness(clock.now_utc())
        except OutboxError as error:
            log.warning("outbox_fullness_untold", reason=str(error))
            continue
        if news is not None:
            log.warning("outbox_fullness", kind=news, bytes_used=outbox.bytes_used)
            stir()
