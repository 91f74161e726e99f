from datetime import UTC, datetime
from typing import Any, Self

import pytest

from quince.edge.orders.verdicts import Verdict, failed
from quince.edge.orders.visit import _check_old, _offer_clock, typed_reading
from quince.edge.readers.reader import WithoutProfile

NOON = datetime(2026, 5, 2, 12, tzinfo=UTC)
OFF = failed("clock", "Its clock is {drift} off.", drift="+99.0 s")


class Locked(WithoutProfile):
    """A meter whose clock nobody sets."""

    _meter_id = "M1"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


class Asked:
    """A visit, as far as a clock is asked about."""

    def __init__(self, *, says: bool) -> None:
        self.says = says
        self.asked: list[str] = []
        self.clock = self

    def now_utc(self) -> datetime:
        return NOON

    def may_set_clock(self, drift: str) -> bool:
        self.asked.append(drift)
        return self.says


@pytest.mark.parametrize(
    ("says", "sentence"),
    [(False, OFF.says), (True, "Its clock is {drift} off, and could not be set: {reason}")],
)
async def test_a_clock_that_stays_as_it_is_is_reported_so(says: bool, sentence: str) -> None:  # noqa: FBT001 - a case
    visit: Any = Asked(says=says)
    connect: Any = Locked
    (check,) = await _offer_clock(visit, connect, [OFF])
    assert (check.verdict, check.says) == (Verdict.FAIL, sentence)
    assert visit.asked == ["+99.0 s"]


async def test_a_clock_that_could_not_be_read_is_not_offered_to_be_set() -> None:
    visit: Any = Asked(says=True)
    unread = failed("clock", "It could not be read: {reason}", reason="nonsense")
    connect: Any = Locked
    assert await _offer_clock(visit, connect, [unread]) == [unread]
    assert visit.asked == []


def test_an_old_meters_last_reading_needs_active_import() -> None:
    reading = typed_reading("M0", 7, NOON)
    assert _check_old(reading).verdict is Verdict.WARN
    reading["registers"][0]["obis"] = "1-0:2.8.0"
    assert _check_old(reading).verdict is Verdict.FAIL
