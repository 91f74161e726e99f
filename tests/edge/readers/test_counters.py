import pytest

from quince.edge.readers.counters import BLOCK, CounterStore
from quince.protocols.dlms.errors import CounterExhaustedError, ReplayError

TITLE = b"QNM\0\0\0\0\1"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "counters.db"


def test_counters_ascend_and_are_never_handed_out_twice(path):
    with CounterStore(path) as store:
        counters = store.of("M1")
        drawn = [counters.reserve() for _ in range(3 * BLOCK)]
    assert drawn == sorted(set(drawn))


def test_a_crash_skips_the_rest_of_a_block_and_reuses_nothing(path):
    with CounterStore(path) as store:
        last = [store.of("M1").reserve() for _ in range(1)][-1]
    with CounterStore(path) as store:
        assert store.of("M1").reserve() == last + BLOCK


def test_two_sessions_with_one_meter_share_no_counter(path):
    with CounterStore(path) as store:
        one, other = store.of("M1"), store.of("M1")
        drawn = [one.reserve() for _ in range(BLOCK + 1)] + [other.reserve() for _ in range(BLOCK)]
    assert len(set(drawn)) == len(drawn)


def test_meters_count_on_their_own(path):
    with CounterStore(path) as store:
        assert store.of("M1").reserve() == store.of("M2").reserve()


def test_a_replayed_counter_is_refused_even_after_a_restart(path):
    with CounterStore(path) as store:
        store.of("M1").accept(TITLE, 7)
    with CounterStore(path) as store:
        with pytest.raises(ReplayError):
            store.of("M1").accept(TITLE, 7)
        store.of("M1").accept(TITLE, 8)


def test_the_last_counter_is_followed_by_none(path):
    with CounterStore(path) as store:
        store._db.execute("insert into own_counter values ('M1', ?)", (2**32 - 2,))
        with pytest.raises(CounterExhaustedError):
            store.of("M1").reserve()
