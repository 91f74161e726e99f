"""Law 1 and its neighbours: what the edge accepted is in the head-end once, true and unchanged.

Every hour of a day is checked while it passes; `ledger.py` says what must hold.
"""

from dataclasses import replace

import pytest
from tests.simulation.meters import ROLLING, SAMPLED, ProfiledReader
from tests.simulation.network import GatewayLink
from tests.simulation.processes import ADDRESS
from tests.simulation.world import DAY, NO_FAULTS, place_of

from quince.edge.agent import samples
from quince.protocols.gateway.messages import Watermark, decode_uplink, encode_ack

SLOTS_A_DAY = 96
QUIET_SLOTS = 7  # of the evening behind it: it ends before its last border is read
TROUBLES = {
    *("lost_up", "lost_down", "held_back_up", "held_back_down", "partitioned", "link_broke"),
    *("crashed", "power_lost", "crash_before_puback", "crash_before_watermark"),
    *("broker_forgot", "clock_jumped", "clock_put_right", "disk_full", "read_failed", "swap_told"),
}


def test_a_bad_day_loses_nothing_and_invents_nothing(simulated_day, seed):
    _, ledger = simulated_day(seed)
    assert ledger.stored == ledger.accepted


def test_the_bad_day_was_bad(simulated_day):
    world, _ = simulated_day(1)
    assert TROUBLES - world.counts.keys() == set()


def test_a_good_day_has_every_interval_of_the_sampled_meters_but_the_exchange(simulated_day):
    _, ledger = simulated_day(4, NO_FAULTS)
    found = [meter_id for meter_id, _ in ledger.stored]
    assert found.count(ROLLING) == SLOTS_A_DAY + QUIET_SLOTS
    assert found.count(SAMPLED) == SLOTS_A_DAY + QUIET_SLOTS - 1


def test_a_quarter_of_the_days_each_loses_or_gains_an_hour():
    hours = [(p.end_utc - p.start_utc).total_seconds() / 3600 for p in map(place_of, range(4))]
    assert hours == [24, 23, 24, 25]


def test_the_same_seed_gives_the_same_trace(simulated_day):
    assert simulated_day(3)[0].trace == simulated_day(3)[0].trace


def test_another_seed_gives_another_trace(simulated_day):
    assert simulated_day(3)[0].trace != simulated_day(4)[0].trace


# --- what would break a law is noticed -------------------------------------------------------


def test_a_gateway_that_forgets_at_the_brokers_word_loses(simulated_day, monkeypatch):
    publish = GatewayLink.publish

    async def publish_and_promise(link, topic, payload, *, retain=False):
        await publish(link, topic, payload, retain=retain)
        envelope, _ = decode_uplink(payload)
        mark = Watermark(epoch=envelope.epoch, lane=envelope.lane, upto=envelope.seq)
        link.inbox.put_nowait((ADDRESS.ack, encode_ack(mark)))

    monkeypatch.setattr(GatewayLink, "publish", publish_and_promise)
    with pytest.raises(AssertionError, match="lost: "):
        simulated_day(2)


def test_a_value_the_meter_never_had_is_noticed(simulated_day, monkeypatch):
    monkeypatch.setattr(ProfiledReader, "_row", lambda _self, _start_utc: 7)
    with pytest.raises(AssertionError, match="invented: "):
        simulated_day(2, NO_FAULTS)


def test_an_interval_that_is_never_read_is_noticed(simulated_day, monkeypatch):
    row = ProfiledReader._row

    def forgetful(reader, start_utc):
        return None if start_utc.hour == 3 else row(reader, start_utc)

    monkeypatch.setattr(ProfiledReader, "_row", forgetful)
    with pytest.raises(AssertionError, match="missing: QN-1"):
        simulated_day(2, NO_FAULTS)


def test_a_register_under_a_wrong_hour_is_noticed(simulated_day, monkeypatch):
    monkeypatch.setattr(samples, "SKEW_FLAGGED", 2 * DAY)  # no jump is ever too large
    with pytest.raises(AssertionError, match="invented: "):
        simulated_day(2, replace(NO_FAULTS, clock_jumps=12.0))
