"""Commands are taken once, kept before they are done, and answered whatever happens."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings, strategies as st

from quince.edge.commands import service
from quince.edge.errors import BusyError, OutboxFullError, ReadTimeoutError
from quince.edge.outbox import command_table
from quince.edge.outbox.command_table import CommandState
from quince.model.errors import CodecError, QuinceError, RemoteProtocolError
from quince.protocols.dlms.cosem.disconnect import ControlState
from quince.protocols.gateway.commands import (
    ArmSupply,
    ConfirmSupply,
    Diagnose,
    ReadClock,
    ReadNow,
    ReadProfile,
    SetClock,
)
from quince.protocols.gateway.errors import SignatureError
from quince.protocols.gateway.messages import RESULT_BODY_BYTES_MAX, Stage
from quince.protocols.gateway.signing import sign_command
from quince.protocols.gateway.topics import GatewayAddress, Lane

ID_1 = (1).to_bytes(16)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


# -- who is believed ---------------------------------------------------------------------------


def test_a_command_of_a_signer_nobody_knows_is_neither_kept_nor_answered(gateway, head_end):
    stranger = Ed25519PrivateKey.generate()
    message = sign_command(head_end.command(ReadNow()), signer="ops", key=stranger)
    with pytest.raises(SignatureError):
        gateway.commands.take(message)
    assert gateway.outbox.count == 0
    assert gateway.outbox.commands.unfinished() == []


def test_a_command_for_another_gateway_is_neither_kept_nor_answered(gateway, head_end):
    other = GatewayAddress(cell="north", gateway="gw-2")
    with pytest.raises(RemoteProtocolError):
        gateway.commands.take(head_end.sign(head_end.command(ReadNow(), address=other)))
    assert gateway.outbox.count == 0


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(octets=st.binary(max_size=300))
def test_octets_that_are_no_command_change_nothing(gateway, octets):
    with pytest.raises((CodecError, SignatureError)):
        gateway.commands.take(octets)
    assert gateway.outbox.count == 0


def test_a_late_command_is_refused_and_known_from_then_on(gateway, head_end, clock):
    command = head_end.command(ReadNow(), life_s=60)
    clock.at_utc += timedelta(minutes=2)
    gateway.commands.take(head_end.sign(command))
    gateway.commands.take(head_end.sign(command))
    assert gateway.stages(command) == [Stage.REFUSED]
    assert gateway.last(command).code == "expired"


def test_a_command_of_the_future_is_refused_and_the_gateways_clock_is_told(
    gateway, head_end, clock
):
    ahead = clock.at_utc + timedelta(hours=1)
    command = head_end.command(ReadNow(), issued_utc=ahead, life_s=7_200)
    gateway.commands.take(head_end.sign(command))
    assert gateway.last(command).code == "from_the_future"
    assert "clock shows 2026-05-02T06:05" in gateway.last(command).detail


# -- once --------------------------------------------------------------------------------------


async def test_a_command_that_comes_again_is_neither_done_nor_answered_again(
    gateway, head_end, sessions
):
    command = await gateway.do(ReadClock())
    gateway.commands.take(head_end.sign(command))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(gateway.commands.run())
        await asyncio.sleep(0.05)
        running.cancel()
    assert gateway.stages(command) == [Stage.ACCEPTED, Stage.DONE]
    assert sessions.asked == 1


async def test_a_command_that_is_over_is_forgotten_a_day_behind_its_last_moment(
    gateway, head_end, clock, monkeypatch
):
    monkeypatch.setattr(command_table, "COMMANDS_MAX", 1)
    first = await gateway.do(ReadClock(), life_s=60)
    refused = head_end.command(ReadClock())
    gateway.commands.take(head_end.sign(refused))
    assert gateway.last(refused).code == "too_many_commands"
    clock.at_utc += timedelta(days=1, minutes=2)
    second = await gateway.do(ReadClock())
    assert gateway.outbox.commands.state_of(first.command_id) is None
    assert gateway.last(second).stage is Stage.DONE


async def test_a_command_that_was_turned_away_is_not_done_when_it_comes_again(
    gateway, head_end, monkeypatch, sessions
):
    monkeypatch.setattr(command_table, "COMMANDS_MAX", 0)
    command = head_end.command(ReadClock())
    gateway.commands.take(head_end.sign(command))
    monkeypatch.setattr(command_table, "COMMANDS_MAX", 9)
    await gateway.do(ReadClock())
    gateway.commands.take(head_end.sign(command))
    assert gateway.stages(command) == [Stage.REFUSED]
    assert sessions.asked == 1


def test_more_than_can_be_turned_away_are_not_answered(gateway, head_end, monkeypatch):
    monkeypatch.setattr(command_table, "COMMANDS_MAX", 0)
    monkeypatch.setattr(command_table, "TURNED_AWAY_MAX", 2)
    for _ in range(2):
        gateway.commands.take(head_end.sign(head_end.command(ReadClock())))
    with pytest.raises(BusyError):
        gateway.commands.take(head_end.sign(head_end.command(ReadClock())))
    assert gateway.outbox.count == 2


def test_what_ran_out_days_ago_takes_nobodys_place(gateway, head_end, clock):
    archive = [head_end.sign(head_end.command(ReadClock(), life_s=60)) for _ in range(3)]
    clock.at_utc += timedelta(days=1, minutes=2)
    for message in archive:
        with pytest.raises(RemoteProtocolError, match="long ago"):
            gateway.commands.take(message)
    assert gateway.outbox.count == 0


async def test_what_waits_when_the_gateway_stops_is_done_by_its_next_life(gateway, start, head_end):
    command = head_end.command(ReadClock())
    gateway.commands.take(head_end.sign(command))
    again = start()
    await again.settle(command)
    assert again.stages(command) == [Stage.ACCEPTED, Stage.DONE]


class HaltingSessions:
    """The gateway stops dead while a switch moves: nothing after it is written."""

    def __init__(self, sessions):
        self._sessions = sessions
        self.halted = asyncio.Event()

    async def ask(self, meter_id, job, *, within_s):
        async def halting(reader):
            switch = reader.switch_supply

            async def switched(*, on):
                await switch(on=on)
                self.halted.set()
                await asyncio.Event().wait()

            reader.switch_supply = switched
            return await job(reader)

        return await self._sessions.ask(meter_id, halting, within_s=within_s)


async def test_a_switch_that_was_under_way_when_the_gateway_stopped_is_not_told_again(
    start, head_end, sessions, meter
):
    halting = HaltingSessions(sessions)
    gateway = start(halting)
    armed = await gateway.do(ArmSupply(on=False))
    confirm = head_end.command(ConfirmSupply(armed_by=armed.command_id))
    gateway.commands.take(head_end.sign(confirm))
    life = asyncio.create_task(gateway.commands.run())
    await halting.halted.wait()
    life.cancel()
    await asyncio.wait([life])
    assert gateway.outbox.commands.state_of(confirm.command_id) is CommandState.BEGUN
    meter.supply.switch_on(meter.clock.now_utc())
    again = start()
    await again.settle(confirm)
    assert again.stages(confirm) == [Stage.ACCEPTED, Stage.FAILED]
    assert again.last(confirm).code == "interrupted"
    assert meter.relay.state is ControlState.CONNECTED


def test_what_a_signer_who_is_believed_no_more_left_is_dropped(gateway, start, head_end):
    command = head_end.command(ReadNow())
    gateway.commands.take(head_end.sign(command))
    head_end.key = Ed25519PrivateKey.generate()
    again = start()
    assert again.outbox.commands.unfinished() == []
    assert again.stages(command) == [Stage.ACCEPTED]


# -- in which order ----------------------------------------------------------------------------


class SlowSessions:
    """Every meter takes its time, and says how many were asked at once."""

    def __init__(self):
        self.now = {}
        self.most_at_once = 0
        self.order = []

    async def ask(self, meter_id, _job, **_):
        self.order.append(meter_id)
        self.now[meter_id] = self.now.get(meter_id, 0) + 1
        assert self.now[meter_id] == 1
        self.most_at_once = max(self.most_at_once, sum(self.now.values()))
        await asyncio.sleep(0.01)
        self.now[meter_id] -= 1
        raise ReadTimeoutError("slow")


async def test_a_meter_is_told_one_thing_at_a_time_and_some_meters_together(
    start, head_end, monkeypatch
):
    monkeypatch.setattr(service, "AT_ONCE_MAX", 2)
    slow = SlowSessions()
    gateway = start(slow)
    asked = ["M1", "M1", "M2", "M3", "M1"]
    commands = [head_end.command(ReadNow(), meter_id=meter_id) for meter_id in asked]
    for command in commands:
        gateway.commands.take(head_end.sign(command))
    await gateway.settle(commands[-1])
    assert slow.most_at_once == 2
    assert sorted(slow.order) == sorted(asked)


class EndlessProfiles(SlowSessions):
    """Profiles that are read for ever."""

    async def reread(self, *_):
        await asyncio.Event().wait()


async def test_what_takes_hours_leaves_a_place_for_what_somebody_waits_for(start, head_end):
    gateway = start(EndlessProfiles())
    span = ReadProfile(start_utc=NOON, end_utc=NOON + timedelta(hours=1))
    for number in range(service.AT_ONCE_MAX):
        long = head_end.command(span, meter_id=f"L{number}")
        gateway.commands.take(head_end.sign(long))
    short = head_end.command(ReadNow())
    gateway.commands.take(head_end.sign(short))
    await gateway.settle(short)
    assert gateway.last(short).code == "read_timeout"


async def test_what_waits_behind_what_takes_hours_does_not_overtake_it(
    start, head_end, monkeypatch
):
    monkeypatch.setattr(service, "LONG_AT_ONCE_MAX", 0)
    slow = SlowSessions()
    gateway = start(slow)
    span = ReadProfile(start_utc=NOON, end_utc=NOON + timedelta(hours=1))
    asked = [(span, "M1"), (ReadNow(), "M1"), (ReadNow(), "M2")]
    commands = [head_end.command(one, meter_id=meter_id) for one, meter_id in asked]
    for command in commands:
        gateway.commands.take(head_end.sign(command))
    await gateway.settle(commands[-1])
    assert slow.order == ["M2"]


async def test_a_command_that_waited_too_long_is_not_begun(start, head_end, clock):
    slow = SlowSessions()
    gateway = start(slow)
    command = head_end.command(SetClock(step_s_max=5), life_s=30)
    gateway.commands.take(head_end.sign(command))
    clock.at_utc += timedelta(seconds=40)
    await gateway.settle(command)
    assert gateway.last(command).code == "expired"
    assert slow.order == []


class LateSessions:
    """The bus was long busy when the session stands."""

    def __init__(self, sessions, clock):
        self._sessions, self._clock = sessions, clock

    async def ask(self, meter_id, job, *, within_s):
        self._clock.at_utc += timedelta(seconds=40)
        return await self._sessions.ask(meter_id, job, within_s=within_s)


async def test_what_cannot_be_done_twice_is_not_sent_behind_its_last_moment(start, sessions, clock):
    gateway = start(LateSessions(sessions, clock))
    command = await gateway.do(SetClock(step_s_max=3_600), life_s=30)
    assert gateway.stages(command) == [Stage.ACCEPTED, Stage.REFUSED]
    assert gateway.last(command).code == "expired"


# -- what goes wrong ---------------------------------------------------------------------------


class Raising:
    def __init__(self, error):
        self._error = error

    async def ask(self, _meter_id, _job, **_):
        raise self._error


@pytest.mark.parametrize(
    ("error", "stage", "code"),
    [
        (ReadTimeoutError("nobody answers"), Stage.FAILED, "read_timeout"),
        (BusyError("too many wait"), Stage.REFUSED, "busy"),
        (ZeroDivisionError("a bug"), Stage.FAILED, "internal_error"),
    ],
)
async def test_an_error_ends_its_own_command_with_its_code(start, error, stage, code):
    gateway = start(Raising(error))
    command = await gateway.do(ReadNow())
    assert (gateway.last(command).stage, gateway.last(command).code) == (stage, code)


async def test_a_diagnostic_bundle_goes_up_as_it_is(gateway):
    command = await gateway.do(Diagnose())
    assert gateway.last(command).media == "application/zip"
    assert gateway.last(command).body == b"zip"


async def test_a_bundle_that_is_too_large_is_no_answer(gateway):
    gateway.bundle = bytes(RESULT_BODY_BYTES_MAX + 1)
    command = await gateway.do(Diagnose())
    assert gateway.last(command).code == "invalid_value"


def test_what_cannot_be_kept_is_not_accepted(gateway, head_end, monkeypatch):
    def full(_round):
        raise OutboxFullError("full")

    monkeypatch.setattr(gateway.outbox, "record", full)
    with pytest.raises(QuinceError):
        gateway.commands.take(head_end.sign(head_end.command(ReadNow())))
    assert not gateway.stirred.is_set()


async def test_a_result_waits_for_the_disk_and_then_goes_without_its_readings(gateway, monkeypatch):
    monkeypatch.setattr(service, "KEEP_AGAIN_S", 0.0)
    record = gateway.outbox.record

    def without_intervals(round_):
        if any(lane is Lane.LIVE for lane, _ in round_.messages):
            raise OutboxFullError("full")
        record(round_)

    monkeypatch.setattr(gateway.outbox, "record", without_intervals)
    command = await gateway.do(ReadNow())
    assert gateway.stages(command) == [Stage.ACCEPTED, Stage.DONE]
    assert gateway.contents(Lane.LIVE) == []
