"""The loop: what is due goes to the broker, and a turn that began is finished."""

import asyncio

import pytest

from quince.headend.assets.rules import Tenant
from quince.headend.commands import delivery
from quince.headend.commands.consumer import Dispatch, run_commands
from quince.headend.commands.rules import State
from quince.protocols.gateway.commands import ReadNow
from quince.protocols.gateway.messages import CommandResult, Content, Stage
from quince.protocols.gateway.topics import Lane


class SlowBroker:
    """Takes its time, and keeps what it was given."""

    def __init__(self):
        self.asked = asyncio.Event()
        self.given = []

    async def publish(self, topic, payload, *, retain=False, expires_s=None):
        self.asked.set()
        await asyncio.sleep(0.05)
        self.given.append((topic, len(payload), retain, expires_s))


@pytest.fixture
def dispatch(room):
    return Dispatch(
        tenants=room.parts.tenants,
        results=room.parts.results,
        store=room.parts.store,
        signer=room.signer,
        clock=room.clock,
    )


async def test_what_is_due_is_published_with_the_time_it_has_left(room, dispatch):
    await room.commands.request(room.wish(), ReadNow())
    room.clock.advance(minutes=4)
    broker = SlowBroker()
    loop = asyncio.create_task(run_commands(dispatch, broker, "north"))
    await broker.asked.wait()
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    ((topic, octets, retain, expires_s),) = broker.given
    assert (topic, retain, expires_s) == ("quince/v1/north/gw-1/down/cmd", False, 360.0)
    assert octets > 64  # at least the signature


async def test_a_backlog_of_results_is_taken_without_a_pause_for_others(
    room, dispatch, monkeypatch
):
    monkeypatch.setattr("quince.headend.commands.consumer.POLL_PERIOD_S", 3_600)
    monkeypatch.setattr("quince.headend.commands.consumer.RESULTS_MAX", 1)
    monkeypatch.setattr(delivery, "RESULTS_MAX", 1)
    kept = await room.commands.request(room.wish(), ReadNow())
    results = tuple(
        CommandResult(command_id=kept.command.command_id, stage=stage, at_utc=room.clock.now_utc())
        for stage in (Stage.ACCEPTED, Stage.DONE)
    )
    room.ingest([room.gateway.send(Content(results=results), lane=Lane.RESULTS)])
    loop = asyncio.create_task(run_commands(dispatch, SlowBroker(), "north"))
    async with asyncio.timeout(10):
        while (await room.now(kept)).state is not State.DONE:  # noqa: ASYNC110 - it is another's
            await asyncio.sleep(0.01)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_a_cell_nobody_owns_has_nothing_to_do(room, dispatch):
    class Nobody:
        def __init__(self):
            self.asked = asyncio.Event()

        async def tenants(self):
            self.asked.set()
            return (Tenant(tenant_id=1, name="One", cells=("north",)),)

    await room.commands.request(room.wish(), ReadNow())
    nobody, broker = Nobody(), SlowBroker()
    idle = Dispatch(
        tenants=nobody,
        results=dispatch.results,
        store=dispatch.store,
        signer=dispatch.signer,
        clock=dispatch.clock,
    )
    loop = asyncio.create_task(run_commands(idle, broker, "south"))
    await nobody.asked.wait()
    await asyncio.sleep(0)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert broker.given == []
