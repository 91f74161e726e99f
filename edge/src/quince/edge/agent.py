"""The agent: one worker per bus visits its meters when they are due and records what they say.

Law: a round is accepted when its commit returns, and not before; a meter that misbehaves costs
its bus time, and other buses nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NoReturn

import structlog

from quince.edge.outbox.store import Outbox, Round
from quince.edge.readers.reader import ProfilePiece, Reader
from quince.edge.schedule.rules import (
    SETTLED_AFTER,
    jitter_s,
    mark,
    next_boundary,
    uncovered,
    window,
)
from quince.edge.schedule.sampling import SKEW_FLAGGED, SKEW_MAX, Sample, interval_between
from quince.model.clock import Clock
from quince.model.errors import CodecError, InvalidValueError
from quince.model.interval import IntervalSeries, RegisterReading, floor_boundary
from quince.model.obis import Obis
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import Lane

log = structlog.get_logger()

VISIT_S_MAX = 300.0  # a year of profile over 9600 baud takes longer, and continues next visit
BACKOFF_S_MIN, BACKOFF_S_MAX = 5, 300  # a dead meter is asked again within five minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPlan:
    """One meter as the agent sees it: how to open a session, and how to read it."""

    meter_id: str
    bus: str
    keeps_profile: bool
    utc_offset_min: int
    connect: Callable[[], AbstractAsyncContextManager[Reader]]
    rolls_over_at: Mapping[Obis, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Turn:
    """When a meter is due, and how often it has failed in a row."""

    plan: MeterPlan
    due_utc: datetime
    failures: int = 0


class Agent:
    """Reads every meter of one gateway, for ever."""

    def __init__(
        self,
        *,
        gateway: str,
        plans: Sequence[MeterPlan],
        backfill_days: int,
        outbox: Outbox,
        stir: Callable[[], None],
        clock: Clock,
    ) -> None:
        """Bind the agent; `stir` tells the uplink that the outbox holds something new."""
        self._jitter = timedelta(seconds=jitter_s(gateway))
        self._plans = plans
        self._backfill_days = backfill_days
        self._outbox = outbox
        self._stir = stir
        self._clock = clock
        self._sampled_at: dict[str, tuple[datetime, float]] = {}

    async def run(self) -> None:
        """Run one worker per bus until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for bus in dict.fromkeys(plan.bus for plan in self._plans):
                plans = [plan for plan in self._plans if plan.bus == bus]
                workers.create_task(self._work(plans), name=bus)

    async def _work(self, plans: Sequence[MeterPlan]) -> NoReturn:
        turns = [_Turn(plan, self._first_due(plan)) for plan in plans]
        while True:
            for turn in turns:  # a clock set back must not leave a turn in a far future
                turn.due_utc = min(turn.due_utc, self._next_due(turn.plan))
            turn = min(turns, key=lambda turn: turn.due_utc)
            await asyncio.sleep(self._clock.seconds_until(turn.due_utc))
            await self._take(turn)

    async def _take(self, turn: _Turn) -> None:
        try:
            async with asyncio.timeout(VISIT_S_MAX):
                await self.visit(turn.plan)
        except Exception as error:  # noqa: BLE001 - a bus's outermost loop: no meter may end it
            turn.failures += 1
            log.warning(
                "visit_failed",
                meter_id=turn.plan.meter_id,
                failures=turn.failures,
                error=type(error).__name__,
                reason=str(error),
            )
            turn.due_utc = self._retry_due(turn)
        else:
            turn.failures = 0
            turn.due_utc = self._next_due(turn.plan)

    async def visit(self, plan: MeterPlan) -> None:
        """Read one meter once: what its profile has and we have not, or one register sample."""
        async with plan.connect() as reader:
            if plan.keeps_profile:
                await self._read_profile(plan, reader)
            else:
                await self._sample(plan, reader)

    async def _read_profile(self, plan: MeterPlan, reader: Reader) -> None:
        meter_now_utc = await reader.clock()
        whole = window(
            min(meter_now_utc, self._clock.now_utc()),
            days=self._backfill_days,
            utc_offset_min=plan.utc_offset_min,
        )
        self._outbox.forget_coverage(plan.meter_id, whole.start_utc.date())
        covered = self._outbox.coverage(plan.meter_id)
        refused: CodecError | InvalidValueError | None = None
        for span in uncovered(covered, whole, utc_offset_min=plan.utc_offset_min):
            lane = Lane.LIVE if span.end_utc == whole.end_utc else Lane.BACKFILL
            try:
                piece = await reader.intervals(span.start_utc, span.end_utc)
            except (CodecError, InvalidValueError) as error:
                refused = refused or error  # one bad day must not hide the days behind it
                continue
            self._accept(piece, lane, settled_utc=whole.end_utc - SETTLED_AFTER)
        if refused is not None:
            raise refused

    def _accept(self, piece: ProfilePiece, lane: Lane, *, settled_utc: datetime) -> None:
        meter_id = piece.series.meter_id
        content = Content(series=(piece.series, *piece.others), readings=piece.readings)
        bits = mark(piece.series, settled_utc=settled_utc)
        coverage = {(meter_id, day): slots for day, slots in bits.items()}
        self._outbox.record(Round(messages=((lane, content),), coverage=coverage))
        self._stir()
        log.info(
            "intervals_accepted",
            meter_id=meter_id,
            start_utc=piece.series.start_utc.isoformat(),
            count=len(piece.series.values),
            missing=piece.series.values.count(None),
            lane=lane.name,
        )

    async def _sample(self, plan: MeterPlan, reader: Reader) -> None:
        boundary_utc = floor_boundary(self._clock.now_utc())
        readings = await self._registers_behind(boundary_utc, reader)
        samples = [Sample(boundary_utc=boundary_utc, reading=reading) for reading in readings]
        timely = tuple(sample for sample in samples if sample.timely)
        if not timely:
            log.warning("sample_too_late", boundary_utc=boundary_utc.isoformat())
            return
        steady = self._clock_was_steady(plan.meter_id)
        series = tuple(
            filter(None, (self._interval_to(plan, sample) for sample in timely if steady))
        )
        content = Content(series=series, readings=tuple(sample.reading for sample in timely))
        self._outbox.record(Round(messages=((Lane.LIVE, content),), samples=timely))
        self._stir()
        log.info("sample_accepted", boundary_utc=boundary_utc.isoformat(), count=len(timely))

    async def _registers_behind(
        self, boundary_utc: datetime, reader: Reader
    ) -> list[RegisterReading]:
        """Return registers of behind the border by the meter's clock too, if that is near enough.

        A reading bears the meter's own time where it shows one; a clock that is slow would put
        every sample before its border.
        """
        readings = await reader.registers()
        early = boundary_utc - max((one.at_utc for one in readings), default=boundary_utc)
        if not timedelta(0) < early <= SKEW_MAX:
            return readings
        await asyncio.sleep(self._clock.seconds_until(self._clock.now_utc() + early))
        return await reader.registers()

    def _clock_was_steady(self, meter_id: str) -> bool:
        """Say whether wall clock and monotonic time agree on how long ago the last sample was.

        Two borders with a clock step between them are not a quarter-hour apart. Behind a restart
        there is nothing to compare with, and the clock is taken at its word.
        """
        now_utc, now_s = self._clock.now_utc(), asyncio.get_running_loop().time()
        then = self._sampled_at.get(meter_id)
        self._sampled_at[meter_id] = (now_utc, now_s)
        if then is None:
            return True
        told_s = self._clock.seconds_until(now_utc + (now_utc - then[0]))
        tolerance_s = self._clock.seconds_until(now_utc + SKEW_FLAGGED)
        return abs(told_s - (now_s - then[1])) <= tolerance_s

    def _interval_to(self, plan: MeterPlan, sample: Sample) -> IntervalSeries | None:
        obis = sample.reading.obis
        before = self._outbox.last_sample(plan.meter_id, obis)
        return interval_between(before, sample, rolls_over_at=plan.rolls_over_at.get(obis))

    def _first_due(self, plan: MeterPlan) -> datetime:
        """A profile can be read at once; a sample means nothing but just behind its border."""
        now_utc = self._clock.now_utc()
        just_behind = now_utc - floor_boundary(now_utc) <= SKEW_MAX
        return now_utc if plan.keeps_profile or just_behind else next_boundary(now_utc)

    def _next_due(self, plan: MeterPlan) -> datetime:
        boundary_utc = next_boundary(self._clock.now_utc())
        return boundary_utc + self._jitter if plan.keeps_profile else boundary_utc

    def _retry_due(self, turn: _Turn) -> datetime:
        now_utc = self._clock.now_utc()
        if turn.plan.keeps_profile:
            backoff_s = min(BACKOFF_S_MIN * 2 ** min(turn.failures - 1, 16), BACKOFF_S_MAX)
            return now_utc + timedelta(seconds=backoff_s)
        soon_utc = now_utc + timedelta(seconds=BACKOFF_S_MIN)
        in_time = soon_utc - floor_boundary(now_utc) <= SKEW_MAX
        return soon_utc if in_time else self._next_due(turn.plan)
