"""What rows of a profile come to, without a meter."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from quince.edge.errors import UnsupportedError
from quince.edge.readers.dlms.profile import Energy, ProfilePlan, energy_columns, read_piece
from quince.edge.readers.reader import ProfilePiece
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, Obis
from quince.model.quality import Quality
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.clock import CLOCK_TIME
from quince.protocols.dlms.cosem.names import ACTIVE_IMPORT, PROFILE_STATUS
from quince.protocols.dlms.cosem.profile import Column, Layout
from quince.protocols.dlms.cosem.register import UNIT_WH, Scale
from quince.protocols.dlms.cosem.rows import ProfileRows

START = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
START_S = int(START.timestamp())
GOOD, MISSING = Quality.GOOD, Quality.MISSING
DOUBTFUL = Quality.CLOCK_DOUBTFUL
WH = Scale(scaler=0, unit=UNIT_WH)
REGISTER = Energy(column=1, value=ACTIVE_IMPORT, scale=WH)
INTERVAL = Energy(column=1, value=Ref(3, ACTIVE_IMPORT_INTERVAL, 2), scale=WH)


def plan_of(energy: Energy) -> ProfilePlan:
    columns = (Column(ref=CLOCK_TIME), Column(ref=energy.value))
    return ProfilePlan(layout=Layout(columns=columns, period_s=900), energies=(energy,))


def piece_of(*rows: tuple[int, Quality, int | None], energy: Energy = REGISTER) -> ProfilePiece:
    """Read an hour out of rows: which quarter-hour they end, how sure, what they hold."""
    captured = ProfileRows(
        at_s=[START_S + 900 * quarter for quarter, _, _ in rows],
        clock=[quality for _, quality, _ in rows],
        columns=([b""] * len(rows), [value for _, _, value in rows]),
    )
    return read_piece(
        captured,
        plan_of(energy),
        meter_id="M1",
        start_utc=START,
        end_utc=START + timedelta(hours=1),
    )


def test_an_interval_is_what_the_register_grew_by() -> None:
    piece = piece_of(*((i, GOOD, 100 * i) for i in range(5)))
    assert piece.series.values == (100, 100, 100, 100)
    assert [reading.value for reading in piece.readings] == [0, 400]


def test_in_whatever_order_rows_come_they_say_the_same() -> None:
    piece = piece_of(*((i, GOOD, 100 * i) for i in (4, 2, 0, 1, 3)))
    assert piece.series.values == (100, 100, 100, 100)


def test_interval_energies_are_taken_as_they_are() -> None:
    piece = piece_of((1, GOOD, 7), (2, DOUBTFUL, 8), (4, GOOD, -1), energy=INTERVAL)
    assert piece.series.values == (7, 8, None, None)
    assert piece.series.quality == (GOOD, DOUBTFUL, MISSING, MISSING)
    assert piece.readings == ()


def test_an_unsure_clock_makes_the_intervals_on_both_its_sides_unsure() -> None:
    piece = piece_of(*((i, DOUBTFUL if i == 2 else GOOD, i) for i in range(5)))
    assert piece.series.quality == (GOOD, DOUBTFUL, DOUBTFUL, GOOD)


def test_a_moment_told_twice_alike_is_told_once() -> None:
    piece = piece_of((0, GOOD, 0), (1, GOOD, 5), (1, DOUBTFUL, 5), (2, GOOD, 9))
    assert piece.series.values == (5, 4, None, None)
    assert piece.series.quality[:2] == (DOUBTFUL, DOUBTFUL)


def test_a_moment_told_twice_and_differently_tells_nothing() -> None:
    piece = piece_of((0, GOOD, 0), (1, GOOD, 5), (1, GOOD, 6), (2, GOOD, 9))
    assert piece.series.values == (None, None, None, None)


def test_a_row_without_a_value_tells_nothing() -> None:
    piece = piece_of((0, GOOD, None), (1, GOOD, 5), (2, GOOD, 9))
    assert piece.series.values == (None, 4, None, None)


def test_a_register_that_rolls_over_costs_one_interval() -> None:
    piece = piece_of((0, GOOD, 2**32 - 5), (1, GOOD, 2), (2, GOOD, 9))
    assert piece.series.values == (None, 7, None, None)


def test_a_register_below_zero_is_no_reading() -> None:
    assert piece_of((0, GOOD, -5), (4, GOOD, 2)).readings[0].value == 2


def test_no_rows_are_missing_intervals() -> None:
    assert piece_of().series.quality == (MISSING,) * 4


# -- which columns -----------------------------------------------------------------------------


def column(c: int, d: int, e: int = 0, *, index: int = 2, data_index: int = 0) -> Column:
    return Column(ref=Ref(3, Obis(1, 0, c, d, e), index), data_index=data_index)


def test_active_import_comes_first_and_each_channel_once() -> None:
    columns = (
        Column(ref=CLOCK_TIME),
        column(2, 8),
        column(1, 29),
        column(1, 8),
        column(1, 8, 1),
    )
    assert list(energy_columns(columns)) == [3, 4, 1]


@pytest.mark.parametrize(
    "other",
    [
        Column(ref=PROFILE_STATUS),
        column(5, 8),
        column(1, 7),
        column(1, 8, 9),
        column(1, 8, index=5),
        column(1, 8, data_index=1),
        Column(ref=Ref(3, Obis(0, 1, 1, 8, 0), 2)),
    ],
)
def test_what_is_no_energy_of_the_premise_is_no_channel(other: Column) -> None:
    assert energy_columns([Column(ref=CLOCK_TIME), other]) == {}


def test_a_register_of_something_else_than_energy_is_refused() -> None:
    with pytest.raises(UnsupportedError):
        Energy(column=1, value=ACTIVE_IMPORT, scale=Scale(scaler=0, unit=27))


def test_a_profile_of_nothing_is_refused() -> None:
    layout = Layout(columns=(Column(ref=CLOCK_TIME),), period_s=900)
    with pytest.raises(UnsupportedError):
        ProfilePlan(layout=layout, energies=())


@settings(max_examples=100)
@given(st.lists(st.integers(0, 10_000), min_size=4, max_size=4), st.integers(-3, 3))
def test_the_intervals_add_up_to_what_the_register_grew_by(grown: list[int], scaler: int) -> None:
    energy = Energy(column=1, value=ACTIVE_IMPORT, scale=Scale(scaler=scaler, unit=UNIT_WH))
    stands = [sum(grown[:i]) for i in range(5)]
    piece = piece_of(*((i, GOOD, value) for i, value in enumerate(stands)), energy=energy)
    values = [value or 0 for value in piece.series.values]
    first, last = piece.readings
    assert sum(values) == last.value - first.value
