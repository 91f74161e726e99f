"""Visits to meters without a load profile: their registers, just behind each border.

Law: a quarter-hour is told once; a clock that was set neither tells it again nor stretches it.
"""

import asyncio
from datetime import datetime, timedelta

import structlog

from quince.edge.agent.intake import Intake
from quince.edge.agent.post import Post
from quince.edge.outbox.store import Round
from quince.edge.readers.reader import Reader
from quince.edge.schedule.instant import Instant, real_s, step_s
from quince.edge.schedule.rules import is_covered, mark
from quince.edge.schedule.sampling import (
    SKEW_FLAGGED,
    SKEW_MAX,
    Sample,
    SampleTaken,
    interval_between,
)
from quince.model.interval import IntervalSeries, RegisterReading, floor_boundary
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import Lane

log = structlog.get_logger()

# What was told is known for as long as a clock is likely to be set back: a month and some days.
TOLD_KEPT = timedelta(days=35)


class SampleVisits:
    """Samples registers in open sessions."""

    def __init__(self, intake: Intake, *, boot: str) -> None:
        """Take where the samples go; `boot` names this start of the machine."""
        self._intake = intake
        self._boot = boot
        self._clock = intake.clock

    async def sample(self, post: Post, reader: Reader) -> None:
        """Read the registers for the border just behind us, and the intervals they close."""
        boundary_utc = floor_boundary(self._clock.now_utc())
        readings = await self._registers_behind(boundary_utc, reader)
        samples = [Sample(boundary_utc=boundary_utc, reading=reading) for reading in readings]
        timely = tuple(sample for sample in samples if sample.timely)
        if not timely:
            log.warning("sample_too_late", boundary_utc=boundary_utc.isoformat())
            return
        taken = SampleTaken(
            boot=self._boot,
            measured_as=post.plan.measured_as,
            instant=Instant.now(self._clock),
        )
        series = self._intervals(post, timely) if self._continues(post, taken) else ()
        content = Content(series=series, readings=tuple(sample.reading for sample in timely))
        self._intake.keep(
            Round(
                messages=((Lane.LIVE, content),),
                coverage={
                    (post.plan.meter_id, day): slots
                    for one in series
                    for day, slots in mark(one, settled_utc=boundary_utc).items()
                },
                samples=timely,
                taken={post.plan.meter_id: taken},
            )
        )
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
        await asyncio.sleep(real_s(self._clock, early))
        return await reader.registers()

    def _continues(self, post: Post, taken: SampleTaken) -> bool:
        """Say whether the last sample was measured alike, and when both clocks say it was.

        Two borders with a clock step between them are not a quarter-hour apart. Across a start of
        the machine there is nothing to compare with, and a clock that lost its battery would
        invent energy: such an interval is missing. So would another transformer ratio.
        """
        before = self._intake.outbox.sample_taken(post.plan.meter_id)
        if before is None or before.boot != taken.boot or before.measured_as != taken.measured_as:
            return False
        tolerance_s = real_s(self._clock, SKEW_FLAGGED)
        return abs(step_s(self._clock, before.instant, taken.instant)) <= tolerance_s

    def _intervals(self, post: Post, samples: tuple[Sample, ...]) -> tuple[IntervalSeries, ...]:
        """Return what the samples enclose with those before them, unless that was told already."""
        meter_id = post.plan.meter_id
        outbox = self._intake.outbox
        series = (
            interval_between(
                outbox.last_sample(meter_id, sample.reading.obis),
                sample,
                rolls_over_at=post.plan.rolls_over_at.get(sample.reading.obis),
            )
            for sample in samples
        )
        outbox.forget_coverage(meter_id, (self._clock.now_utc() - TOLD_KEPT).date())
        told = outbox.coverage(meter_id)
        return tuple(
            one for one in series if one is not None and not is_covered(told, one.start_utc)
        )
