"""A meter's circuit breaker."""

from datetime import timedelta

from quince.edge.schedule.breaker import BACKOFF_S_MAX, Breaker, BreakerState


def test_one_failure_opens_it():
    breaker = Breaker()
    breaker.failed()
    assert not breaker.is_closed
    assert breaker.backoff == timedelta(seconds=5)


def test_the_back_off_doubles_up_to_five_minutes():
    breaker = Breaker()
    backoffs = []
    for _ in range(100):
        breaker.failed()
        backoffs.append(breaker.backoff.total_seconds())
    assert backoffs[:7] == [5, 10, 20, 40, 80, 160, 300]
    assert set(backoffs[7:]) == {BACKOFF_S_MAX}


def test_a_probe_decides():
    breaker = Breaker()
    breaker.failed()
    breaker.probe()
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.failed()
    assert (breaker.state, breaker.failures) == (BreakerState.OPEN, 2)
    breaker.probe()
    breaker.succeeded()
    assert (breaker.state, breaker.failures) == (BreakerState.CLOSED, 0)


def test_a_closed_one_is_not_probed():
    breaker = Breaker()
    breaker.probe()
    assert breaker.is_closed


def test_an_answer_that_cannot_be_taken_leaves_it_closed_and_waiting():
    breaker = Breaker()
    breaker.refused()
    breaker.refused()
    assert breaker.is_closed
    assert breaker.backoff == timedelta(seconds=10)
