"""What a picture of the phases hints at."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings, strategies as st

from quince.edge.commissioning.hints import Hint, Kind, hints
from quince.edge.commissioning.phases import Phase, Picture, picture
from quince.edge.readers.reader import Momentary
from quince.model.obis import Obis

AT = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)


def shown(**values):
    """Momentary values by group C and E: `c32_0=230_000`."""
    return [
        Momentary(obis=Obis(1, 0, int(c), 7, int(e)), at_utc=AT, thousandths=value, unit="")
        for (c, e), value in ((name[1:].split("_"), value) for name, value in values.items())
    ]


def phase(number, angle_deg=17.0, *, power_mw=1_000_000, voltage_mv=230_000, current_ma=5000):
    return Phase(
        number=number,
        angle_deg=angle_deg,
        power_mw=power_mw,
        voltage_mv=voltage_mv,
        current_ma=current_ma,
    )


def hinted(*phases):
    return hints(Picture(phases=phases))


# -- the picture -------------------------------------------------------------------------


def test_a_phase_is_put_together_from_its_registers():
    (one,) = picture(shown(c32_0=230_000, c31_0=5000, c21_0=1_000_000, c23_0=500_000)).phases
    assert one.power_mw == 1_000_000
    assert one.factor == 0.87
    assert one.angle_deg == 26.6


def test_what_a_phase_feeds_in_is_negative():
    (one,) = picture(shown(c41_0=0, c42_0=700_000, c43_0=0, c44_0=100_000)).phases
    assert (one.number, one.power_mw, one.reactive_mvar) == (2, -700_000, -100_000)
    assert one.factor is None


def test_a_signed_register_and_the_angles_the_meter_shows_come_first():
    (one,) = picture(shown(c76_0=-5000, c61_0=1, c73_0=950, c81_26=350_000)).phases
    assert (one.power_mw, one.factor, one.angle_deg) == (-5000, 0.95, -10.0)


def test_the_sum_and_the_frequency_are_of_no_phase():
    whole = picture(shown(c16_0=3_000_000, c14_0=50_010))
    assert (whole.phases, whole.power_mw, whole.frequency_mhz) == ((), 3_000_000, 50_010)


def test_nothing_flows_at_no_angle():
    (one,) = picture(shown(c21_0=0, c23_0=0, c32_0=230_000, c31_0=0)).phases
    assert (one.angle_deg, one.factor) == (None, None)


# -- the hints ---------------------------------------------------------------------------


def test_a_right_wiring_hints_at_nothing():
    assert hinted(phase(1), phase(2, 25.0), phase(3, -5.0)) == []


@pytest.mark.parametrize(
    ("phases", "kind", "numbers"),
    [
        ((phase(1), phase(2, voltage_mv=20_000), phase(3)), Kind.MISSING_PHASE, (2,)),
        ((phase(1, voltage_mv=270_000), phase(2), phase(3)), Kind.UNBALANCED_VOLTAGE, (1,)),
        ((phase(1), phase(2, -163.0, power_mw=-1), phase(3)), Kind.REVERSED_CT, (2,)),
        ((phase(1, 137.0), phase(2, -103.0), phase(3)), Kind.SWAPPED_PHASES, (1, 2)),
        ((phase(1), phase(2, -103.0), phase(3, 137.0)), Kind.SWAPPED_PHASES, (2, 3)),
        ((phase(1, 130.0), phase(2, 125.0), phase(3, 137.0)), Kind.ROTATED_PHASES, (1, 2, 3)),
        ((phase(1, 170.0, power_mw=-9), phase(2, 175.0, power_mw=-9)), Kind.ALL_FEED_IN, (1, 2)),
    ],
)
def test_what_is_wired_wrong_is_named(phases, kind, numbers):
    assert hinted(*phases) == [Hint(kind=kind, phases=numbers)]


def test_a_trickle_hints_at_nothing():
    assert hinted(phase(1), phase(2, 180.0, power_mw=-1, current_ma=20), phase(3)) == []


def test_a_phase_without_an_angle_is_neither_swapped_nor_rotated():
    assert hinted(phase(1, None), phase(2, 120.0), phase(3, -120.0)) == []


numbers = st.none() | st.integers(-(10**9), 10**9)


@given(
    st.lists(
        st.builds(
            Phase,
            number=st.sampled_from([1, 2, 3]),
            voltage_mv=numbers,
            current_ma=numbers,
            power_mw=numbers,
            angle_deg=st.none() | st.floats(-180, 180),
        ),
        max_size=3,
    )
)
@settings(max_examples=150)
def test_any_picture_can_be_looked_at(phases):
    assert all(isinstance(one, Hint) for one in hints(Picture(phases=tuple(phases))))
