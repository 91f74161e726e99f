from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from quince.billing.determinants.determinants import measure, row_of
from quince.billing.determinants.kernel import measure_rows
from quince.billing.determinants.plan import plan_period
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff, TariffBook
from quince.model.errors import InvalidValueError

KERNELS = [measure_rows, measure_rows.py_func]
WH = st.one_of(st.integers(-1, 3), st.integers(-1, 2**31 - 1))
SLOTS = st.lists(st.tuples(WH, st.integers(0, 3)), min_size=1, max_size=300)


def reference(slots: list[tuple[int, int]], bucket: int) -> list[int]:
    """Return energy, missing, peak and its slot of one bucket, in so many words."""
    values = [(at, wh) for at, (wh, of) in enumerate(slots) if of == bucket and wh >= 0]
    missing = sum(wh < 0 for wh, of in slots if of == bucket)
    peak_slot, peak = max(values, key=lambda value: (value[1], -value[0]), default=(-1, -1))
    return [sum(wh for _, wh in values), missing, peak, peak_slot]


def run_kernel(kernel: Callable[..., None], slots: list[tuple[int, int]]) -> list[list[int]]:
    runs = [(of, len(list(group))) for of, group in groupby(of for _, of in slots)]
    edges = np.cumsum([0, *(length for _, length in runs)], dtype=np.int32)
    totals = np.array([[[0, 0, -1, -1]] * 4], np.int64)
    values = np.array([[wh for wh, _ in slots]], np.int32)
    kernel(values, edges, np.array([of for of, _ in runs], np.int32), totals)
    return [[int(number) for number in bucket] for bucket in totals[0]]


@pytest.mark.parametrize("kernel", KERNELS, ids=["compiled", "plain"])
@settings(max_examples=60, deadline=None)
@given(slots=SLOTS)
def test_the_kernel_says_what_a_plain_loop_says(
    kernel: Callable[..., None], slots: list[tuple[int, int]]
) -> None:
    assert run_kernel(kernel, slots) == [reference(slots, bucket) for bucket in range(4)]


@pytest.mark.parametrize("kernel", KERNELS, ids=["compiled", "plain"])
def test_a_quarter_of_the_highest_values_does_not_overflow(kernel: Callable[..., None]) -> None:
    totals = run_kernel(kernel, [(2**31 - 1, 0)] * 92 * 96)
    assert totals[0][0] == (2**31 - 1) * 92 * 96


@pytest.fixture(scope="module")
def book(tariff: Tariff) -> TariffBook:
    return TariffBook(versions=(tariff,))


def test_the_peak_is_the_first_of_equals(book: TariffBook, season_change: Period) -> None:
    plan = plan_period(book, season_change)
    values = (*(100,) * 48, 900, 100, 900, *(100,) * 141)
    (found,) = measure(plan, row_of(values))
    peaks = {(t.bucket.season, t.bucket.block): t.peak for t in found.totals}
    peak = peaks["DRY", "RESTO"]
    assert peak is not None
    assert (peak.energy_wh, peak.start_utc) == (900, datetime(2026, 4, 30, 18, tzinfo=UTC))


def test_a_missing_interval_is_counted_and_is_no_zero(
    book: TariffBook, season_change: Period
) -> None:
    (found,) = measure(plan_period(book, season_change), row_of((None,) * 96 + (0,) * 96))
    assert found.missing == 96
    assert [t.peak is None for t in found.totals] == [True, True, True, False, False, False]
    assert [t.missing for t in found.totals] == [20, 52, 24, 0, 0, 0]


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.integers(0, 2**31 - 1), min_size=192, max_size=192))
def test_energy_over_buckets_is_the_energy_of_the_intervals(
    book: TariffBook, season_change: Period, values: list[int]
) -> None:
    (found,) = measure(plan_period(book, season_change), row_of(tuple(values)))
    assert sum(total.energy_wh for total in found.totals) == sum(values)
    assert sum(total.slots for total in found.totals) == 192


def test_each_row_is_a_meter_of_its_own(book: TariffBook, season_change: Period) -> None:
    rows = np.array([[1] * 192, [2] * 192], np.int32)
    one, two = measure(plan_period(book, season_change), rows)
    assert [t.energy_wh for t in two.totals] == [2 * t.energy_wh for t in one.totals]


@pytest.mark.parametrize("length", [191, 193])
def test_a_row_of_another_length_is_refused(
    length: int, book: TariffBook, season_change: Period
) -> None:
    with pytest.raises(InvalidValueError, match="rows of 192 slots"):
        measure(plan_period(book, season_change), row_of((0,) * length))
