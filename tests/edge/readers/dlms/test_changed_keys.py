"""A meter's key is not lost with an answer, nor with the gateway that asked for it."""

import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from tests.clocks import StoppedClock

from quince.edge.errors import TransportError
from quince.edge.readers.dlms.changed_keys import MASTERS_MAX, HeldKeys
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import login
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.server import serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.model.errors import QuinceError
from quince.model.meter_key import MeterKey
from quince.protocols.dlms.cosem.security_setup import KEY_TRANSFER
from quince.protocols.dlms.errors import AccessRefusedError, AuthenticationError
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Gmac
from quince.protocols.dlms.security.suite import Keys

KEYS = Keys(encryption=b"e" * 16, authentication=b"a" * 16, master=b"m" * 16)
NEW, NEWER = b"n" * 16, b"N" * 16


class MuteMeter(DlmsMeter):
    """Takes a key and drops the line before it has said so, while it is `mute`."""

    mute = True
    takes_it = True

    def action(self, ref, data):
        if ref != KEY_TRANSFER or not self.mute:
            return super().action(ref, data)
        if self.takes_it:
            super().action(ref, data)
        raise ConnectionResetError


@pytest.fixture
async def meter():
    own = Gmac(system_title=b"QNM\0\0\0\0\1", keys=KEYS, counters=MemoryCounters())
    return MuteMeter(
        device_id="M1",
        household=Household(seed=1),
        supply=Supply(),
        clock=StoppedClock(datetime(2026, 5, 2, 6, 5, tzinfo=UTC)),
        accepts=(own,),
    )


@pytest.fixture
async def port(meter):
    async with await serve_wrapper(meter, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def start(tmp_path, port):
    """Start a gateway: its file is opened anew, and its sessions begin with what is in there."""

    @asynccontextmanager
    async def started(keys=KEYS):
        with CounterStore(tmp_path / "counters.db") as counters:
            ours = Gmac(system_title=b"QNG\0\0\0\0\1", keys=keys, counters=MemoryCounters())
            who = login(ours, counters, meter_id="M1")
            yield lambda: open_dlms(
                DlmsLine(url=f"tcp://127.0.0.1:{port}", client_sap=1, server_sap=1),
                meter_id="M1",
                login=who,
                utc_offset_min=-360,
                rng=random.SystemRandom(),
            )

    return started


async def change(session, key, new):
    async with session() as reader:
        await reader.change_key(key, new)


async def serial(session):
    """Return the serial, at the second try at the latest: the first may have the wrong key."""
    try:
        async with session() as reader:
            return (await reader.identify()).serial
    except QuinceError:
        async with session() as reader:
            return (await reader.identify()).serial


@pytest.mark.parametrize("key", [MeterKey.ENCRYPTION, MeterKey.AUTHENTICATION])
@pytest.mark.parametrize("takes_it", [True, False])
async def test_a_gateway_that_died_before_the_answer_finds_the_key(start, meter, key, takes_it):
    meter.takes_it = takes_it
    async with start() as session:
        with pytest.raises(TransportError):
            await change(session, key, NEW)
    async with start() as session:
        assert await serial(session) == "M1"
    async with start() as session, session() as reader:  # at the first try: it was settled
        assert (await reader.identify()).serial == "M1"


@pytest.mark.parametrize("takes_it", [True, False])
async def test_which_master_key_it_is_shows_at_the_next_change(start, meter, takes_it):
    meter.takes_it = takes_it
    async with start() as session:
        with pytest.raises(TransportError):
            await change(session, MeterKey.MASTER, NEW)
    meter.mute = False
    async with start() as session:
        assert await serial(session) == "M1"
        outcomes = [await outcome(session, NEWER) for _ in range(2)]
    assert "changed" in outcomes
    async with start() as session, session() as reader:
        assert (await reader.identify()).serial == "M1"


async def outcome(session, new):
    try:
        await change(session, MeterKey.ENCRYPTION, new)
    except QuinceError as error:
        return error.code
    return "changed"


async def test_a_key_the_meter_refuses_is_forgotten(start, meter):
    meter.mute = False
    wrong = Keys(encryption=b"e" * 16, authentication=b"a" * 16, master=b"w" * 16)
    async with start(wrong) as session:
        for key in MeterKey:
            with pytest.raises(AccessRefusedError):
                await change(session, key, NEW)
    async with start(wrong) as session, session() as reader:
        assert (await reader.identify()).serial == "M1"


async def test_a_configuration_that_says_other_keys_outranks_what_was_changed(start, meter):
    meter.mute = False
    async with start() as session:
        await change(session, MeterKey.ENCRYPTION, NEW)
    stale = Keys(encryption=b"x" * 16, authentication=b"a" * 16, master=b"m" * 16)
    async with start(stale) as session:
        with pytest.raises(AuthenticationError):
            async with session():
                pass
    rewritten = Keys(encryption=NEW, authentication=b"a" * 16, master=b"m" * 16)
    async with start(rewritten) as session, session() as reader:
        assert (await reader.identify()).serial == "M1"


async def test_a_key_that_another_process_changed_opens_the_next_session(start, meter):
    meter.mute = False
    async with start() as agents, start() as technicians:
        await change(technicians, MeterKey.ENCRYPTION, NEW)
        async with agents() as reader:
            assert (await reader.identify()).serial == "M1"


def test_the_file_of_changed_keys_is_for_its_owners_eyes_alone(tmp_path):
    (tmp_path / "counters.db").touch(mode=0o644)
    with CounterStore(tmp_path / "counters.db") as counters:
        counters.changed_keys.remember("M1", KEYS, HeldKeys(keys=KEYS))
        modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {0o600}


def test_doubts_about_a_master_key_have_a_bound():
    held = HeldKeys(keys=KEYS)
    for number in range(MASTERS_MAX + 3):
        held = held.doubting(MeterKey.MASTER, bytes([number]) * 16)
    assert len(held.other_masters) == MASTERS_MAX


def test_every_master_key_in_doubt_has_its_turn():
    held = HeldKeys(keys=KEYS, other_masters=(NEW, NEWER))
    turns = [held.keys.master]
    for _ in range(3):
        held = held.swapped()
        turns.append(held.keys.master)
    assert turns == [b"m" * 16, NEW, NEWER, b"m" * 16]


def test_what_is_held_shows_no_key():
    held = HeldKeys(keys=KEYS, other=KEYS, other_masters=(NEW,))
    assert "b'" not in repr(held)
