"""What a three-phase meter sees, wired right and wrong."""

from datetime import UTC, datetime

import pytest

from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.phases import Wiring, phases
from quince.model.errors import InvalidValueError

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
HOUSEHOLD = Household(seed=1)
POWER_W = HOUSEHOLD.interval_wh(NOW.replace(minute=0)) * 4


def seen(supply=None, **wiring):
    return list(phases(HOUSEHOLD, supply or Supply(), NOW, Wiring(**wiring)))


def test_the_phases_together_draw_what_the_household_draws():
    assert sum(phase.watts for phase in seen()) == pytest.approx(POWER_W)


def test_a_reversed_transformer_turns_the_power_around():
    assert seen(reversed_ct=frozenset({1}))[0].watts == pytest.approx(-POWER_W / 2)


def test_swapped_transformers_carry_each_others_current():
    right, swapped = seen(), seen(swapped_ct=(1, 3))
    assert swapped[0].amperes == pytest.approx(right[2].amperes)
    assert swapped[0].watts < 0 or swapped[2].watts < 0
    assert swapped[1].watts == pytest.approx(right[1].watts)


def test_a_dead_phase_shows_nothing():
    dead = seen(dead_phases=frozenset({3}))[2]
    assert (dead.volts, dead.amperes, dead.factor) == (0.0, 0.0, 1.0)


def test_no_current_flows_behind_an_open_switch():
    supply = Supply()
    supply.switch_off(NOW)
    assert [phase.amperes for phase in seen(supply)] == [0.0, 0.0, 0.0]


def test_there_is_no_fourth_phase():
    with pytest.raises(InvalidValueError):
        Wiring(reversed_ct=frozenset({4}))
