"""Refusals are counted by address, for a minute, in bounded memory."""

import pytest

from quince.headend.enrolment import attempts as module
from quince.headend.enrolment.attempts import REFUSALS_MAX, WINDOW_S, Attempts
from quince.headend.errors import TooManyAttemptsError


def fail(attempts: Attempts, peer: str, now_s: float) -> None:
    with pytest.raises(ValueError, match="no"), attempts.attempt(peer, now_s):
        raise ValueError("no")


def test_who_is_refused_ten_times_in_a_minute_waits_it_out() -> None:
    attempts = Attempts()
    for _ in range(REFUSALS_MAX):
        fail(attempts, "10.0.0.1", 100.0)
    with pytest.raises(TooManyAttemptsError), attempts.attempt("10.0.0.1", 100.0 + WINDOW_S - 1):
        pass
    with attempts.attempt("10.0.0.1", 100.0 + WINDOW_S):
        pass


def test_a_stranger_does_not_pay_for_another() -> None:
    attempts = Attempts()
    for _ in range(REFUSALS_MAX):
        fail(attempts, "10.0.0.1", 100.0)
    with attempts.attempt("10.0.0.2", 100.0):
        pass


def test_what_succeeds_is_not_counted() -> None:
    attempts = Attempts()
    for _ in range(2 * REFUSALS_MAX):
        with attempts.attempt("10.0.0.1", 100.0):
            pass


def test_the_longest_unheard_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PEERS_MAX", 2)
    attempts = Attempts()
    for peer in ("a", "b", "c"):
        fail(attempts, peer, 1.0)
    assert list(attempts._refused_s) == ["b", "c"]
