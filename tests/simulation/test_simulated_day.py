"""Law 1: what the edge accepted is in the head-end exactly once, or still in the outbox."""


def test_what_the_edge_accepted_arrives_once_or_still_waits(simulated_day, expected, seed):
    world = simulated_day(seed)  # law 1 is checked after every hour of it
    assert world.stored == world.accepted
    assert world.waiting == {}
    assert {slot: world.stored.get(slot) for slot in expected} == expected


def test_the_bad_day_was_bad(simulated_day):
    world = simulated_day(1)
    assert world.counts["lost_up"] > 10
    assert world.counts["lost_down"] > 10
    assert world.counts["crashed"] > 5
    assert world.counts["crash_before_puback"] > 0
    assert world.counts["link_broke"] > 0


def test_the_same_seed_gives_the_same_trace(simulated_day):
    assert simulated_day(3).trace == simulated_day(3).trace


def test_another_seed_gives_another_trace(simulated_day):
    assert simulated_day(3).trace != simulated_day(4).trace
