import pytest
from hypothesis import given, settings, strategies as st

from quince.protocols.dlms.errors import CounterExhaustedError, ReplayError
from quince.protocols.dlms.security.counters import WINDOW, MemoryCounters, ReplayWindow


def test_a_counter_is_handed_out_once() -> None:
    counters = MemoryCounters(first=7)
    assert [counters.reserve() for _ in range(3)] == [7, 8, 9]


def test_behind_the_last_counter_the_key_must_change() -> None:
    counters = MemoryCounters(first=2**32 - 1)
    counters.reserve()
    with pytest.raises(CounterExhaustedError):
        counters.reserve()


def test_a_counter_heard_twice_is_refused_and_the_next_one_named() -> None:
    window = ReplayWindow().accept(7)
    with pytest.raises(ReplayError) as refused:
        window.accept(7)
    assert refused.value.expected_counter == 8


def test_nothing_older_than_the_first_ever_heard_is_believed() -> None:
    with pytest.raises(ReplayError):
        ReplayWindow().accept(7).accept(6)


def test_a_push_that_was_overtaken_is_believed_once() -> None:
    window = ReplayWindow().accept(7).accept(9).accept(8)
    assert window == ReplayWindow().accept(7).accept(8).accept(9)
    with pytest.raises(ReplayError):
        window.accept(8)


def test_what_was_overtaken_long_ago_is_refused() -> None:
    window = ReplayWindow().accept(7).accept(8 + WINDOW)
    with pytest.raises(ReplayError):
        window.accept(8)
    assert window.accept(9).expected == 9 + WINDOW


def test_a_jump_takes_no_memory() -> None:
    """A transaction is any number: shifted by it, a window would take 2^59 octets."""
    window = ReplayWindow().accept(1).accept(2**62)
    assert window.accept(2**62 - 1).expected == 2**62 + 1
    with pytest.raises(ReplayError):
        window.accept(1)


def test_peers_count_on_their_own() -> None:
    counters = MemoryCounters()
    counters.accept(b"one", 7)
    counters.accept(b"other", 7)
    with pytest.raises(ReplayError):
        counters.accept(b"one", 7)


@settings(max_examples=200)
@given(st.integers(0, 100), st.lists(st.integers(0, 100), max_size=60))
def test_in_whatever_order_they_come_none_is_believed_twice(first: int, more: list[int]) -> None:
    window, believed = ReplayWindow(), []
    for counter in (first, *more):
        try:
            window = window.accept(counter)
        except ReplayError:
            continue
        believed.append(counter)
    assert len(set(believed)) == len(believed)
    assert min(believed) == first
