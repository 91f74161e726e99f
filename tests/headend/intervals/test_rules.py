from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from quince.headend.errors import CorruptBlockError
from quince.headend.intervals.rules import (
    CONFLICT,
    DUPLICATE,
    EMPTY,
    FILLED,
    columns_of,
    decode_block,
    encode_blocks,
    fill_slots,
)
from quince.model.interval import ENERGY_MAX, IntervalSeries
from quince.model.quality import Quality


@pytest.fixture(params=["compiled", "python"])
def fill(request: pytest.FixtureRequest) -> Callable[..., Any]:
    kernels: dict[str, Callable[..., Any]] = {"compiled": fill_slots, "python": fill_slots.py_func}
    return kernels[request.param]


def one_slot(fill: Callable[..., Any], *arrivals: tuple[int, int]) -> tuple[list[int], int, int]:
    """Let (value, flags) arrive one after the other for slot 5 of block 0."""
    values = np.full((1, 96), EMPTY, np.int32)
    flags = np.zeros((1, 96), np.uint8)
    count = len(arrivals)
    outcome = fill(
        np.zeros(count, np.int64),
        np.full(count, 5, np.int64),
        np.array([value for value, _ in arrivals], np.int32),
        np.array([flag for _, flag in arrivals], np.uint8),
        values,
        flags,
    )
    return outcome.tolist(), int(values[0, 5]), int(flags[0, 5])


def test_an_empty_slot_is_filled(fill: Callable[..., Any]) -> None:
    assert one_slot(fill, (7, 4)) == ([FILLED], 7, 4)


def test_the_same_again_is_a_duplicate(fill: Callable[..., Any]) -> None:
    assert one_slot(fill, (7, 4), (7, 4)) == ([FILLED, DUPLICATE], 7, 4)


def test_a_different_value_never_replaces_the_first(fill: Callable[..., Any]) -> None:
    assert one_slot(fill, (7, 0), (8, 0)) == ([FILLED, CONFLICT], 7, 0)


def test_a_different_quality_is_a_conflict_too(fill: Callable[..., Any]) -> None:
    assert one_slot(fill, (7, 0), (7, 4)) == ([FILLED, CONFLICT], 7, 0)


def test_zero_is_a_value_like_any_other(fill: Callable[..., Any]) -> None:
    assert one_slot(fill, (0, 0), (1, 0)) == ([FILLED, CONFLICT], 0, 0)


day_values = st.lists(
    st.one_of(
        st.just(EMPTY), st.integers(0, 100), st.integers(65_533, 65_537), st.just(ENERGY_MAX)
    ),
    min_size=96,
    max_size=96,
)


@given(values=day_values, flags=st.binary(min_size=96, max_size=96))
@settings(max_examples=60)
def test_a_block_is_read_as_it_was_written(values: list[int], flags: bytes) -> None:
    rows = np.array([values], np.int32), np.frombuffer(flags, np.uint8).reshape(1, 96)
    ((packed, quality),) = encode_blocks(*rows)
    read_values, read_flags = decode_block(packed, quality)
    assert read_values.tolist() == values
    assert read_flags.tobytes() == flags


@pytest.mark.parametrize(("largest", "octets"), [(65_534, 192), (65_535, 384)])
def test_a_block_is_wide_only_where_a_value_needs_it(largest: int, octets: int) -> None:
    values = np.full((1, 96), EMPTY, np.int32)
    values[0, 3] = largest
    ((packed, quality),) = encode_blocks(values, np.zeros((1, 96), np.uint8))
    assert (len(packed), quality) == (octets, None)


@pytest.mark.parametrize(("packed", "quality"), [(b"\0" * 191, None), (b"\0" * 192, b"\0" * 95)])
def test_a_block_of_no_possible_length_is_refused(packed: bytes, quality: bytes | None) -> None:
    with pytest.raises(CorruptBlockError):
        decode_block(packed, quality)


def test_a_missing_interval_leaves_no_trace_in_the_columns(
    series: Callable[..., IntervalSeries],
) -> None:
    columns = columns_of(
        [
            series("1970-01-01T00:30", 5, None, 7, flags=Quality.POWER_FAIL),
            series("1970-01-02T00:00", 0),
        ]
    )
    assert columns.row.tolist() == [0, 0, 1]
    assert columns.slot.tolist() == [2, 4, 96]
    assert columns.values.tolist() == [5, 7, 0]
    assert columns.flags.tolist() == [8, 8, 0]
