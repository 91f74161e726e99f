import pytest

from quince.edge.uplink.rules import (
    ACK_TIMEOUT_S_MAX,
    ACK_TIMEOUT_S_MIN,
    OVERHEAD_OCTETS,
    WINDOW_MAX,
    LaneWindow,
    Pace,
)


def test_a_fresh_window_has_all_its_room():
    assert LaneWindow().room(oldest_seq=1) == WINDOW_MAX


def test_what_is_in_flight_takes_room_until_the_watermark_moves():
    window = LaneWindow()
    window.sent(10)
    assert window.room(oldest_seq=1) == WINDOW_MAX - 10
    assert window.room(oldest_seq=8) == WINDOW_MAX - 3
    assert window.room(oldest_seq=11) == WINDOW_MAX


def test_silence_after_sending_becomes_overdue():
    window = LaneWindow()
    assert not window.overdue(1000.0)
    window.sent(1)
    window.confirmed(now_s=0.0)
    assert not window.overdue(ACK_TIMEOUT_S_MIN)
    assert window.overdue(ACK_TIMEOUT_S_MIN + 0.1)


def test_what_has_not_arrived_is_not_waited_for():
    window = LaneWindow()
    window.sent(1)
    assert not window.overdue(1000.0)


def test_each_arrival_restarts_the_wait():
    window = LaneWindow()
    window.sent(2)
    window.confirmed(now_s=0.0)
    window.confirmed(now_s=9.0)
    assert not window.overdue(9.0 + ACK_TIMEOUT_S_MIN)
    assert window.overdue(9.1 + ACK_TIMEOUT_S_MIN)


def test_an_arrival_behind_its_watermark_starts_no_wait():
    window = LaneWindow()
    window.sent(1)
    window.acknowledged(1, now_s=0.0)
    window.confirmed(now_s=1.0)
    assert not window.overdue(1000.0)


def test_progress_restarts_the_wait_and_completion_ends_it():
    window = LaneWindow()
    window.sent(2)
    window.confirmed(now_s=0.0)
    window.acknowledged(1, now_s=9.0)
    assert not window.overdue(ACK_TIMEOUT_S_MIN + 1)
    window.acknowledged(2, now_s=10.0)
    assert not window.overdue(1000.0)


def test_a_repeated_watermark_is_no_progress():
    window = LaneWindow()
    window.sent(5)
    window.confirmed(now_s=0.0)
    window.acknowledged(1, now_s=1.0)
    window.acknowledged(1, now_s=11.0)
    assert window.overdue(ACK_TIMEOUT_S_MIN + 1.1)


def test_going_back_sends_again_from_the_oldest_and_waits_longer_each_time():
    window = LaneWindow()
    patience = []
    for _ in range(7):
        window.sent(5)
        window.confirmed(now_s=3.0)
        window.go_back()
        patience.append(window.patience_s)
    assert (window.sent_upto, window.waiting_since_s) == (0, None)
    assert patience == [20, 40, 80, 160, ACK_TIMEOUT_S_MAX, ACK_TIMEOUT_S_MAX, ACK_TIMEOUT_S_MAX]


def test_a_word_from_the_head_end_makes_impatient_again():
    window = LaneWindow()
    window.go_back()
    window.acknowledged(0, now_s=1.0)
    assert window.patience_s == ACK_TIMEOUT_S_MIN


def test_a_new_session_forgets_what_the_last_one_sent():
    window = LaneWindow(sent_upto=9, acked_upto=4, waiting_since_s=1.0, patience_s=80.0)
    window.restart()
    assert window == LaneWindow()


def test_a_pace_lets_a_burst_go_and_then_so_much_a_second():
    pace = Pace(1_000)
    for _ in range(4):
        assert pace.wait_s(0.0) == 0
        pace.sent(500 - OVERHEAD_OCTETS, 0.0)
    assert pace.wait_s(0.0) == 0
    pace.sent(500 - OVERHEAD_OCTETS, 0.0)
    assert pace.wait_s(0.0) == 0.5
    assert pace.wait_s(0.4) == pytest.approx(0.1)


def test_a_message_larger_than_the_burst_goes_out_and_the_next_waits_for_its_debt():
    pace = Pace(1_000)
    pace.sent(10_000 - OVERHEAD_OCTETS, 0.0)
    assert pace.wait_s(0.0) == 8.0


def test_a_pace_earns_no_more_than_its_burst_however_long_nothing_was_sent():
    pace = Pace(1_000)
    pace.sent(2_500 - OVERHEAD_OCTETS, 1e6)
    assert pace.wait_s(1e6) == 0.5
