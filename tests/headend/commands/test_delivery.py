"""From what is cleared to the message a gateway obeys, and back to how it ended."""

from dataclasses import replace

import pytest

from quince.headend.assets.rules import read_registration
from quince.headend.commands import delivery
from quince.headend.commands.rules import State
from quince.headend.wiring import register
from quince.protocols.gateway.commands import ReadNow
from quince.protocols.gateway.messages import CommandResult, Content, Stage
from quince.protocols.gateway.topics import GatewayAddress, Lane


async def test_a_command_is_published_signed_and_its_result_ends_it(room):
    kept = await room.commands.request(room.wish(), ReadNow())
    (publication,) = await room.publish()
    assert publication.topic == "quince/v1/north/gw-1/down/cmd"
    assert not publication.retain
    await room.answer(kept.command, Stage.ACCEPTED)
    assert (await room.now(kept)).state is State.ACCEPTED
    await room.answer(kept.command, Stage.DONE, media="application/json", body=b"{}")
    ended = await room.now(kept)
    assert (ended.state, ended.ended_utc) == (State.DONE, room.clock.now_utc())


async def test_it_is_published_again_after_growing_pauses_until_it_is_accepted(room):
    kept = await room.commands.request(room.wish(), ReadNow())
    times = []
    for second in range(0, 300, 5):
        times += [second for _ in await room.publish()]
        room.clock.advance(seconds=5)
    assert times == [0, 15, 45, 105, 225]
    await room.answer(kept.command, Stage.ACCEPTED)
    room.clock.advance(minutes=5)
    assert await room.publish() == ()


async def test_every_publication_is_the_same_command_to_the_octet(room):
    await room.commands.request(room.wish(), ReadNow())
    (first,) = await room.publish()
    room.clock.advance(seconds=15)
    (second,) = await room.publish()
    assert first == second


async def test_a_head_end_that_starts_anew_goes_on_where_it_was(open_room):
    async with open_room() as room:
        kept = await room.commands.request(room.wish(), ReadNow())
        (first,) = await room.published()
        result = CommandResult(
            command_id=first.command_id, stage=Stage.DONE, at_utc=room.clock.now_utc()
        )
        room.ingest([room.gateway.send(Content(results=(result,)), lane=Lane.RESULTS)])
    async with open_room() as room:
        assert await room.publish() == ()
        assert await room.absorb() == 1
        assert (await room.now(kept)).state is State.DONE
        assert await room.absorb() == 0


async def test_what_no_gateway_accepts_in_time_expires(room):
    kept = await room.commands.request(room.wish(), ReadNow())
    await room.publish()
    room.clock.advance(minutes=10)
    assert await room.publish() == ()
    expired = await room.now(kept)
    assert (expired.state, expired.code) == (State.EXPIRED, "not_accepted")
    room.clock.advance(days=1)
    assert await room.publish() == ()


async def test_what_is_accepted_and_never_answered_does_not_stay_open_for_ever(room):
    kept = await room.commands.request(room.wish(), ReadNow())
    await room.answer(kept.command, Stage.ACCEPTED)
    room.clock.advance(days=8)
    assert await room.publish() == ()
    assert (await room.now(kept)).code == "no_result"


@pytest.mark.parametrize("stage", [Stage.DONE, Stage.FAILED])
async def test_a_gateway_that_acted_is_believed_though_we_had_given_up(room, stage):
    kept = await room.commands.request(room.wish(), ReadNow())
    await room.publish()
    room.clock.advance(hours=1)
    await room.publish()
    await room.answer(kept.command, stage)
    assert (await room.now(kept)).state is State(stage.name.lower())


async def test_the_first_last_word_stands(room):
    kept = await room.commands.request(room.wish(), ReadNow())
    await room.answer(kept.command, Stage.REFUSED, code="clock_doubtful")
    await room.answer(kept.command, Stage.DONE)
    await room.answer(kept.command, Stage.PROGRESS, parts_done=1, parts=2)
    ended = await room.now(kept)
    assert (ended.state, ended.code) == (State.REFUSED, "clock_doubtful")


async def test_progress_that_overtakes_progress_does_not_go_back(room):
    kept = await room.commands.request(room.wish(), ReadNow())
    await room.answer(kept.command, Stage.PROGRESS, parts_done=7, parts=9, detail="block 7")
    await room.answer(kept.command, Stage.PROGRESS, parts_done=3, parts=9)
    now = await room.now(kept)
    assert (now.parts_done, now.parts, now.detail) == (7, 9, "block 7")


async def test_the_same_result_twice_is_one(room):
    kept = await room.commands.request(room.wish(), ReadNow())
    await room.answer(kept.command, Stage.DONE, body=b"first")
    await room.answer(kept.command, Stage.DONE, body=b"second")
    results = room.parts.results.results_of(
        tenant_id=1,
        command_id=kept.command.command_id,
        address=kept.command.address,
        limit=9,
    )
    assert [one.result.body for one in results] == [b"first"]


# --- the others ------------------------------------------------------------------------------


async def test_a_result_on_a_command_nobody_asked_for_changes_nothing(room):
    kept = await room.commands.request(room.wish(), ReadNow())
    await room.answer(replace(kept.command, command_id=bytes(16)), Stage.DONE)
    assert (await room.now(kept)).state is State.READY


@pytest.mark.parametrize(
    ("tenant", "cell"), [(1, "north"), (2, "south")], ids=["neighbour", "another tenant"]
)
async def test_another_gateways_word_on_a_command_changes_nothing(
    room, database, new_gateway, tenant, cell
):
    await register(
        database,
        read_registration(
            f'tenant = {{ id = {tenant}, name = "T", cells = ["{cell}"] }}\n'
            f'[[gateway]]\nid = "gw-9"\ncell = "{cell}"\n'
        ),
    )
    kept = await room.commands.request(room.wish(), ReadNow())
    room.gateway = new_gateway(GatewayAddress(cell=cell, gateway="gw-9"))
    await room.answer(kept.command, Stage.DONE)
    assert await room.absorb(2) == tenant - 1
    assert (await room.now(kept)).state is State.READY


async def test_another_cells_commands_are_left_to_its_own_head_end(room):
    await room.commands.request(room.wish(), ReadNow())
    south = {"store": room.parts.store, "signer": room.signer, "now_utc": room.clock.now_utc()}
    assert await delivery.publish_due(tenant_id=1, cell="south", **south) == ()
    assert await delivery.publish_due(tenant_id=2, cell="north", **south) == ()


async def test_results_are_taken_in_bounded_portions_in_the_order_they_came(room, monkeypatch):
    monkeypatch.setattr(delivery, "RESULTS_MAX", 2)
    kept = await room.commands.request(room.wish(), ReadNow())
    results = tuple(
        CommandResult(
            command_id=kept.command.command_id,
            stage=stage,
            at_utc=room.clock.now_utc(),
        )
        for stage in (Stage.ACCEPTED, Stage.DONE, Stage.FAILED)
    )
    room.ingest([room.gateway.send(Content(results=results), lane=Lane.RESULTS)])
    assert [await room.absorb(), await room.absorb(), await room.absorb()] == [2, 1, 0]
    assert (await room.now(kept)).state is State.DONE
