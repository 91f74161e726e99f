from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st

from quince.headend.outage.rules import Evidence, Outage, outages_of
from quince.model.event import EventKind

GASP, UP = EventKind.LAST_GASP, EventKind.POWER_UP


def at(minute: int) -> datetime:
    return datetime(2026, 3, 8, tzinfo=UTC) + timedelta(minutes=minute)


def word(kind: EventKind, minute: int, meter_id: str = "m-1", point: str = "mp-1") -> Evidence:
    return Evidence(metering_point=point, meter_id=meter_id, kind=kind, at_utc=at(minute))


def told(*words: Evidence) -> list[tuple[datetime, datetime | None]]:
    return [(outage.start_utc, outage.end_utc) for outage in outages_of("mp-1", words)]


def test_a_last_gasp_opens_an_outage_and_a_power_up_closes_it() -> None:
    assert told(word(GASP, 1)) == [(at(1), None)]
    assert told(word(GASP, 1), word(UP, 5)) == [(at(1), at(5))]


def test_a_power_up_that_arrives_first_closes_the_outage_all_the_same() -> None:
    assert told(word(UP, 5), word(GASP, 1)) == [(at(1), at(5))]


def test_a_second_last_gasp_belongs_to_the_open_outage() -> None:
    assert told(word(GASP, 1), word(GASP, 2), word(UP, 5)) == [(at(1), at(5))]


def test_a_power_up_alone_says_nothing() -> None:
    assert told(word(UP, 5)) == []


def test_at_one_moment_the_last_gasp_came_first() -> None:
    assert told(word(UP, 1), word(GASP, 1)) == [(at(1), at(1))]
    assert told(word(GASP, 0), word(UP, 1), word(GASP, 1)) == [(at(0), at(1))]


words = st.lists(
    st.builds(word, st.sampled_from([GASP, UP]), st.integers(0, 5)), min_size=1, max_size=8
)


@given(words=words, data=st.data())
def test_the_order_and_number_of_tellings_do_not_matter(
    words: list[Evidence], data: st.DataObject
) -> None:
    assert told(*data.draw(st.permutations(words * 2))) == told(*words)


def test_a_power_up_elsewhere_ends_the_outage_its_meter_gasped_in() -> None:
    assert told(word(GASP, 1), word(UP, 5, point="mp-2")) == [(at(1), at(5))]


def test_a_meter_that_gasped_in_an_earlier_outage_and_moved_says_nothing_of_this_one() -> None:
    moved = word(UP, 7, point="mp-2")
    assert told(word(GASP, 1), word(UP, 5), word(GASP, 6, "m-2"), moved) == [
        (at(1), at(5)),
        (at(6), None),
    ]


def test_an_outage_lasts_until_now_or_its_end_and_never_less_than_nothing() -> None:
    assert Outage(metering_point="p", start_utc=at(1)).duration(at(3)) == timedelta(minutes=2)
    assert Outage(metering_point="p", start_utc=at(1)).duration(at(0)) == timedelta(0)
    ended = Outage(metering_point="p", start_utc=at(1), end_utc=at(2))
    assert ended.duration(at(9)) == timedelta(minutes=1)
