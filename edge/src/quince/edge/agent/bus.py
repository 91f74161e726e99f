"""The worker of one bus: it visits the meters there, the most urgent first, for ever.

Law: a meter that misbehaves costs its bus a probe between two healthy turns, and other buses
nothing.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

import structlog

from quince.edge.agent.health import BusHealth
from quince.edge.agent.intake import Intake
from quince.edge.agent.plan import MeterPlan
from quince.edge.agent.post import Post, Turn, next_turn
from quince.edge.agent.profile import ProfileVisits
from quince.edge.agent.right_of_way import RightOfWay, Urgency
from quince.edge.agent.samples import SampleVisits
from quince.edge.errors import OutboxError
from quince.edge.readers.reader import Reader
from quince.edge.schedule.instant import Instant, now_s, real_s
from quince.edge.schedule.rules import next_boundary
from quince.edge.schedule.sampling import SKEW_MAX
from quince.model.clock import Clock
from quince.model.errors import CodecError, InvalidValueError, QuinceError
from quince.model.event import GatewayEventKind
from quince.model.interval import floor_boundary

log = structlog.get_logger()

VISIT_S_MAX = 300.0  # a day of profile at 2400 baud takes a minute; readers give up long before
# A dead meter's line has to open in it: a little more than the silence a DLMS session bears, in
# which a modem may wake up.
PROBE_S_MAX = 25.0
# Between two days of backlog on a bus, so that a year of it is no burst: not for the bus, which
# is given up anyway, but for the meters and for what carries their words.
BACKFILL_PAUSE = timedelta(seconds=2)
# A clock that is set while we wait for a moment of it is noticed this soon.
RECHECK_S = 5.0
# Half an hour of a sampled meter, five minutes of another: less is a modem that was restarted.
SILENT_FAILURES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """What the workers of all buses share."""

    intake: Intake
    profiles: ProfileVisits
    samples: SampleVisits
    jitter: timedelta
    clock: Clock

    def first_due(self, plan: MeterPlan) -> datetime:
        """A profile can be read at once; a sample means nothing but just behind its border."""
        now_utc = self.clock.now_utc()
        just_behind = now_utc - floor_boundary(now_utc) <= SKEW_MAX
        return now_utc if plan.keeps_profile or just_behind else next_boundary(now_utc)

    def next_due(self, plan: MeterPlan) -> datetime:
        """Behind the next border: for samples at once, for profiles when they have their row."""
        boundary_utc = next_boundary(self.clock.now_utc())
        return boundary_utc + self.jitter if plan.keeps_profile else boundary_utc


class Bus:
    """One line and its meters."""

    def __init__(self, name: str, visits: Visits) -> None:
        """Begin without meters."""
        self.name = name
        self.way = RightOfWay()
        self._visits = visits
        self._clock = visits.clock
        self._posts: Sequence[Post] = ()
        self._stirred = asyncio.Event()
        self._visiting: Post | None = None
        self._backfill_at_s = 0.0
        self._probed_last = False

    @property
    def health(self) -> BusHealth:
        """How the bus is doing."""
        visiting = None if self._visiting is None else self._visiting.plan.meter_id
        return BusHealth(bus=self.name, visiting=visiting, waiting=self.way.waiting)

    def serve(self, posts: Iterable[Post]) -> None:
        """Serve these posts from the next turn on; a visit under way goes to its end."""
        self._posts = tuple(posts)
        self._stirred.set()

    def heard(self, post: Post) -> None:
        """Note that a meter answers: it is read at once if it was given up."""
        if not post.breaker.is_closed:
            post.due_utc = self._visits.first_due(post.plan)
            self._stirred.set()
        post.breaker.succeeded()
        post.last_good_utc = self._clock.now_utc()
        if post.told_silent:
            post.told_silent = False
            self._visits.intake.tell(GatewayEventKind.METER_BACK, post.plan.meter_id)

    # -- whose turn it is ----------------------------------------------------------------

    async def work(self) -> NoReturn:
        """Visit until cancelled."""
        while True:
            if self._next_turn() is None:
                await self._wait()
                continue
            async with self.way.hold(self._urgency):
                while (turn := self._next_turn()) and not self.way.is_wanted_above(turn.urgency):
                    await self._take(turn)

    def _next_turn(self) -> Turn | None:
        self._keep_near()
        return next_turn(
            self._posts,
            Instant.now(self._clock),
            backfill_at_s=self._backfill_at_s,
            probed_last=self._probed_last,
        )

    def _urgency(self) -> Urgency:
        turn = self._next_turn()
        return Urgency.BACKFILL if turn is None else turn.urgency

    def _keep_near(self) -> None:
        """Bring what is due back where the clock is, whichever way it was set."""
        now_utc = self._clock.now_utc()
        for post in self._posts:
            post.due_utc = min(post.due_utc, self._visits.next_due(post.plan))
            too_late = now_utc - floor_boundary(now_utc) > SKEW_MAX
            if not post.plan.keeps_profile and post.due_utc <= now_utc and too_late:
                log.warning("border_missed", meter_id=post.plan.meter_id)
                post.due_utc = self._visits.next_due(post.plan)

    async def _wait(self) -> None:
        self._stirred.clear()
        now = Instant.now(self._clock)
        wait_s = min([RECHECK_S, *(self._wait_s(post, now) for post in self._posts)])
        try:
            async with asyncio.timeout(wait_s):
                await self._stirred.wait()
        except TimeoutError:
            return

    def _wait_s(self, post: Post, now: Instant) -> float:
        retry_s, due_s = post.retry_at_s - now.at_s, self._clock.seconds_until(post.due_utc)
        poll_s = retry_s if post.is_retried else due_s
        if not post.backlog or not post.breaker.is_closed:
            return poll_s
        return min(poll_s, self._backfill_at_s - now.at_s)

    # -- a turn --------------------------------------------------------------------------

    async def _take(self, turn: Turn) -> None:
        post = turn.post
        self._visiting = post
        self._probed_last = not post.breaker.is_closed
        post.breaker.probe()
        try:
            limit_s = PROBE_S_MAX if self._probed_last else VISIT_S_MAX
            async with asyncio.timeout(limit_s) as limit, post.plan.connect() as reader:
                limit.reschedule(now_s() + VISIT_S_MAX)
                await self._visit(turn, reader)
        except Exception as error:  # noqa: BLE001 - a bus's outermost loop: no meter may end it
            self._failed(turn, error)
        finally:
            self._visiting = None
            if turn.urgency is Urgency.BACKFILL:
                self._backfill_at_s = now_s() + real_s(self._clock, BACKFILL_PAUSE)

    async def _visit(self, turn: Turn, reader: Reader) -> None:
        post = turn.post
        if turn.urgency is Urgency.BACKFILL:
            await self._visits.profiles.fill(post, reader)
            post.last_good_utc = self._clock.now_utc()
            return
        if post.plan.keeps_profile:
            await self._visits.profiles.poll(post, reader)
        else:
            await self._visits.samples.sample(post, reader)
        self.heard(post)
        post.due_utc = self._visits.next_due(post.plan)

    def _failed(self, turn: Turn, error: Exception) -> None:
        post = turn.post
        if turn.urgency is Urgency.BACKFILL:
            post.backlog.clear()  # the next poll that succeeds finds it again
        if isinstance(error, CodecError | InvalidValueError | OutboxError):
            post.breaker.refused()
        else:
            post.breaker.failed()
        log.warning(
            "visit_failed",
            meter_id=post.plan.meter_id,
            failures=post.breaker.failures,
            error=type(error).__name__,
            reason=str(error),
            exc_info=not isinstance(error, QuinceError | OSError | TimeoutError),  # a bug of ours
        )
        self._try_again(post)
        is_silent = not post.breaker.is_closed and post.breaker.failures >= SILENT_FAILURES
        if is_silent and not post.told_silent:
            post.told_silent = True
            self._visits.intake.tell(GatewayEventKind.METER_SILENT, post.plan.meter_id)

    def _try_again(self, post: Post) -> None:
        if post.plan.keeps_profile:
            post.retry_at_s = now_s() + real_s(self._clock, post.breaker.backoff)
            return
        now_utc = self._clock.now_utc()
        soon_utc = now_utc + post.breaker.backoff
        in_time = soon_utc - floor_boundary(now_utc) <= SKEW_MAX
        post.due_utc = soon_utc if in_time else self._visits.next_due(post.plan)
