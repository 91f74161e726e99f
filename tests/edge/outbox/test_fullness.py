"""The head-end hears that the outbox is full when it is, and the uplink is woken for it."""

import asyncio
import random
from datetime import UTC, datetime

from tests.clocks import StoppedClock

from quince.edge.errors import OutboxFullError
from quince.edge.outbox.fullness import LOOK_S, keep_telling_of_fullness
from quince.edge.outbox.store import Outbox
from quince.model.event import GatewayEventKind

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


class ScriptedOutbox(Outbox):
    def __init__(self, path, *said):
        super().__init__(path, random.Random(1))
        self._said = list(said)

    def tell_of_fullness(self, now_utc):
        assert now_utc == NOON
        said = self._said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


def test_what_cannot_be_written_now_is_told_at_the_next_look(in_virtual_time, tmp_path):
    full = OutboxFullError("full")
    said = (None, full, GatewayEventKind.OUTBOX_FULL, None)
    outbox = ScriptedOutbox(tmp_path / "outbox.db", *said)
    stirred = []

    async def look_four_times():
        loop = asyncio.get_running_loop()
        telling = asyncio.create_task(
            keep_telling_of_fullness(
                outbox, StoppedClock(NOON), lambda: stirred.append(loop.time())
            )
        )
        began_s = loop.time()
        await asyncio.sleep(4.5 * LOOK_S)
        telling.cancel()
        return began_s

    with outbox:
        began_s = in_virtual_time(look_four_times())
    assert [at_s - began_s for at_s in stirred] == [3 * LOOK_S]
