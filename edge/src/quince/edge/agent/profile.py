"""Visits to meters that keep a load profile: the newest stretch, older ones, and those asked again.

Law: what to read is what no committed round has covered; where the meter had nothing, nothing is.
"""

from collections import deque
from collections.abc import Callable

import structlog

from quince.edge.agent.intake import Intake
from quince.edge.agent.plan import MeterPlan
from quince.edge.agent.post import Post
from quince.edge.outbox.store import Round
from quince.edge.readers.reader import ProfilePiece, Reader
from quince.edge.schedule.rules import (
    SETTLED_AFTER,
    Span,
    mark,
    uncovered,
    window,
)
from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import Lane

log = structlog.get_logger()


class ProfileVisits:
    """Reads profiles in open sessions, one local day or less at a time."""

    def __init__(self, intake: Intake, *, backfill_days: int) -> None:
        """`backfill_days` before today are worth reading; it may be changed."""
        self._intake = intake
        self.backfill_days = backfill_days

    async def poll(self, post: Post, reader: Reader) -> None:
        """Read the stretch up to the present, and see which older ones there are."""
        plan = post.plan
        whole = await self._window(plan, reader, days=self.backfill_days)
        self._intake.outbox.forget_coverage(plan.meter_id, whole.start_utc.date())
        covered = self._intake.outbox.coverage(plan.meter_id)
        spans = uncovered(covered, whole, utc_offset_min=plan.utc_offset_min)
        post.backlog = deque(span for span in spans if span.end_utc != whole.end_utc)
        for span in spans:
            if span.end_utc == whole.end_utc:
                await self._read(plan, reader, span, whole, Lane.LIVE)

    async def fill(self, post: Post, reader: Reader) -> None:
        """Read the next older stretch; what cannot be read is tried again behind the next poll."""
        whole = await self._window(post.plan, reader, days=self.backfill_days)
        span = post.backlog[0]
        try:
            await self._read(post.plan, reader, span, whole, Lane.BACKFILL)
        except (CodecError, InvalidValueError) as error:
            log.warning(
                "stretch_refused",
                meter_id=post.plan.meter_id,
                start_utc=span.start_utc.isoformat(),
                reason=str(error),
            )
        post.backlog.popleft()

    async def reread(
        self, plan: MeterPlan, reader: Reader, spans: deque[Span], must_yield: Callable[[], bool]
    ) -> int:
        """Read from `spans` until none is left or `must_yield`; return how many values there were.

        Somebody asked for them: they travel with the live ones.
        """
        whole = await self._window(plan, reader, days=0)
        values = 0
        while spans:
            span = Span(spans[0].start_utc, min(spans[0].end_utc, whole.end_utc))
            if span.start_utc < span.end_utc:
                piece = await self._read(plan, reader, span, whole, Lane.LIVE)
                values += len(piece.series.values) - piece.series.values.count(None)
            spans.popleft()
            if must_yield():
                break
        return values

    async def _window(self, plan: MeterPlan, reader: Reader, *, days: int) -> Span:
        """Return what is worth reading by the meter's clock or ours, whichever is behind."""
        now_utc = min(await reader.clock(), self._intake.clock.now_utc())
        return window(now_utc, days=days, utc_offset_min=plan.utc_offset_min)

    async def _read(
        self, plan: MeterPlan, reader: Reader, span: Span, whole: Span, lane: Lane
    ) -> ProfilePiece:
        piece = await reader.intervals(span.start_utc, span.end_utc)
        content = Content(series=(piece.series, *piece.others), readings=piece.readings)
        bits = mark(piece.series, settled_utc=whole.end_utc - SETTLED_AFTER)
        coverage = {(plan.meter_id, day): slots for day, slots in bits.items()}
        self._intake.keep(Round(messages=((lane, content),), coverage=coverage))
        log.info(
            "intervals_accepted",
            meter_id=plan.meter_id,
            start_utc=piece.series.start_utc.isoformat(),
            count=len(piece.series.values),
            missing=piece.series.values.count(None),
            lane=lane.name,
        )
        return piece
