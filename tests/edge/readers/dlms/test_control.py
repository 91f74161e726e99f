"""What a DLMS session tells simulated meters, on real sockets: clock, switch, firmware, keys."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quince.edge.errors import ReadTimeoutError, TransportError, UnsupportedError
from quince.edge.readers.dlms import control as dlms_control, dialogue as dlms_dialogue
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import InClear, Login, login
from quince.edge.readers.dlms.reader import DlmsReader
from quince.edge.readers.reader import SupplyState
from quince.firmware_sims.dlms.image import seal_firmware
from quince.firmware_sims.dlms.meter import Build, DlmsMeter
from quince.firmware_sims.dlms.server import serve_hdlc, serve_wrapper
from quince.firmware_sims.load import Household, Supply, metered_wh
from quince.model.errors import (
    InvalidValueError,
    LocalProtocolError,
    QuinceError,
    RemoteProtocolError,
)
from quince.model.meter_key import MeterKey
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.association.session import ServerSession
from quince.protocols.dlms.cosem import image as images
from quince.protocols.dlms.cosem.clock import CLOCK_TIME
from quince.protocols.dlms.cosem.disconnect import OUTPUT_STATE, ControlMode
from quince.protocols.dlms.cosem.names import FIRMWARE_ID
from quince.protocols.dlms.cosem.security_setup import KEY_TRANSFER
from quince.protocols.dlms.encoding.axdr import Data, Value
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.errors import AccessRefusedError, AuthenticationError
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Gmac, Password
from quince.protocols.dlms.security.suite import Keys

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
HOUSEHOLD = Household(seed=1)
LLS = Password(secret=b"12345678")
BY_PASSWORD = InClear(LLS)
OUR_TITLE = b"QNG\0\0\0\0\1"
KEYS = Keys(
    encryption=bytes(range(16)),
    authentication=bytes(range(16, 32)),
    master=bytes(range(32, 48)),
)
FIRMWARE = seal_firmware(random.Random(4).randbytes(40_000))


class TickingClock:
    """Goes on by `tick` each time it is asked, so that every wait of a meter ends."""

    def __init__(self, tick_ms: int = 20) -> None:
        self.at_utc = NOW
        self._tick = timedelta(milliseconds=tick_ms)

    def now_utc(self) -> datetime:
        self.at_utc += self._tick
        return self.at_utc

    def seconds_until(self, moment_utc: datetime) -> float:
        return max(0.0, (moment_utc - self.at_utc).total_seconds())


@pytest.fixture(autouse=True)
def _ask_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlms_control, "POLL_S", 0.001)


def a_meter(kind: type[DlmsMeter] = DlmsMeter, *, accepts: Any = LLS, **build: Any) -> DlmsMeter:
    return kind(
        device_id="M1",
        household=HOUSEHOLD,
        supply=Supply(),
        clock=TickingClock(),
        accepts=(accepts,),
        build=Build(**build),
    )


@asynccontextmanager
async def serving(device: DlmsMeter) -> AsyncIterator[int]:
    async with await serve_wrapper(device, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def session(
    port: int, how: Login = BY_PASSWORD, scheme: str = "tcp"
) -> AsyncIterator[DlmsReader]:
    async with open_dlms(
        DlmsLine(url=f"{scheme}://127.0.0.1:{port}", client_sap=1, server_sap=1),
        meter_id="M1",
        login=how,
        utc_offset_min=-360,
        rng=random.SystemRandom(),
    ) as reader:
        yield reader


@asynccontextmanager
async def talking_to(device: DlmsMeter) -> AsyncIterator[DlmsReader]:
    async with serving(device) as port, session(port) as reader:
        yield reader


def no_progress(_done: int, _total: int) -> None:
    pass


# -- clock -------------------------------------------------------------------------------------


async def test_a_clock_that_ran_off_is_set_right() -> None:
    device = a_meter(drift_ppm=500)
    device.clock.at_utc += timedelta(days=10)  # type: ignore[attr-defined]  # our own clock
    async with talking_to(device) as reader:
        off = await reader.clock() - device.clock.now_utc()
        await reader.set_clock(device.clock.now_utc())
        left = await reader.clock() - device.clock.now_utc()
    assert timedelta(minutes=7) < off < timedelta(minutes=8)
    assert abs(left) < timedelta(seconds=2)


class StubbornClockMeter(DlmsMeter):
    def set(self, ref: Ref, data: Data) -> AccessResult:
        return AccessResult.SUCCESS if ref == CLOCK_TIME else super().set(ref, data)


async def test_a_clock_that_only_says_it_was_set_is_found_out() -> None:
    async with talking_to(a_meter(StubbornClockMeter)) as reader:
        with pytest.raises(RemoteProtocolError, match="shows"):
            await reader.set_clock(NOW + timedelta(hours=1))


async def test_a_clock_is_set_in_utc() -> None:
    async with talking_to(a_meter()) as reader:
        with pytest.raises(InvalidValueError):
            await reader.set_clock(NOW.replace(tzinfo=None))


# -- supply ------------------------------------------------------------------------------------


async def test_a_premise_that_is_switched_off_draws_nothing_until_it_is_on_again() -> None:
    device = a_meter()
    async with talking_to(device) as reader:
        await reader.switch_supply(on=False)
        assert await reader.supply_state() is SupplyState.DISCONNECTED
        off_wh = (await reader.registers())[0].value
        device.clock.at_utc += timedelta(hours=2)  # type: ignore[attr-defined]  # our own clock
        assert (await reader.registers())[0].value == off_wh
        await reader.switch_supply(on=True)
        assert await reader.supply_state() is SupplyState.CONNECTED
        device.clock.at_utc += timedelta(hours=2)  # type: ignore[attr-defined]  # our own clock
        on_wh = (await reader.registers())[0].value
    assert on_wh > off_wh
    assert on_wh < metered_wh(HOUSEHOLD, Supply(), device.clock.now_utc())


async def test_a_switch_that_takes_a_while_is_waited_for() -> None:
    async with talking_to(a_meter(relay_motion_s=2)) as reader:
        await reader.switch_supply(on=False)
        assert await reader.supply_state() is SupplyState.DISCONNECTED


async def test_a_switch_that_does_not_move_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlms_control, "SWITCH_S_MAX", 0.05)
    async with talking_to(a_meter(relay_motion_s=100_000)) as reader:
        with pytest.raises(ReadTimeoutError, match="switch"):
            await reader.switch_supply(on=False)


class WeldedMeter(DlmsMeter):
    """Its switch says that it is open, and the current flows."""

    def get(self, ref: Ref, access: Access | None) -> Value | AccessResult:
        return Data(Tag.UINT8, 1) if ref == OUTPUT_STATE else super().get(ref, access)


async def test_a_current_that_flows_on_is_told_of_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dlms_control, "SWITCH_S_MAX", 0.05)
    device = a_meter(WeldedMeter)
    async with talking_to(device) as reader:
        for _ in range(2):
            with pytest.raises(ReadTimeoutError, match="switch"):
                await reader.switch_supply(on=False)


async def test_a_meter_that_wants_a_hand_is_made_ready() -> None:
    device = a_meter(relay=ControlMode.RECONNECTED_BY_HAND)
    async with talking_to(device) as reader:
        await reader.switch_supply(on=False)
        await reader.switch_supply(on=True)
        assert await reader.supply_state() is SupplyState.READY
        device.relay.push_button()
        assert await reader.supply_state() is SupplyState.CONNECTED


async def test_a_switch_is_told_but_once() -> None:
    device = a_meter()
    async with talking_to(device) as reader:
        await reader.switch_supply(on=True)
    assert device.log.last_code().as_int() == 0


async def test_a_switch_that_may_not_be_moved_refuses() -> None:
    async with talking_to(a_meter(relay=ControlMode.NONE)) as reader:
        with pytest.raises(AccessRefusedError):
            await reader.switch_supply(on=False)


class SwitchlessMeter(DlmsMeter):
    def get(self, ref: Ref, access: Access | None) -> Value | AccessResult:
        return AccessResult.OBJECT_UNDEFINED if ref.class_id == 70 else super().get(ref, access)


async def test_a_meter_without_a_switch_has_none() -> None:
    async with talking_to(a_meter(SwitchlessMeter)) as reader:
        with pytest.raises(UnsupportedError):
            await reader.supply_state()


# -- firmware ----------------------------------------------------------------------------------


class CountingMeter(DlmsMeter):
    """Counts the blocks it is sent, and how often a transfer begins."""

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        self.asked: list[Ref] = getattr(self, "asked", [])
        self.asked.append(ref)
        return super().action(ref, data)


async def test_firmware_arrives_is_verified_and_runs() -> None:
    device = a_meter(CountingMeter)
    told: list[tuple[int, int]] = []
    async with serving(device) as port:
        async with session(port) as reader:
            await reader.transfer_firmware(
                FIRMWARE, "QNC-2.0.0", lambda *progress: told.append(progress)
            )
            await reader.activate_firmware("QNC-2.0.0")
        with pytest.raises(TransportError):
            async with session(port):
                pass
        device.clock.at_utc += timedelta(seconds=10)  # type: ignore[attr-defined]  # our own clock
        async with session(port) as reader:
            assert (await reader.identify()).firmware == "QNC-2.0.0"
    assert told == [(done, 313) for done in range(1, 314)]


class BrokenOffError(Exception):
    pass


async def test_an_interrupted_transfer_goes_on_with_the_missing_blocks_alone() -> None:
    device: Any = a_meter(CountingMeter)

    def break_off(done: int, _total: int) -> None:
        if done == 150:
            raise BrokenOffError

    async with serving(device) as port:
        with pytest.raises(BrokenOffError):
            async with session(port) as reader:
                await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", break_off)
        device.asked.clear()
        async with session(port) as reader:
            await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
    assert device.asked.count(images.BLOCK_TRANSFER) == 313 - 150
    assert images.INITIATE not in device.asked


async def test_blocks_that_get_lost_are_sent_again() -> None:
    device: Any = a_meter(CountingMeter, loses_blocks=(0, 7, 312))
    async with talking_to(device) as reader:
        await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
    assert device.asked.count(images.BLOCK_TRANSFER) == 313 + 3


async def test_a_verified_image_is_not_sent_again() -> None:
    device: Any = a_meter(CountingMeter)
    told: list[tuple[int, int]] = []
    async with talking_to(device) as reader:
        await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
        device.asked.clear()
        await reader.transfer_firmware(
            FIRMWARE, "QNC-2.0.0", lambda *progress: told.append(progress)
        )
    assert device.asked == []
    assert told == [(313, 313)]


async def test_a_wrong_image_is_refused_when_it_is_verified() -> None:
    async with talking_to(a_meter()) as reader:
        with pytest.raises(RemoteProtocolError, match="VERIFICATION_FAILED"):
            await reader.transfer_firmware(FIRMWARE[:-1] + b"\0", "QNC-2.0.0", no_progress)
        with pytest.raises(RemoteProtocolError, match="no verified image"):
            await reader.activate_firmware("QNC-2.0.0")


async def test_another_image_than_the_verified_one_is_not_activated() -> None:
    device: Any = a_meter()
    async with talking_to(device) as reader:
        await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
        with pytest.raises(RemoteProtocolError, match="is not QNC-3"):
            await reader.activate_firmware("QNC-3")
    assert device.get(FIRMWARE_ID, None).as_octets() != b"QNC-2.0.0"


async def test_behind_a_wrong_image_the_right_one_is_sent_whole() -> None:
    device: Any = a_meter(CountingMeter)
    async with talking_to(device) as reader:
        with pytest.raises(RemoteProtocolError):
            await reader.transfer_firmware(FIRMWARE[:-1] + b"\0", "QNC-2.0.0", no_progress)
        device.asked.clear()
        await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
    assert device.asked.count(images.BLOCK_TRANSFER) == 313


async def test_an_image_of_another_length_that_had_begun_is_forgotten() -> None:
    device: Any = a_meter(CountingMeter)

    def break_off(_done: int, _total: int) -> None:
        raise BrokenOffError

    async with talking_to(device) as reader:
        with pytest.raises(BrokenOffError):
            await reader.transfer_firmware(FIRMWARE[:1000], "QNC-1.5.0", break_off)
        await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
    assert device.asked.count(images.INITIATE) == 2


async def test_an_image_that_another_session_had_sent_whole_does_not_pass_for_ours() -> None:
    device: Any = a_meter(CountingMeter)
    other = seal_firmware(random.Random(5).randbytes(40_000))

    def break_off_behind_the_last(done: int, _total: int) -> None:
        if done == 313:
            raise BrokenOffError

    async with talking_to(device) as reader:
        with pytest.raises(BrokenOffError):
            await reader.transfer_firmware(other, "QNC-1.5.0", break_off_behind_the_last)
        with pytest.raises(RemoteProtocolError, match="another image"):
            await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
        await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
        await reader.activate_firmware("QNC-2.0.0")
    assert device.get(FIRMWARE_ID, None).as_octets() == b"QNC-2.0.0"


async def test_a_verification_that_an_earlier_session_began_is_waited_for() -> None:
    device: Any = a_meter(CountingMeter, verify_s=20)
    async with talking_to(device) as reader:
        with pytest.MonkeyPatch.context() as impatient:
            impatient.setattr(dlms_control, "VERIFY_S_MAX", 0.0)
            with pytest.raises(ReadTimeoutError):
                await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
        device.asked.clear()
        await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
    assert device.asked == []


class DroppingMeter(DlmsMeter):
    """Starts its new firmware before it has answered."""

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        result = super().action(ref, data)
        if ref == images.ACTIVATE:
            raise ConnectionResetError
        return result


async def test_a_line_that_the_activation_drops_was_activated() -> None:
    async with talking_to(a_meter(DroppingMeter)) as reader:
        await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
        await reader.activate_firmware("QNC-2.0.0")


async def test_a_line_that_falls_silent_behind_the_activation_was_activated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device: Any = a_meter()
    async with (
        await serve_hdlc(device, "127.0.0.1", 0) as server,
        session(server.sockets[0].getsockname()[1], scheme="hdlc+tcp") as reader,
    ):
        await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
        monkeypatch.setattr(dlms_dialogue, "ANSWER_S_MAX", 0.02)
        monkeypatch.setattr(dlms_dialogue, "SILENCE_S_MAX", 0.02)
        monkeypatch.setattr(ServerSession, "receive", fall_silent_at_the_activation(device))
        await reader.activate_firmware("QNC-2.0.0")
    assert device.get(FIRMWARE_ID, None).as_octets() == b"QNC-2.0.0"


def fall_silent_at_the_activation(device: Any) -> Callable[[ServerSession, bytes], bytes]:
    """Answer nothing any more, as a meter on a serial line that starts anew; there is no end."""
    receive = ServerSession.receive

    def receive_or_not(session: ServerSession, data: bytes) -> bytes:
        answer = receive(session, data)
        if device.get(FIRMWARE_ID, None).as_octets() != b"QNC-2.0.0":
            return answer
        device._restarted_utc = None
        return b""

    return receive_or_not


class HaughtyMeter(DlmsMeter):
    """Looks at no image."""

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        if ref == images.VERIFY:
            return AccessResult.OTHER_REASON, None
        return super().action(ref, data)


async def test_a_meter_that_does_not_even_verify_refuses_the_image() -> None:
    async with talking_to(a_meter(HaughtyMeter)) as reader:
        with pytest.raises(RemoteProtocolError, match="OTHER_REASON"):
            await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)


class RoundingMeter(DlmsMeter):
    """Counts one block too few."""

    def get(self, ref: Ref, access: Access | None) -> Value | AccessResult:
        if ref == images.BLOCKS_STATUS:
            return Data(Tag.BIT_STRING, (False,))
        return super().get(ref, access)


async def test_a_meter_that_counts_other_blocks_is_told_of() -> None:
    async with talking_to(a_meter(RoundingMeter)) as reader:
        with pytest.raises(RemoteProtocolError, match="other blocks"):
            await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)


class ForgetfulMeter(CountingMeter):
    """Acknowledges every block and keeps none."""

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        self.asked = getattr(self, "asked", [])
        self.asked.append(ref)
        if ref == images.BLOCK_TRANSFER:
            return AccessResult.SUCCESS, None
        return DlmsMeter.action(self, ref, data)


async def test_a_meter_that_keeps_no_block_is_given_up() -> None:
    device: Any = a_meter(ForgetfulMeter)
    async with talking_to(device) as reader:
        with pytest.raises(RemoteProtocolError, match="again and again"):
            await reader.transfer_firmware(FIRMWARE[:1000], "QNC-2.0.0", no_progress)
    assert device.asked.count(images.BLOCK_TRANSFER) == 8 * dlms_control.PASSES_MAX


class BusyMeter(CountingMeter):
    """Has no time for every other block at first."""

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        self.busy = not getattr(self, "busy", False)
        if ref == images.BLOCK_TRANSFER and self.busy:
            return AccessResult.TEMPORARY_FAILURE, None
        return super().action(ref, data)


async def test_a_busy_meter_is_asked_again() -> None:
    device: Any = a_meter(BusyMeter)
    async with talking_to(device) as reader:
        await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)
    assert device.asked.count(images.BLOCK_TRANSFER) == 313


async def test_a_verification_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlms_control, "VERIFY_S_MAX", 0.05)
    async with talking_to(a_meter(verify_s=1_000_000)) as reader:
        with pytest.raises(ReadTimeoutError, match="verification"):
            await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)


class ImagelessMeter(DlmsMeter):
    def get(self, ref: Ref, access: Access | None) -> Value | AccessResult:
        return AccessResult.OBJECT_UNDEFINED if ref.class_id == 18 else super().get(ref, access)


async def test_a_meter_that_takes_no_images_says_so() -> None:
    async with talking_to(a_meter(ImagelessMeter)) as reader:
        with pytest.raises(UnsupportedError):
            await reader.transfer_firmware(FIRMWARE, "QNC-2.0.0", no_progress)


# -- keys --------------------------------------------------------------------------------------


def gmac_meter() -> DlmsMeter:
    title = b"QNM\0\0\0\0\1"
    return a_meter(accepts=Gmac(system_title=title, keys=KEYS, counters=MemoryCounters()))


def our_login(keys: Keys, counters: CounterStore) -> Login:
    return login(
        Gmac(system_title=OUR_TITLE, keys=keys, counters=MemoryCounters()), counters, meter_id="M1"
    )


@pytest.mark.parametrize("key", list(MeterKey))
async def test_a_changed_key_opens_the_next_session(tmp_path: Path, key: MeterKey) -> None:
    new = b"\xaa" * 16
    with CounterStore(tmp_path / "counters.db") as counters:
        ours = login(
            Gmac(system_title=OUR_TITLE, keys=KEYS, counters=MemoryCounters()),
            counters,
            meter_id="M1",
        )
        async with serving(gmac_meter()) as port:
            async with session(port, ours) as reader:
                await reader.change_key(key, new)
            async with session(port, ours) as reader:
                await reader.change_key(MeterKey.MASTER, b"\xbb" * 16)
            async with session(port, ours) as reader:
                assert (await reader.identify()).serial == "M1"


@pytest.mark.parametrize("key", [MeterKey.ENCRYPTION, MeterKey.AUTHENTICATION])
async def test_the_old_key_opens_nothing_any_more(tmp_path: Path, key: MeterKey) -> None:
    with CounterStore(tmp_path / "counters.db") as counters:
        ours = login(
            Gmac(system_title=OUR_TITLE, keys=KEYS, counters=MemoryCounters()),
            counters,
            meter_id="M1",
        )
        stale = login(
            Gmac(system_title=OUR_TITLE, keys=KEYS, counters=MemoryCounters()),
            counters,
            meter_id="of a file that was not told",
        )
        async with serving(gmac_meter()) as port:
            async with session(port, ours) as reader:
                await reader.change_key(key, b"\xaa" * 16)
            with pytest.raises(AuthenticationError):
                async with session(port, stale):
                    pass


class SilencedMeter(DlmsMeter):
    """Takes a key, or does not, and drops the line before it has said so."""

    takes_it = True

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        if ref != KEY_TRANSFER:
            return super().action(ref, data)
        if self.takes_it:
            super().action(ref, data)
        raise ConnectionResetError


class DeafMeter(SilencedMeter):
    """Never heard of the key."""

    takes_it = False


@pytest.mark.parametrize("kind", [SilencedMeter, DeafMeter])
async def test_a_key_change_whose_answer_was_lost_heals_by_itself(
    tmp_path: Path, kind: type[DlmsMeter]
) -> None:
    meter_proof = Gmac(system_title=b"QNM\0\0\0\0\1", keys=KEYS, counters=MemoryCounters())
    with CounterStore(tmp_path / "counters.db") as counters:
        ours = our_login(KEYS, counters)
        async with serving(a_meter(kind, accepts=meter_proof)) as port:
            with pytest.raises(TransportError):
                async with session(port, ours) as reader:
                    await reader.change_key(MeterKey.ENCRYPTION, b"\xaa" * 16)
            said = [await serial_or_error(port, ours) for _ in range(4)]
    assert said[1:] == ["M1", "M1", "M1"]


async def serial_or_error(port: int, ours: Login) -> str:
    try:
        async with session(port, ours) as reader:
            return (await reader.identify()).serial
    except QuinceError as error:
        return error.code


async def test_behind_a_key_change_the_session_is_over(tmp_path: Path) -> None:
    with CounterStore(tmp_path / "counters.db") as counters:
        ours = login(
            Gmac(system_title=OUR_TITLE, keys=KEYS, counters=MemoryCounters()),
            counters,
            meter_id="M1",
        )
        async with serving(gmac_meter()) as port, session(port, ours) as reader:
            await reader.change_key(MeterKey.ENCRYPTION, b"\xaa" * 16)
            with pytest.raises(LocalProtocolError, match="another session"):
                await reader.clock()


async def test_a_key_that_the_meter_does_not_take_changes_nothing_here(tmp_path: Path) -> None:
    wrong = Keys(
        encryption=KEYS.encryption, authentication=KEYS.authentication, master=b"\xcc" * 16
    )
    with CounterStore(tmp_path / "counters.db") as counters:
        ours = login(
            Gmac(system_title=OUR_TITLE, keys=wrong, counters=MemoryCounters()),
            counters,
            meter_id="M1",
        )
        async with serving(gmac_meter()) as port:
            async with session(port, ours) as reader:
                with pytest.raises(AccessRefusedError):
                    await reader.change_key(MeterKey.ENCRYPTION, b"\xaa" * 16)
                assert (await reader.identify()).serial == "M1"
            async with session(port, ours) as reader:
                assert (await reader.identify()).serial == "M1"


async def test_a_key_of_another_length_is_refused_before_it_travels(tmp_path: Path) -> None:
    with CounterStore(tmp_path / "counters.db") as counters:
        ours = login(
            Gmac(system_title=OUR_TITLE, keys=KEYS, counters=MemoryCounters()),
            counters,
            meter_id="M1",
        )
        async with serving(gmac_meter()) as port, session(port, ours) as reader:
            with pytest.raises(InvalidValueError):
                await reader.change_key(MeterKey.ENCRYPTION, b"\xaa" * 15)


async def test_without_a_master_key_no_key_is_changed() -> None:
    async with talking_to(a_meter()) as reader:
        with pytest.raises(UnsupportedError):
            await reader.change_key(MeterKey.ENCRYPTION, b"\xaa" * 16)
