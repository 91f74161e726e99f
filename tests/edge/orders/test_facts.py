"""What a session tells when half of it fails; and the waiting, in virtual time."""

import asyncio
import hashlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from quince.edge.errors import (
    HeadendRefusedError,
    HeadendUnreachableError,
    ReadTimeoutError,
)
from quince.edge.orders.arrival import prove_arrival
from quince.edge.orders.evidence import Evidence
from quince.edge.orders.facts import Facts, Untold, correct_clock, gather_facts
from quince.edge.orders.verdicts import Verdict
from quince.edge.readers.reader import Identity, WithoutProfile
from quince.model.errors import CodecError, InvalidValueError

NOON = datetime(2026, 5, 2, 12, 7, tzinfo=UTC)


class StoppedClock:
    def now_utc(self) -> datetime:
        return NOON

    def seconds_until(self, _moment_utc: datetime) -> float:
        return 0.0


class RunningClock:
    """Goes on by what is slept, and sleeps no time."""

    def __init__(self) -> None:
        self.now = NOON

    def now_utc(self) -> datetime:
        return self.now

    def seconds_until(self, moment_utc: datetime) -> float:
        self.now = moment_utc
        return 0.0


class HalfAMeter(WithoutProfile):
    _meter_id = "M1"

    def __init__(self, clock_error: Exception | None = None) -> None:
        self.clock_error = clock_error
        self.ahead = timedelta(seconds=9)

    async def identify(self) -> Identity:
        return Identity(serial="SN-1")

    async def clock(self) -> datetime:
        if self.clock_error is not None:
            raise self.clock_error
        return NOON + self.ahead

    async def registers(self) -> Any:
        raise CodecError("nonsense")

    async def set_clock(self, to_utc: datetime) -> None:
        self.ahead = to_utc - NOON


async def test_what_fails_costs_nothing_else() -> None:
    facts = await gather_facts(HalfAMeter(), StoppedClock())
    assert facts.identity == Identity(serial="SN-1")
    assert facts.registers == Untold(reason="codec_error: nonsense", is_fault=True)
    assert isinstance(facts.recent, Untold)
    assert not facts.recent.is_fault
    assert isinstance(facts, Facts)


async def test_a_line_that_breaks_ends_the_session() -> None:
    with pytest.raises(ReadTimeoutError):
        await gather_facts(HalfAMeter(ReadTimeoutError("gone")), StoppedClock())


async def test_a_clock_is_set_in_a_session_of_its_own() -> None:
    meter = HalfAMeter()

    @asynccontextmanager
    async def connect() -> Any:
        yield meter

    assert (await correct_clock(connect, StoppedClock())).drift_s == 0


# -- waiting -----------------------------------------------------------------------------


class Headend:
    """Answers from a list, and its last answer for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[datetime] = []

    async def arrival(self, meter_id: str, since_utc: datetime) -> Any:
        assert meter_id == "M1"
        self.asked.append(since_utc)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


AWAY = HeadendUnreachableError("away")
ARRIVED = {"start": "2026-05-02T12:00:00+00:00", "quality": []}


async def prove(headend: Headend, bar: list[tuple[int, int]]) -> Any:
    return await prove_arrival(
        headend,
        "M1",
        clock=RunningClock(),
        wait_s=60,
        waited=lambda so_far_s, most_s: bar.append((so_far_s, most_s)),
    )


async def test_it_is_asked_again_until_the_running_quarter_hour_is_there() -> None:
    bar: list[tuple[int, int]] = []
    headend = Headend(None, AWAY, AWAY, ARRIVED)
    check, arrival = await prove(headend, bar)
    assert (check.verdict, arrival) == (Verdict.PASS, ARRIVED)
    assert bar == [(0, 60), (10, 60), (20, 60), (30, 60)]
    assert {*headend.asked} == {datetime(2026, 5, 2, 12, tzinfo=UTC)}


async def test_what_does_not_come_in_time_fails() -> None:
    bar: list[tuple[int, int]] = []
    check, arrival = await prove(Headend(None), bar)
    assert (check.verdict, arrival) == (Verdict.FAIL, None)
    assert bar[-1] == (60, 60)


@pytest.mark.parametrize("error", [AWAY, HeadendRefusedError("no")])
async def test_a_head_end_that_cannot_be_asked_proves_nothing(error: Exception) -> None:
    check, arrival = await prove(Headend(error), [])
    assert (check.verdict, arrival) == (Verdict.WARN, None)


# -- evidence ----------------------------------------------------------------------------


def test_a_photograph_is_known_by_its_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"light")
    (photo,) = Evidence(photos=[tmp_path / "a.jpg"]).document()["photos"]
    assert (photo["name"], photo["bytes"]) == ("a.jpg", 5)
    assert photo["sha256"] == hashlib.sha256(b"light").hexdigest()


@pytest.mark.parametrize("position", ["13.692940,-89.218191", "-90, 180", "0,0"])
def test_a_position_is_two_numbers_of_degrees(position: str) -> None:
    assert Evidence(position=position).document()["position"] == position


@pytest.mark.parametrize(
    "evidence",
    [
        {"position": "here"},
        {"position": "91,0"},
        {"position": "0,181"},
        {"seals": ["a"] * 21},
        {"seals": ["a\nb"]},
        {"photos": [Path("a.jpg")] * 21},
        {"note": "x" * 501},
    ],
)
def test_evidence_that_cannot_be_is_refused(evidence: Any) -> None:
    with pytest.raises(InvalidValueError):
        Evidence(**evidence)


def test_a_photograph_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="photo"):
        Evidence(photos=[tmp_path / "none.jpg"]).document()


async def test_who_waits_no_longer_still_has_a_check_for_the_report() -> None:
    bar: list[tuple[int, int]] = []

    def enough(so_far_s: int, most_s: int) -> None:
        bar.append((so_far_s, most_s))
        waiting.cancel()  # as Ctrl-C does

    async def wait() -> Any:
        return await prove_arrival(
            Headend(None), "M1", clock=RunningClock(), wait_s=60, waited=enough
        )

    waiting = asyncio.ensure_future(wait())
    check, arrival = await waiting
    assert (check.verdict, arrival, len(bar)) == (Verdict.WARN, None, 1)
    assert check.says.startswith("Waiting for its arrival at the head-end was broken off")
