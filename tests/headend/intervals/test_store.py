import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from quince.headend.errors import CorruptBlockError, StaleBlockError
from quince.headend.intervals import store as store_module
from quince.headend.intervals.rules import EMPTY
from quince.headend.intervals.service import Arrival, MergeResult, read_stretch
from quince.headend.intervals.store import SqliteIntervalStore, create_interval_tables
from quince.headend.platform.sqlite import open_connection, transaction
from quince.model.errors import InvalidValueError
from quince.model.interval import IntervalSeries
from quince.model.obis import ACTIVE_IMPORT_INTERVAL
from quince.model.quality import Quality

NOON_UTC = datetime(2026, 3, 8, 12, tzinfo=UTC)
DAY = 20_520  # 2026-03-08

Make = Callable[..., IntervalSeries]


class Store(SqliteIntervalStore):
    """The store, with a shorthand."""

    def fill(self, *series: IntervalSeries, tenant_id: int = 1, source: str = "s") -> MergeResult:
        arrivals = [Arrival(series=one, source=source) for one in series]
        with transaction(self._connection):
            return self.merge(tenant_id=tenant_id, arrivals=arrivals, received_utc=NOON_UTC)

    def day(self, *, tenant_id: int = 1) -> tuple[list[int | None], int]:
        """Return the filled start of the day, and its revision."""
        (block,) = self.read(tenant_id=tenant_id, channel_id=1, first_day=DAY, end_day=DAY + 1)
        end = int(np.flatnonzero(block.values != EMPTY)[-1]) + 1
        values = [None if value == EMPTY else value for value in block.values[:end].tolist()]
        return values, block.rev


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_connection(tmp_path / "intervals.sqlite")
    create_interval_tables(connection)
    yield connection
    connection.close()


@pytest.fixture
def store(connection: sqlite3.Connection) -> Store:
    return Store(connection)


def test_intervals_are_kept_and_missing_ones_stay_missing(store: Store, series: Make) -> None:
    result = store.fill(series("2026-03-08", 5, None, 0, 70_000))
    assert result == MergeResult(filled=3, duplicates=0, conflicts=0)
    assert store.day() == ([5, None, 0, 70_000], 1)


def test_a_gap_is_filled_later_and_the_revision_tells(store: Store, series: Make) -> None:
    store.fill(series("2026-03-08", 5, None, 7))
    store.fill(series("2026-03-08T00:15", 6))
    assert store.day() == ([5, 6, 7], 2)


def test_the_same_again_writes_nothing(store: Store, series: Make) -> None:
    store.fill(series("2026-03-08", 5, 6))
    result = store.fill(series("2026-03-08", 5, 6))
    assert result == MergeResult(filled=0, duplicates=2, conflicts=0)
    assert store.day() == ([5, 6], 1)


def test_a_different_value_is_kept_beside_and_never_applied(store: Store, series: Make) -> None:
    store.fill(series("2026-03-08", 5, 6))
    store.fill(series("2026-03-08", 5, 9), source="north/gw-1/07/2/3")
    (conflict,) = store.conflicts(tenant_id=1, limit=10)
    assert store.day() == ([5, 6], 1)
    assert (conflict.meter_id, conflict.value) == ("m-1", 9)
    assert conflict.start_utc == datetime(2026, 3, 8, 0, 15, tzinfo=UTC)
    assert conflict.source == "north/gw-1/07/2/3"


def test_the_same_conflict_again_is_one_conflict(store: Store, series: Make) -> None:
    store.fill(series("2026-03-08", 5))
    store.fill(series("2026-03-08", 9), source="first")
    store.fill(series("2026-03-08", 9), source="second")
    assert [one.source for one in store.conflicts(tenant_id=1, limit=10)] == ["first"]


def test_two_tenants_with_one_meter_name_see_their_own(store: Store, series: Make) -> None:
    store.fill(series("2026-03-08", 5), tenant_id=1)
    store.fill(series("2026-03-08", 8), tenant_id=2)
    assert store.day(tenant_id=1) == ([5], 1)
    assert store.day(tenant_id=2) == ([8], 1)
    assert store.conflicts(tenant_id=2, limit=10) == ()


def test_a_block_that_changed_since_it_was_read_is_not_overwritten(
    store: Store, series: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.fill(series("2026-03-08", 5))
    monkeypatch.setattr(
        store,
        "_read_blocks",
        lambda *_: (
            np.zeros(1, np.int64),
            np.full((1, 96), EMPTY, np.int32),
            np.zeros((1, 96), np.uint8),
        ),
    )  # as if the block had not been there yet
    with pytest.raises(StaleBlockError):
        store.fill(series("2026-03-08T00:15", 6))
    assert store.day() == ([5], 1)


def test_a_corrupt_block_is_named_by_channel_and_day(store: Store, series: Make) -> None:
    store.fill(series("2026-03-08", 5))
    store._connection.execute("update interval_block set v = x'00'")
    with pytest.raises(CorruptBlockError, match=f"tenant 1, channel 1, day {DAY}: .* 1 octets"):
        store.day()
    with pytest.raises(CorruptBlockError, match=f"tenant 1, channel 1, day {DAY}: .* 1 octets"):
        store.fill(series("2026-03-08", 5))


def test_channels_of_a_rolled_back_transaction_are_forgotten(store: Store, series: Make) -> None:
    store._connection.execute("begin")
    store.merge(
        tenant_id=1,
        arrivals=[Arrival(series=series("2026-03-08", 5), source="s")],
        received_utc=NOON_UTC,
    )
    store._connection.execute("rollback")
    store.forget_channels()
    store.fill(series("2026-03-08", 5, meter_id="m-2"))
    assert [one.meter_id for one in store.channels(tenant_id=1, meter_ids=["m-1", "m-2"])] == [
        "m-2"
    ]


def test_more_channels_than_the_cache_holds_are_asked_for_again(
    store: Store, series: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "CHANNELS_CACHED_MAX", 2)
    meters = [series("2026-03-08", 5, meter_id=f"m-{n}") for n in range(5)]
    store.fill(*meters)
    assert store.fill(*meters) == MergeResult(filled=0, duplicates=5, conflicts=0)


def test_load_gives_a_cube_of_channels_days_and_slots(store: Store, series: Make) -> None:
    store.fill(series("2026-03-07T23:45", 1, 2), series("2026-03-08", 3, meter_id="m-2"))
    cube = store.load(tenant_id=1, channel_ids=[1, 2], first_day=DAY - 1, end_day=DAY + 1)
    assert cube.shape == (2, 2, 96)
    assert [cube[0, 0, 95], cube[0, 1, 0], cube[1, 1, 0]] == [1, 2, 3]
    assert (cube != EMPTY).sum() == 3


def test_a_stretch_crosses_midnight_and_names_both_revisions(store: Store, series: Make) -> None:
    store.fill(series("2026-03-07T23:45", 1, 2, flags=Quality.CLOCK_DOUBTFUL))
    store.fill(series("2026-03-08T00:15", 3))
    stretch = read_stretch(
        store,
        tenant_id=1,
        channel_id=1,
        start_utc=datetime(2026, 3, 7, 23, 45, tzinfo=UTC),
        end_utc=datetime(2026, 3, 8, 0, 30, tzinfo=UTC),
    )
    assert stretch.values.tolist() == [1, 2, 3]
    assert stretch.flags.tolist() == [2, 2, 0]
    assert stretch.revisions == (1, 2)


@pytest.mark.parametrize("end", ["2026-03-08", "2026-03-07", "2027-06-01", "2026-03-08T00:10"])
def test_a_stretch_that_cannot_be_is_refused(store: Store, end: str) -> None:
    with pytest.raises(InvalidValueError):
        read_stretch(
            store,
            tenant_id=1,
            channel_id=1,
            start_utc=datetime(2026, 3, 8, tzinfo=UTC),
            end_utc=datetime.fromisoformat(end).replace(tzinfo=UTC),
        )


def test_the_channels_of_a_meter_are_named_by_their_obis_codes(store: Store, series: Make) -> None:
    store.fill(series("2026-03-08", 5))
    (channel,) = store.channels(tenant_id=1, meter_ids=["m-1", "it's no-one"])
    assert (channel.meter_id, channel.obis) == ("m-1", ACTIVE_IMPORT_INTERVAL)
    assert store.meters_seen(tenant_id=1, after="", limit=5) == ("m-1",)
    assert store.meters_seen(tenant_id=1, after="m-1", limit=5) == ()


def fresh_store() -> Store:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create_interval_tables(connection)
    return Store(connection)


def contents(store: Store) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Return what is stored, and that together with the conflicts, as (slot, value) sets."""
    blocks = store.read(tenant_id=1, channel_id=1, first_day=0, end_day=30_000)
    stored = {
        (block.day * 96 + slot, int(block.values[slot]))
        for block in blocks
        for slot in np.flatnonzero(block.values != EMPTY).tolist()
    }
    refused = {
        (int(one.start_utc.timestamp()) // 900, one.value)
        for one in store.conflicts(tenant_id=1, limit=10_000)
    }
    store._connection.close()
    return stored, stored | refused


pieces = st.lists(
    st.tuples(st.integers(0, 200), st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1)),
    min_size=1,
    max_size=6,
)


def build(pieces: list[tuple[int, list[int | None]]], *, consistent: bool) -> list[IntervalSeries]:
    return [
        IntervalSeries(
            meter_id="m-1",
            obis=ACTIVE_IMPORT_INTERVAL,
            start_utc=datetime.fromtimestamp(start * 900, UTC),
            values=tuple(
                (start + i) * 1000 if consistent and value is not None else value
                for i, value in enumerate(values)
            ),
            quality=tuple(Quality.MISSING if v is None else Quality.GOOD for v in values),
        )
        for start, values in pieces
    ]


@given(pieces=pieces, data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_order_and_repetition_of_agreeing_messages_gives_the_same_blocks(
    pieces: list[tuple[int, list[int | None]]], data: st.DataObject
) -> None:
    series = build(pieces, consistent=True)
    plain, mixed = fresh_store(), fresh_store()
    for one in series:
        plain.fill(one)
    for one in data.draw(st.permutations(series * 2)):
        mixed.fill(one)
    assert contents(mixed) == contents(plain)


@given(pieces=pieces, data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_order_of_contradicting_messages_keeps_every_value_once_stored_or_as_conflict(
    pieces: list[tuple[int, list[int | None]]], data: st.DataObject
) -> None:
    series = build(pieces, consistent=False)
    plain, mixed = fresh_store(), fresh_store()
    plain.fill(*series)
    for one in data.draw(st.permutations(series * 2)):
        mixed.fill(one)
    assert contents(mixed)[1] == contents(plain)[1]


def test_a_filled_slot_keeps_its_value_whatever_comes(store: Store, series: Make) -> None:
    store.fill(series("2026-03-08", *range(96)))
    for shift in range(1, 5):
        store.fill(series("2026-03-08", *range(shift, 96 + shift)))
    assert store.day() == (list(range(96)), 1)
