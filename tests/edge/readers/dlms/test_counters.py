import pytest

from quince.edge.readers.dlms.counters import BLOCK, CATCH_UP_MAX, CounterStore, key_id
from quince.protocols.dlms.errors import CounterExhaustedError, ReplayError

TITLE = b"QNM\0\0\0\0\1"
KEY = key_id(TITLE, bytes(range(16)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "counters.db"


def test_counters_ascend_and_are_never_handed_out_twice(path):
    with CounterStore(path) as store:
        counters = store.of(KEY)
        drawn = [counters.reserve() for _ in range(3 * BLOCK)]
    assert drawn == sorted(set(drawn))


def test_a_crash_skips_the_rest_of_a_block_and_reuses_nothing(path):
    with CounterStore(path) as store:
        last = [store.of(KEY).reserve() for _ in range(1)][-1]
    with CounterStore(path) as store:
        assert store.of(KEY).reserve() == last + BLOCK


def test_counters_lost_a_little_go_on_further_up_in_the_block(path):
    with CounterStore(path) as store:
        store.of(KEY).reserve()
        assert store.catch_up(KEY, BLOCK)
        assert [store.of(KEY).reserve() for _ in range(2)] == [BLOCK, BLOCK + 1]


def test_two_sessions_with_one_meter_share_no_counter(path):
    with CounterStore(path) as store:
        one, other = store.of(KEY), store.of(KEY)
        drawn = [one.reserve() for _ in range(BLOCK + 1)] + [other.reserve() for _ in range(BLOCK)]
    assert len(set(drawn)) == len(drawn)


def test_the_next_session_goes_on_in_the_block_of_the_last(path):
    with CounterStore(path) as store:
        assert [store.of(KEY).reserve() for _ in range(3)] == [1, 2, 3]


def test_keys_count_on_their_own(path):
    with CounterStore(path) as store:
        assert store.of(KEY).reserve() == store.of(key_id(TITLE, bytes(16))).reserve()


def test_a_replayed_counter_is_refused_even_after_a_restart(path):
    with CounterStore(path) as store:
        store.of(KEY).accept(TITLE, 7)
    with CounterStore(path) as store:
        with pytest.raises(ReplayError):
            store.of(KEY).accept(TITLE, 7)
        store.of(KEY).accept(TITLE, 8)


def test_the_last_counter_is_followed_by_none(path):
    with CounterStore(path) as store:
        store._own.execute("insert into own_counter values (?, ?)", (KEY, 2**32 - 2))
        with pytest.raises(CounterExhaustedError):
            store.of(KEY).reserve()


def test_another_process_beside_us_gets_another_block(path):
    with CounterStore(path) as gateway, CounterStore(path) as technician:
        drawn = [gateway.of(KEY).reserve(), technician.of(KEY).reserve(), gateway.of(KEY).reserve()]
    assert drawn == [1, 1 + BLOCK, 1 + 2 * BLOCK]


def test_lost_counters_go_on_from_where_the_meter_expects_them(path):
    with CounterStore(path) as store:
        assert store.catch_up(KEY, 5000)
        assert store.of(KEY).reserve() == 5000


def test_the_counter_just_behind_our_block_is_caught_up_with(path):
    with CounterStore(path) as store:
        store.of(KEY).reserve()
        assert store.catch_up(KEY, BLOCK + 1)
        assert store.of(KEY).reserve() == BLOCK + 1


def test_a_session_under_way_goes_on_from_where_another_caught_up(path):
    with CounterStore(path) as store:
        session = store.of(KEY)
        session.reserve()
        assert store.catch_up(KEY, 5000)
        assert session.reserve() == 5000


def test_words_without_end_use_up_half_of_a_key_at_most(path):
    with CounterStore(path) as store:
        words = range(1, 2**32, CATCH_UP_MAX - 1)
        believed = [expected for expected in words if store.catch_up(KEY, expected)]
        assert believed[-1] < 2**31 <= believed[-1] + CATCH_UP_MAX
        assert store.of(KEY).reserve() == believed[-1]


@pytest.mark.parametrize("expected", [0, 1, 2, BLOCK + CATCH_UP_MAX + 1])
def test_a_word_that_leads_back_or_too_far_is_not_believed(path, expected):
    with CounterStore(path) as store:
        store.of(KEY).reserve()
        assert not store.catch_up(KEY, expected)
        assert store.of(KEY).reserve() == 2


def test_a_push_that_an_answer_overtook_is_believed_once(path):
    with CounterStore(path) as store:
        reader, listener = store.of(KEY), store.of(KEY)
        listener.accept(TITLE, 7)
        reader.accept(TITLE, 9)
        listener.accept(TITLE, 8)
        with pytest.raises(ReplayError):
            reader.accept(TITLE, 8)


def test_whoever_counts_under_a_key_counts_on_its_own(path):
    with CounterStore(path) as store:
        store.of(KEY).accept(TITLE, 7)
        store.of(KEY).accept(TITLE + b"/transactions", 7)
        store.of(key_id(TITLE, bytes(16))).accept(TITLE, 7)
        with pytest.raises(ReplayError):
            store.of(KEY).accept(TITLE + b"/transactions", 7)


def test_a_transaction_as_high_as_can_be_is_kept(path):
    with CounterStore(path) as store:
        store.of(KEY).accept(TITLE, 2**62)
    with CounterStore(path) as store, pytest.raises(ReplayError):
        store.of(KEY).accept(TITLE, 2**62)
