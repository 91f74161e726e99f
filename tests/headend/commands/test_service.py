"""Asking, approving, calling off."""

from dataclasses import replace

import pytest

from quince.headend.assets.rules import read_registration
from quince.headend.commands import service
from quince.headend.commands.rules import Danger, Person, State
from quince.headend.commands.service import Wish
from quince.headend.errors import (
    CommandStateError,
    NotArmedError,
    SecondPersonError,
    TooManyCommandsError,
    UnknownCommandError,
    UnknownGatewayError,
)
from quince.headend.wiring import register
from quince.model.errors import InvalidValueError
from quince.model.meter_key import MeterKey
from quince.protocols.gateway.commands import (
    ActivateFirmware,
    ArmSupply,
    ConfirmSupply,
    Diagnose,
    ReadClock,
    ReadNow,
    TransferFirmware,
    configuration_purpose,
    key_purpose,
)
from quince.protocols.gateway.messages import Stage
from quince.protocols.gateway.sealing import unseal
from quince.protocols.gateway.topics import GatewayAddress

FIRMWARE = TransferFirmware(identifier="v2", url="https://h/f", sha256=bytes(32), size=9)


# --- which gateway ---------------------------------------------------------------------------


@pytest.mark.usefixtures("live")
async def test_the_gateway_that_brings_the_meters_values_is_the_one_told(room):
    wish = replace(room.wish(), address=None)
    kept = await room.commands.request(wish, ReadNow())
    assert kept.command.address == GatewayAddress(cell="north", gateway="gw-1")


async def test_a_meter_nobody_heard_needs_its_gateway_named(room):
    with pytest.raises(UnknownGatewayError, match="name one"):
        await room.commands.request(replace(room.wish(), address=None), ReadNow())


@pytest.mark.parametrize(
    ("tenant_id", "cell", "name"),
    [(1, "south", "gw-2"), (2, "north", "gw-1"), (1, "north", "gw-2")],
)
async def test_another_tenants_gateway_is_nobodys(room, database, tenant_id, cell, name):
    await register(
        database,
        read_registration(
            'tenant = { id = 2, name = "Two", cells = ["south"] }\n'
            '[[gateway]]\nid = "gw-2"\ncell = "south"\n'
        ),
    )
    address = GatewayAddress(cell=cell, gateway=name)
    wish = replace(room.wish(tenant_id=tenant_id), address=address)
    with pytest.raises(UnknownGatewayError, match="registered"):
        await room.commands.request(wish, ReadNow())


async def test_a_gateway_is_given_a_bounded_number_of_commands(room, monkeypatch):
    monkeypatch.setattr(service, "OPEN_COMMANDS_MAX", 2)
    first = await room.commands.request(room.wish(), ReadNow())
    await room.commands.request(room.wish(), ReadNow())
    with pytest.raises(TooManyCommandsError):
        await room.commands.request(room.wish(), ReadNow())
    await room.cancel(first)
    await room.commands.request(room.wish(), ReadNow())


async def test_a_command_needs_a_reason(room):
    with pytest.raises(InvalidValueError, match="reason"):
        await room.commands.request(replace(room.wish(), reason=" "), ReadNow())


# --- two persons -----------------------------------------------------------------------------


@pytest.mark.parametrize("operation", [ReadNow(), ReadClock(), ArmSupply(on=False)])
async def test_what_changes_nothing_is_ready_at_once(room, operation):
    assert (await room.commands.request(room.wish(), operation)).state is State.READY


@pytest.mark.parametrize("operation", [FIRMWARE, ActivateFirmware(identifier="v2")])
async def test_firmware_waits_for_another_person_and_lives_from_then_on(room, operation):
    kept = await room.commands.request(room.wish("Ana"), operation)
    assert kept.state is State.REQUESTED
    assert await room.published() == []
    room.clock.advance(hours=3)
    approved = await room.approve(kept, "Berta")
    assert approved.command.issued_utc == room.clock.now_utc()
    assert [one.command_id for one in await room.published()] == [kept.command.command_id]
    assert await room.acts(kept) == [
        ("Ana", "requested"),
        ("Berta", "approved"),
        ("head-end", "published"),
    ]


@pytest.mark.parametrize("name", ["Ana", " ana ", "ANA", "Ａｎａ"])
async def test_nobody_approves_what_they_asked_for_however_they_spell_their_name(room, name):
    kept = await room.commands.request(room.wish("Ana"), FIRMWARE)
    with pytest.raises(SecondPersonError):
        await room.approve(kept, name)
    assert (await room.now(kept)).state is State.REQUESTED


async def test_up_to_the_cap_one_person_will_do_in_any_hour(open_room):
    async with open_room({Danger.FIRMWARE: 1}) as room:
        states = [(await room.commands.request(room.wish(), FIRMWARE)).state for _ in range(2)]
        room.clock.advance(hours=1)
        states.append((await room.commands.request(room.wish(), FIRMWARE)).state)
    assert states == [State.READY, State.REQUESTED, State.READY]


async def test_what_two_persons_did_does_not_use_up_the_cap(open_room):
    async with open_room() as room:
        await room.approve(await room.commands.request(room.wish("Ana"), FIRMWARE), "Berta")
    async with open_room({Danger.FIRMWARE: 1}) as room:
        assert (await room.commands.request(room.wish(), FIRMWARE)).state is State.READY


async def test_an_approval_that_comes_a_day_late_is_none(room):
    kept = await room.commands.request(room.wish(), FIRMWARE)
    room.clock.advance(hours=24)
    with pytest.raises(CommandStateError, match="too long ago"):
        await room.approve(kept, "Berta")
    assert await room.published() == []
    assert (await room.now(kept)).code == "not_approved"


async def test_there_is_nothing_to_approve_in_what_is_ready(room):
    kept = await room.commands.request(room.wish(), ReadNow())
    with pytest.raises(CommandStateError, match="nothing to approve"):
        await room.approve(kept, "Berta")


async def test_another_tenants_command_is_unknown(room):
    kept = await room.commands.request(room.wish(), FIRMWARE)
    with pytest.raises(UnknownCommandError):
        await room.approve(kept, "Berta", tenant_id=2)


# --- the supply switch -----------------------------------------------------------------------


async def test_a_disconnection_is_asked_for_once_approved_once_and_armed_before_confirmed(room):
    kept = await room.commands.switch(room.wish("Ana"), on=False)
    assert (kept.state, kept.danger) == (State.REQUESTED, Danger.DISCONNECT)
    assert await room.published() == []
    await room.approve(kept, "Berta")
    (arm,) = await room.published()
    assert arm.operation == ArmSupply(on=False)
    await room.answer(arm, Stage.DONE)
    room.clock.advance(seconds=1)
    (confirmation,) = await room.published()
    assert confirmation.operation == ConfirmSupply(armed_by=arm.command_id)
    assert confirmation.command_id == kept.command.command_id


async def test_turning_on_again_needs_no_second_person(room):
    kept = await room.commands.switch(room.wish(), on=True)
    assert kept.state is State.READY
    (arm,) = await room.published()
    assert arm.operation == ArmSupply(on=True)


@pytest.mark.parametrize("stage", [Stage.REFUSED, Stage.FAILED])
async def test_without_its_arming_a_confirmation_is_never_published(room, stage):
    kept = await room.commands.switch(room.wish(), on=True)
    (arm,) = await room.published()
    await room.answer(arm, stage, code="meter_silent")
    room.clock.advance(seconds=1)
    assert await room.published() == []
    assert (await room.now(kept)).code == "not_armed"


async def test_an_arming_that_was_done_too_long_ago_is_none(room):
    kept = await room.commands.switch(room.wish(), on=True)
    (arm,) = await room.published()
    await room.answer(arm, Stage.DONE)
    room.clock.advance(minutes=10)
    assert await room.published() == []
    assert (await room.now(kept)).state is State.CANCELLED


async def test_the_arming_of_a_pair_is_approved_with_its_confirmation_alone(room):
    kept = await room.commands.switch(room.wish(), on=False)
    operation = kept.command.operation
    assert isinstance(operation, ConfirmSupply)
    arm = await room.find(operation.armed_by)
    with pytest.raises(CommandStateError, match="clears both"):
        await room.approve(arm, "Berta")


async def test_a_person_can_arm_look_and_confirm(room):
    arm = await room.commands.request(room.wish(), ArmSupply(on=True))
    with pytest.raises(NotArmedError):
        await room.commands.confirm(room.wish(), arm.command.command_id)
    await room.answer(arm.command, Stage.DONE)
    kept = await room.commands.confirm(room.wish(), arm.command.command_id)
    assert (kept.state, kept.command.meter_id) == (State.READY, "m-1")


async def test_a_confirmed_disconnection_is_approved_while_it_is_armed_or_not_at_all(room):
    arm = await room.commands.request(room.wish(), ArmSupply(on=False))
    await room.answer(arm.command, Stage.DONE)
    first = await room.commands.confirm(room.wish("Ana"), arm.command.command_id)
    second = await room.commands.confirm(room.wish("Ana"), arm.command.command_id)
    assert (await room.approve(first, "Berta")).state is State.READY
    room.clock.advance(minutes=10)
    with pytest.raises(NotArmedError):
        await room.approve(second, "Berta")


async def test_a_confirmation_by_the_back_door_needs_a_second_person_too(room):
    arm = await room.commands.request(room.wish(), ArmSupply(on=False))
    await room.answer(arm.command, Stage.DONE)
    operation = ConfirmSupply(armed_by=arm.command.command_id)
    assert (await room.commands.request(room.wish(), operation)).state is State.REQUESTED


async def test_only_an_arming_can_be_confirmed(room):
    kept = await room.commands.request(room.wish(), ReadNow())
    await room.answer(kept.command, Stage.DONE)
    with pytest.raises(NotArmedError):
        await room.commands.confirm(room.wish(), kept.command.command_id)


async def test_what_nobody_asked_for_cannot_be_confirmed(room):
    with pytest.raises(UnknownCommandError):
        await room.commands.confirm(room.wish(), bytes(16))


# --- calling off -----------------------------------------------------------------------------


async def test_what_is_called_off_is_never_published(room):
    kept = await room.commands.request(room.wish(), ReadNow())
    assert (await room.cancel(kept, "Berta")).state is State.CANCELLED
    assert await room.published() == []
    assert await room.acts(kept) == [("Ana", "requested"), ("Berta", "cancelled")]


async def test_an_arming_goes_with_its_confirmation(room):
    kept = await room.commands.switch(room.wish(), on=False)
    await room.cancel(kept)
    latest = await room.parts.store.latest(tenant_id=1, limit=9)
    assert {one.state for one in latest} == {State.CANCELLED}


async def test_a_confirmation_is_called_off_though_its_arming_is_under_way(room):
    kept = await room.commands.switch(room.wish(), on=True)
    (arm,) = await room.published()
    await room.cancel(kept)
    assert (await room.find(arm.command_id)).state is State.PUBLISHED


async def test_what_is_published_cannot_be_called_off(room):
    kept = await room.commands.request(room.wish(), ReadNow())
    await room.published()
    with pytest.raises(CommandStateError, match="too late"):
        await room.cancel(kept)


# --- secrets ---------------------------------------------------------------------------------


async def test_a_new_key_is_sealed_for_its_gateway_and_kept_nowhere_else(room, database):
    secret = b"sixteen octets!!"
    kept = await room.commands.change_key(room.wish("Ana"), MeterKey.ENCRYPTION, secret)
    await room.approve(kept, "Berta")
    (command,) = await room.published()
    purpose = key_purpose("m-1", MeterKey.ENCRYPTION)
    assert unseal(command.operation.sealed, room.keys.key, purpose=purpose) == secret
    for file in database.parent.glob("headend.sqlite*"):
        assert secret not in file.read_bytes()


async def test_a_gateway_without_a_certificate_is_sent_no_secret(room, database):
    await register(
        database,
        read_registration(
            'tenant = { id = 1, name = "One", cells = ["north"] }\n'
            '[[gateway]]\nid = "gw-2"\ncell = "north"\n'
        ),
    )
    wish = replace(room.wish(), address=GatewayAddress(cell="north", gateway="gw-2"))
    with pytest.raises(UnknownGatewayError, match="certificate"):
        await room.commands.change_key(wish, MeterKey.MASTER, bytes(16))


async def test_a_configuration_is_sealed_retained_and_takes_the_place_of_the_one_before(room):
    wish = room.wish(meter_id="")
    first = await room.commands.configure(wish, "backfill_days = 3\n")
    second = await room.commands.configure(wish, "backfill_days = 4\n")
    assert (await room.now(first)).code == "superseded"
    (publication,) = await room.publish()
    assert publication.topic == "quince/v1/north/gw-1/down/cfg"
    assert publication.retain
    revisions = [one.command.operation.revision for one in (first, second)]
    assert revisions[1] == revisions[0] + 1
    purpose = configuration_purpose(revisions[1])
    sealed = second.command.operation.sealed
    assert unseal(sealed, room.keys.key, purpose=purpose) == b"backfill_days = 4\n"


async def test_a_configuration_a_gateway_is_taking_is_left_to_it(room):
    first = await room.commands.configure(room.wish(meter_id=""), "")
    await room.published()
    await room.answer(first.command, Stage.ACCEPTED)
    await room.commands.configure(room.wish(meter_id=""), "")
    assert (await room.now(first)).state is State.ACCEPTED


async def test_revisions_go_on_where_a_lost_database_left_them(room):
    kept = await room.commands.configure(room.wish(meter_id=""), "")
    assert kept.command.operation.revision == 1_772_971_200


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a = ", "not TOML"), ("[" * 5_000, "not TOML"), ("#" * 131_072, "at most")],
)
async def test_what_no_gateway_could_read_is_not_sent(room, text, reason):
    with pytest.raises(InvalidValueError, match=reason):
        await room.commands.configure(room.wish(meter_id=""), text)


async def test_the_largest_configuration_fits_a_command(room):
    kept = await room.commands.configure(room.wish(meter_id=""), "#" * 129_900)
    assert kept.state is State.READY


async def test_a_gateways_own_command_names_no_meter(room):
    kept = await room.commands.request(room.wish(meter_id=""), Diagnose())
    assert kept.command.meter_id == ""
    with pytest.raises(InvalidValueError, match="meter_id"):
        await room.commands.request(room.wish(), Diagnose())


@pytest.mark.parametrize("name", ["", "  ", "a" * 65, "a\x00b", "Head-End"])
def test_a_person_has_a_name(name):
    with pytest.raises(InvalidValueError, match="by"):
        Wish(tenant_id=1, by=Person(name=name), reason="x")
