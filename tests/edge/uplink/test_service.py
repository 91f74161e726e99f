import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
from tests.clocks import StoppedClock

from quince.edge.errors import LinkError
from quince.edge.outbox.store import Outbox, Round
from quince.edge.uplink.contact import Contact
from quince.edge.uplink.rules import (
    BULK_UNCONFIRMED_MAX,
    BURST_S,
    OCTETS_PER_S,
    OVERHEAD_OCTETS,
    UNCONFIRMED_MAX,
)
from quince.edge.uplink.service import TWIN_CHECK_S, Uplink
from quince.model.interval import IntervalSeries, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality
from quince.protocols.gateway.messages import (
    Content,
    Watermark,
    decode_uplink,
    encode_ack,
)
from quince.protocols.gateway.topics import GatewayAddress, Lane, Way

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
ADDRESS = GatewayAddress(cell="c", gateway="g")


class FakeLink:
    """A broker session whose far end the test plays."""

    def __init__(self):
        self.sent = []
        self.epochs = []
        self.down: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def publish(self, topic, payload, *, retain=False):
        assert not retain
        envelope, _ = decode_uplink(payload)
        self.epochs.append(envelope.epoch)
        self.sent.append((topic, envelope.lane, envelope.seq, envelope.oldest_seq))

    async def receive(self):
        topic, payload = await self.down.get()
        if topic == "cut":
            raise LinkError("cut by the test")
        return topic, payload

    def seqs(self):
        return [seq for _, _, seq, _ in self.sent]

    def lanes(self):
        return [lane for _, lane, _, _ in self.sent]


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


async def play(outbox, script, link=None, **options):
    link = link or FakeLink()
    uplink = Uplink(outbox, ADDRESS, StoppedClock(NOON), **options)
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


@pytest.mark.parametrize("turns", range(6))
def test_a_session_that_breaks_while_something_new_comes_ends(outbox, in_virtual_time, turns):
    async def break_it():
        link, uplink = FakeLink(), Uplink(outbox, ADDRESS, StoppedClock(NOON))
        running = asyncio.create_task(uplink.run(link))
        await asyncio.sleep(1)
        uplink.stir()
        for _ in range(turns):
            await asyncio.sleep(0)
        link.down.put_nowait(("cut", b""))
        return await asyncio.wait([running], timeout=100)

    ((session,), _) = in_virtual_time(break_it())
    assert isinstance(session.exception(), ExceptionGroup)


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
    """A link whose broker takes a second to confirm."""

    async def publish(self, topic, payload, *, retain=False):
        await super().publish(topic, payload, retain=retain)
        await asyncio.sleep(1)


def test_a_stream_renewed_in_the_middle_of_a_send_is_not_mixed_with_the_old(
    outbox, in_virtual_time
):
    put(outbox, Lane.LIVE, 1, 2, 3, 4, 5)
    outbox.acknowledge(Watermark(epoch=outbox.epoch, lane=Lane.LIVE, upto=2))
    before = outbox.epoch

    async def script(link, _uplink):
        await asyncio.sleep(0.5)
        link.down.put_nowait(ack(outbox, 99))
        await asyncio.sleep(5)

    link = in_virtual_time(play(outbox, script, SlowLink()))
    assert link.seqs() == [3, 4, 5, 1, 2, 3]
    assert link.epochs == [before] * 3 + [outbox.epoch] * 3


class DeafLink(FakeLink):
    """A link whose broker has stopped confirming."""

    async def publish(self, topic, payload, *, retain=False):
        await super().publish(topic, payload, retain=retain)
        await asyncio.get_running_loop().create_future()


def test_a_broker_that_stops_confirming_still_gets_events(outbox, in_virtual_time):
    put(outbox, Lane.LIVE, *range(64))

    async def script(_link, uplink):
        await asyncio.sleep(1)
        put(outbox, Lane.EVENTS, 1)
        uplink.stir()
        await asyncio.sleep(1)

    link = in_virtual_time(play(outbox, script, DeafLink()))
    assert link.lanes() == [Lane.LIVE] * BULK_UNCONFIRMED_MAX + [Lane.EVENTS]


class NarrowLink(FakeLink):
    """A link that carries a message for forty seconds."""

    async def publish(self, topic, payload, *, retain=False):
        await super().publish(topic, payload, retain=retain)
        await asyncio.sleep(40)


def test_what_a_narrow_link_still_carries_is_not_sent_again(outbox, in_virtual_time):
    put(outbox, Lane.RESULTS, 1, 2)

    async def script(link, _uplink):
        await asyncio.sleep(1)
        link.down.put_nowait(ack(outbox, 1, Lane.RESULTS))
        await asyncio.sleep(45)

    assert in_virtual_time(play(outbox, script, NarrowLink())).seqs() == [1, 2]


def test_no_more_is_handed_over_than_a_broker_takes_unconfirmed(outbox, in_virtual_time):
    put(outbox, Lane.EVENTS, *range(64))

    async def script(_link, _uplink):
        await asyncio.sleep(1)

    link = in_virtual_time(play(outbox, script, DeafLink()))
    assert link.seqs() == list(range(1, UNCONFIRMED_MAX + 1))


class BusyLink(FakeLink):
    """A link over which something urgent happens while the tenth message goes out."""

    def __init__(self, outbox, urgent):
        super().__init__()
        self.outbox, self.urgent = outbox, urgent

    async def publish(self, topic, payload, *, retain=False):
        await super().publish(topic, payload, retain=retain)
        if len(self.sent) == 10:
            put(self.outbox, self.urgent, 1)


@pytest.mark.parametrize("urgent", [Lane.EVENTS, Lane.RESULTS])
def test_something_urgent_goes_out_before_the_next_of_the_backlog(outbox, in_virtual_time, urgent):
    put(outbox, Lane.LIVE, *range(64))

    async def script(_link, _uplink):
        await asyncio.sleep(1)

    link = in_virtual_time(play(outbox, script, BusyLink(outbox, urgent)))
    assert link.lanes() == [Lane.LIVE] * 10 + [urgent] + [Lane.LIVE] * 54


def put_large(outbox, lane, count):
    quarters = 2_000
    series = IntervalSeries(
        meter_id="m",
        obis=ACTIVE_IMPORT_REGISTER,
        start_utc=NOON,
        values=tuple(i * i * 7_919 % 10**6 for i in range(quarters)),
        quality=(Quality.GOOD,) * quarters,
    )
    for _ in range(count):
        outbox.record(Round(messages=((lane, Content(series=(series,))),)))


@pytest.mark.parametrize("lane", [Lane.LIVE, Lane.BACKFILL])
def test_a_backlog_keeps_to_the_octets_a_second_of_its_lane(outbox, in_virtual_time, lane):
    put_large(outbox, lane, 60)
    octets = len(next(iter(outbox.messages())).body)

    async def script(_link, _uplink):
        await asyncio.sleep(4.9)

    sent = len(in_virtual_time(play(outbox, script, FakeLink())).sent)
    allowed = (4.9 + BURST_S) * OCTETS_PER_S[lane] / (octets + OVERHEAD_OCTETS)
    assert allowed - 2 < sent < allowed + 2
    assert sent < 60


def test_an_event_waits_for_no_pace(outbox, in_virtual_time):
    put_large(outbox, Lane.BACKFILL, 60)
    sent = []

    async def script(link, uplink):
        await asyncio.sleep(4)
        sent.append(len(link.sent))
        put(outbox, Lane.EVENTS, 1)
        uplink.stir()
        await asyncio.sleep(0.001)
        sent.extend(link.lanes()[sent[0] :])

    in_virtual_time(play(outbox, script))
    assert 4 < sent[0] < 60
    assert sent[1] == Lane.EVENTS


class TwinLink(FakeLink):
    """A link on which nothing but the twin is sent."""

    async def publish(self, topic, payload, *, retain=False):
        self.sent.append((topic, payload, retain, None))


def test_the_twin_is_retained_and_told_again_only_when_it_changes(outbox, in_virtual_time):
    twins = [b"one"]

    async def script(_link, _uplink):
        await asyncio.sleep(3 * TWIN_CHECK_S)
        twins.append(b"two")
        await asyncio.sleep(3 * TWIN_CHECK_S)

    link = in_virtual_time(play(outbox, script, TwinLink(), twin=lambda: twins[-1]))
    topic = ADDRESS.up(Way.TWIN)
    assert link.sent == [(topic, b"one", True, None), (topic, b"two", True, None)]


async def test_contact_says_since_when_and_why_not(outbox):
    clock = StoppedClock(NOON)
    uplink = Uplink(outbox, ADDRESS, clock)
    assert uplink.contact == Contact(since_utc=None)
    uplink.note_contact(reason="refused")
    clock.now += timedelta(hours=1)
    uplink.note_contact(reason="no route")
    assert uplink.contact == Contact(since_utc=NOON, reason="no route")
    uplink.note_contact(version="V5")
    assert uplink.contact == Contact(since_utc=NOON + timedelta(hours=1), version="V5")
    assert uplink.contact.online


def test_the_last_watermark_of_this_stream_is_remembered(outbox, in_virtual_time):
    put(outbox, Lane.LIVE, 1)
    seen = []

    async def script(link, uplink):
        seen.append(uplink.last_ack_utc)
        link.down.put_nowait(ack(outbox, 1))
        await asyncio.sleep(1)
        seen.append(uplink.last_ack_utc)

    in_virtual_time(play(outbox, script, FakeLink()))
    assert seen == [None, NOON]
