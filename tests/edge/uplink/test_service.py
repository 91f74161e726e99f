import asyncio
import random
from datetime import UTC, datetime

import pytest

from quince.edge.errors import LinkError
from quince.edge.outbox.store import Outbox, Round
from quince.edge.uplink.service import Uplink
from quince.model.interval import RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.gateway.messages import (
    Content,
    Watermark,
    decode_uplink,
    encode_ack,
)
from quince.protocols.gateway.topics import GatewayAddress, Lane

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
ADDRESS = GatewayAddress(cell="c", gateway="g")


class StoppedClock:
    def now_utc(self):
        return NOON

    def seconds_until(self, moment_utc):
        return (moment_utc - NOON).total_seconds()


class FakeLink:
    """A broker session whose far end the test plays."""

    def __init__(self):
        self.sent = []
        self.down: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def publish(self, topic, payload):
        envelope, _ = decode_uplink(payload)
        self.sent.append((topic, envelope.lane, envelope.seq, envelope.oldest_seq))

    async def receive(self):
        topic, payload = await self.down.get()
        if topic == "cut":
            raise LinkError("cut by the test")
        return topic, payload

    def seqs(self):
        return [seq for _, _, seq, _ in self.sent]


@pytest.fixture
def outbox(tmp_path):
    with Outbox(tmp_path / "outbox.db", random.Random(1)) as opened:
        yield opened


def put(outbox, lane, *values):
    readings = [
        RegisterReading(meter_id="M1", obis=ACTIVE_IMPORT_REGISTER, at_utc=NOON, value=value)
        for value in values
    ]
    outbox.record(Round(messages=tuple((lane, Content(readings=(r,))) for r in readings)))


async def play(outbox, script):
    link, uplink = FakeLink(), Uplink(outbox, ADDRESS, StoppedClock())
    running = asyncio.create_task(uplink.run(link))
    await script(link, uplink)
    link.down.put_nowait(("cut", b""))
    with pytest.raises(ExceptionGroup):
        await running
    return link


@pytest.fixture
def session(outbox, in_virtual_time):
    """Run one session of the uplink along a script, and return what its link saw."""
    return lambda script: in_virtual_time(play(outbox, script))


def ack(outbox, upto, lane=Lane.LIVE):
    return ADDRESS.ack, encode_ack(Watermark(epoch=outbox.epoch, lane=lane, upto=upto))


def test_events_go_before_intervals_and_live_before_backfill(outbox, session):
    put(outbox, Lane.BACKFILL, 1)
    put(outbox, Lane.LIVE, 2)
    put(outbox, Lane.EVENTS, 3)

    async def script(_link, _uplink):
        await asyncio.sleep(1)

    link = session(script)
    assert [lane for _, lane, _, _ in link.sent] == [Lane.EVENTS, Lane.LIVE, Lane.BACKFILL]
    assert link.sent[0][0].endswith("/up/ev")


def test_a_watermark_empties_the_outbox(outbox, session):
    put(outbox, Lane.LIVE, 1, 2)

    async def script(link, _uplink):
        await asyncio.sleep(1)
        link.down.put_nowait(ack(outbox, 2))
        await asyncio.sleep(1)

    session(script)
    assert outbox.count == 0


def test_without_a_watermark_everything_is_sent_again(outbox, session):
    put(outbox, Lane.LIVE, 1, 2)

    async def script(_link, _uplink):
        await asyncio.sleep(14)

    link = session(script)
    assert link.seqs() == [1, 2, 1, 2]


def test_a_new_session_starts_from_the_watermark(outbox, session):
    put(outbox, Lane.LIVE, 1, 2)

    async def script(link, _uplink):
        await asyncio.sleep(1)
        link.down.put_nowait(ack(outbox, 1))
        await asyncio.sleep(1)

    session(script)
    again = session(script)
    assert again.sent[0][2:] == (2, 2)


def test_a_window_of_messages_is_in_flight_at_most(outbox, session):
    put(outbox, Lane.LIVE, *range(100))

    async def script(link, _uplink):
        await asyncio.sleep(1)
        assert link.seqs() == list(range(1, 65))
        link.down.put_nowait(ack(outbox, 64))
        await asyncio.sleep(1)

    link = session(script)
    assert link.seqs() == list(range(1, 101))


def test_something_new_goes_out_when_the_agent_stirs(outbox, session):
    async def script(_link, uplink):
        await asyncio.sleep(0.1)
        put(outbox, Lane.LIVE, 1)
        uplink.stir()
        await asyncio.sleep(0.01)

    link = session(script)
    assert link.seqs() == [1]


def test_noise_on_the_down_topics_is_not_fatal(outbox, session):
    put(outbox, Lane.LIVE, 1)

    async def script(link, _uplink):
        link.down.put_nowait((ADDRESS.ack, b"\xff"))
        link.down.put_nowait(("quince/v1/c/other/down/ack", b""))
        link.down.put_nowait(ack(outbox, 1))
        await asyncio.sleep(1)

    session(script)
    assert outbox.count == 0


def test_a_watermark_beyond_the_outbox_renews_the_stream_and_sends_again(outbox, session):
    put(outbox, Lane.LIVE, 1)
    epoch = outbox.epoch

    async def script(link, _uplink):
        await asyncio.sleep(1)
        link.down.put_nowait(ack(outbox, 9))
        await asyncio.sleep(3)

    link = session(script)
    assert outbox.epoch != epoch
    assert link.seqs() == [1, 1]


class SlowLink(FakeLink):
    """A link on which every publish takes a second."""

    async def publish(self, topic, payload):
        await asyncio.sleep(1)
        await super().publish(topic, payload)


def test_a_stream_renewed_in_the_middle_of_a_send_is_not_mixed_with_the_old(
    outbox, in_virtual_time
):
    put(outbox, Lane.LIVE, 1, 2, 3, 4, 5)
    outbox.acknowledge(Watermark(epoch=outbox.epoch, lane=Lane.LIVE, upto=2))

    async def renew_while_sending():
        link, uplink = SlowLink(), Uplink(outbox, ADDRESS, StoppedClock())
        running = asyncio.create_task(uplink.run(link))
        await asyncio.sleep(0.5)
        link.down.put_nowait(ack(outbox, 99))
        await asyncio.sleep(10)
        link.down.put_nowait(("cut", b""))
        with pytest.raises(ExceptionGroup):
            await running
        return link.seqs()

    assert in_virtual_time(renew_while_sending()) == [3, 1, 2, 3]
