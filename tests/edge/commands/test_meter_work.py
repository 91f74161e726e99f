"""What commands do to a simulated meter, from the signed message to the result in the outbox."""

import hashlib
import random
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from quince.edge.commands import meter_work, service
from quince.edge.errors import ReadTimeoutError, TransportError, UnsupportedError
from quince.firmware_sims.dlms.image import seal_firmware
from quince.model.meter_key import MeterKey
from quince.protocols.dlms.cosem.disconnect import ControlState
from quince.protocols.gateway.commands import (
    ActivateFirmware,
    ArmSupply,
    ChangeKey,
    ConfirmSupply,
    ReadClock,
    ReadNow,
    ReadProfile,
    SetClock,
    TransferFirmware,
    key_purpose,
)
from quince.protocols.gateway.messages import Stage
from quince.protocols.gateway.sealing import seal
from quince.protocols.gateway.topics import Lane

MIDNIGHT = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
FIRMWARE = seal_firmware(random.Random(4).randbytes(3_000))


# -- reading -----------------------------------------------------------------------------------


async def test_a_meter_is_read_now_and_its_registers_go_up_as_readings(gateway):
    command = await gateway.do(ReadNow())
    document = gateway.document(command)
    assert gateway.stages(command) == [Stage.ACCEPTED, Stage.DONE]
    assert document["identity"]["maker"] == "QNC"
    assert document["registers"][0]["obis"] == "1-0:1.8.0"
    [live] = gateway.contents(Lane.LIVE)
    assert [one.value for one in live.readings] == [one["value"] for one in document["registers"]]


async def test_a_profile_is_read_again(gateway):
    command = await gateway.do(
        ReadProfile(start_utc=MIDNIGHT, end_utc=MIDNIGHT + timedelta(days=1))
    )
    assert gateway.document(command) == {
        "start": "2026-05-01T06:00:00.000+00:00",
        "end": "2026-05-02T06:00:00.000+00:00",
        "quarter_hours": 96,
        "with_value": 96,
    }


async def test_a_clock_is_told_beside_the_gateways_own(gateway):
    document = gateway.document(await gateway.do(ReadClock()))
    assert document["clock"].startswith("2026-05-02T06:05")
    assert abs(document["difference_s"]) < 2


# -- the clock ---------------------------------------------------------------------------------


async def test_a_clock_that_is_a_little_off_is_set_and_told_before_and_after(gateway, meter, clock):
    meter.meter_clock.set_to(clock.at_utc + timedelta(seconds=40))
    document = gateway.document(await gateway.do(SetClock(step_s_max=60)))
    assert 35 < document["before"]["difference_s"] < 41
    assert abs(document["after"]["difference_s"]) < 2


async def test_a_clock_that_is_off_by_more_than_the_bound_is_left_alone(gateway, meter, clock):
    meter.meter_clock.set_to(clock.at_utc - timedelta(seconds=90))
    command = await gateway.do(SetClock(step_s_max=60))
    assert gateway.stages(command) == [Stage.ACCEPTED, Stage.REFUSED]
    assert gateway.last(command).code == "clock_step_too_large"
    assert clock.at_utc - meter.meter_clock.shown_utc() > timedelta(seconds=80)


# -- the supply --------------------------------------------------------------------------------


async def test_a_supply_is_armed_and_then_disconnected(gateway, meter):
    armed = await gateway.do(ArmSupply(on=False))
    assert gateway.document(armed) == {"on": False, "state": "connected", "armed_s": 600.0}
    confirmed = await gateway.do(ConfirmSupply(armed_by=armed.command_id))
    assert gateway.document(confirmed) == {
        "on": False,
        "before": "connected",
        "after": "disconnected",
    }
    assert meter.relay.state is ControlState.DISCONNECTED


class MuteBehindSwitch:
    """A meter that shows no state any more once it has switched."""

    def __init__(self, sessions):
        self._sessions = sessions

    async def ask(self, meter_id, job, *, within_s):
        async def muted(reader):
            switch = reader.switch_supply

            async def switched(*, on):
                await switch(on=on)
                raise UnsupportedError("it shows no state")

            reader.switch_supply = switched
            return await job(reader)

        return await self._sessions.ask(meter_id, muted, within_s=within_s)


async def test_what_goes_wrong_behind_a_switch_does_not_tell_that_nothing_was_done(
    start, sessions, meter
):
    gateway = start(MuteBehindSwitch(sessions))
    armed = await gateway.do(ArmSupply(on=False))
    command = await gateway.do(ConfirmSupply(armed_by=armed.command_id))
    assert meter.relay.state is ControlState.DISCONNECTED
    assert gateway.stages(command) == [Stage.ACCEPTED, Stage.FAILED]


async def test_a_confirmation_of_another_arming_switches_nothing(gateway, meter):
    await gateway.do(ArmSupply(on=False))
    command = await gateway.do(ConfirmSupply(armed_by=bytes(16)))
    assert gateway.last(command).code == "not_armed"
    assert meter.relay.state is ControlState.CONNECTED


async def test_an_arming_serves_once(gateway):
    armed = await gateway.do(ArmSupply(on=False))
    await gateway.do(ConfirmSupply(armed_by=armed.command_id))
    again = await gateway.do(ConfirmSupply(armed_by=armed.command_id))
    assert gateway.last(again).code == "not_armed"


async def test_an_arming_is_over_after_ten_minutes(gateway, meter, monkeypatch):
    monkeypatch.setattr(meter_work, "ARM_S_MAX", -1.0)
    armed = await gateway.do(ArmSupply(on=False))
    command = await gateway.do(ConfirmSupply(armed_by=armed.command_id))
    assert gateway.stages(command) == [Stage.ACCEPTED, Stage.REFUSED]
    assert meter.relay.state is ControlState.CONNECTED


async def test_a_restart_disarms(gateway, start, meter):
    armed = await gateway.do(ArmSupply(on=False))
    again = start()
    command = await again.do(ConfirmSupply(armed_by=armed.command_id))
    assert again.last(command).code == "not_armed"
    assert meter.relay.state is ControlState.CONNECTED


# -- firmware ----------------------------------------------------------------------------------


@pytest.fixture
def image(door):
    door.files["/v1/firmware/new"] = FIRMWARE
    return TransferFirmware(
        identifier="QNC-2.0.0",
        url=f"{door.url}/v1/firmware/new",
        sha256=hashlib.sha256(FIRMWARE).digest(),
        size=len(FIRMWARE),
    )


async def test_an_image_is_fetched_brought_and_started(start, door, image, sessions, clock, folder):
    gateway = start(url=door.url)
    brought = await gateway.do(image)
    started = await gateway.do(ActivateFirmware(identifier="QNC-2.0.0"))
    assert gateway.document(brought)["octets"] == len(FIRMWARE)
    assert gateway.stages(started) == [Stage.ACCEPTED, Stage.DONE]
    assert not list(folder.glob("*.part"))
    clock.at_utc += timedelta(seconds=10)
    async with sessions.connect() as reader:
        assert (await reader.identify()).firmware == "QNC-2.0.0"


async def test_progress_is_told_now_and_then(start, door, image, monkeypatch):
    monkeypatch.setattr(service, "PROGRESS_S_MIN", 0.0)
    gateway = start(url=door.url)
    command = await gateway.do(image)
    told = [(one.parts_done, one.parts) for one in gateway.results(command)[1:-1]]
    assert told == [(done, 24) for done in range(1, 25)]


class BreakingSessions:
    """The line drops `times` times, each time behind some more blocks."""

    def __init__(self, sessions, times):
        self._sessions = sessions
        self.left = times

    async def ask(self, meter_id, job, *, within_s):
        async def broken(reader):
            reader.transfer_firmware = partial(self._break, reader.transfer_firmware)
            return await job(reader)

        return await self._sessions.ask(meter_id, broken, within_s=within_s)

    async def _break(self, transfer, octets, identifier, progress):
        blocks = 0

        def count(done, parts):
            nonlocal blocks
            progress(done, parts)
            blocks += 1
            if self.left and blocks == 3:
                self.left -= 1
                raise TransportError("the line dropped")

        await transfer(octets, identifier, count)


async def test_an_image_goes_on_where_the_line_dropped(start, door, image, sessions, monkeypatch):
    monkeypatch.setattr(meter_work, "IMAGE_PAUSE_S", 0.0)
    gateway = start(BreakingSessions(sessions, times=meter_work.IMAGE_TRIES_MAX + 1), url=door.url)
    command = await gateway.do(image)
    assert gateway.stages(command) == [Stage.ACCEPTED, Stage.DONE]
    assert sessions.asked == meter_work.IMAGE_TRIES_MAX + 2


class DeadSessions:
    async def ask(self, _meter_id, _job, **_):
        raise ReadTimeoutError("nobody answers")


async def test_an_image_for_a_meter_that_never_answers_fails(
    start, door, image, monkeypatch, folder
):
    monkeypatch.setattr(meter_work, "IMAGE_PAUSE_S", 0.0)
    gateway = start(DeadSessions(), url=door.url)
    command = await gateway.do(image)
    assert gateway.last(command).code == "read_timeout"
    assert gateway.last(command).stage is Stage.FAILED
    assert not list(folder.glob("*.part"))


async def test_what_was_not_verified_is_not_started(gateway):
    command = await gateway.do(ActivateFirmware(identifier="QNC-9"))
    assert gateway.last(command).stage is Stage.FAILED
    assert gateway.last(command).code == "remote_protocol_error"


# -- keys --------------------------------------------------------------------------------------

NEW = b"\xaa" * 16


def changing(key, own_key, new=NEW, meter_id="M1"):
    sealed = seal(new, own_key.public_key(), purpose=key_purpose(meter_id, key))
    return ChangeKey(key=key, sealed=sealed)


@pytest.mark.parametrize("key", [MeterKey.ENCRYPTION, MeterKey.AUTHENTICATION])
async def test_a_changed_key_outlives_the_gateway(
    start, sessions, connector, ciphered, own_key, key
):
    sessions.connect = connector(ciphered())
    gateway = start()
    command = await gateway.do(changing(key, own_key))
    assert gateway.document(command) == {"key": key, "proven": True}
    sessions.connect = connector(ciphered())  # as a start reads configuration and counters
    assert (await start().do(ReadClock())) is not None
    async with sessions.connect() as reader:
        assert (await reader.identify()).serial == "M1"


async def test_a_key_that_was_sealed_for_another_meter_is_refused(gateway, own_key, sessions):
    command = await gateway.do(changing(MeterKey.MASTER, own_key, meter_id="M2"))
    assert gateway.stages(command) == [Stage.ACCEPTED, Stage.REFUSED]
    assert gateway.last(command).code == "seal_refused"
    assert sessions.asked == 0


async def test_a_meter_without_a_master_key_here_is_told_nothing(gateway, own_key):
    command = await gateway.do(changing(MeterKey.ENCRYPTION, own_key))
    assert gateway.last(command).code == "unsupported"


async def test_a_gateway_without_a_key_of_its_own_opens_no_seal(gateway, own_key, folder):
    (folder / "gateway.key").write_text("-----BEGIN NOTHING-----")
    command = await gateway.do(changing(MeterKey.ENCRYPTION, own_key))
    assert gateway.last(command).code == "no_gateway_key"


async def test_a_key_of_another_curve_opens_no_seal(gateway, own_key, folder):
    other = ec.generate_private_key(ec.SECP384R1())
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "gateway.key").write_bytes(other.private_bytes(*form))
    command = await gateway.do(changing(MeterKey.ENCRYPTION, own_key))
    assert gateway.last(command).code == "no_gateway_key"


class OnceSessions:
    """The first session is a real one; nobody answers thereafter."""

    def __init__(self, sessions):
        self._sessions = sessions

    async def ask(self, meter_id, job, *, within_s):
        if self._sessions.asked:
            raise ReadTimeoutError("nobody answers")
        return await self._sessions.ask(meter_id, job, within_s=within_s)


async def test_a_new_key_that_no_session_proved_says_so(
    start, sessions, connector, ciphered, own_key
):
    sessions.connect = connector(ciphered())
    gateway = start(OnceSessions(sessions))
    command = await gateway.do(changing(MeterKey.ENCRYPTION, own_key))
    assert gateway.document(command) == {"key": "encryption", "proven": False}
