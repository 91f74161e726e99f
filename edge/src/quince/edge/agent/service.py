"""The agent of one gateway: a worker for each bus, and the ways to ask a meter between its polls.

Law: a round is accepted when its commit returns, and not before.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from quince.edge.agent.bus import VISIT_S_MAX, Bus, Visits
from quince.edge.agent.clock_watch import ClockWatch
from quince.edge.agent.health import AgentHealth, MeterHealth
from quince.edge.agent.intake import Intake
from quince.edge.agent.plan import MeterPlan
from quince.edge.agent.post import Post
from quince.edge.agent.profile import ProfileVisits
from quince.edge.agent.right_of_way import Urgency
from quince.edge.agent.samples import SampleVisits
from quince.edge.errors import BusyError, ReadTimeoutError
from quince.edge.outbox.store import Outbox
from quince.edge.readers.reader import Instrument
from quince.edge.schedule.rules import Span, jitter_s, uncovered
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.model.event import GatewayEventKind
from quince.model.interval import require_boundary

# A head-end that asks more of one bus at once does not know that it is one.
WAITING_MAX = 64
REREAD_MAX = timedelta(days=400)  # meters keep no more

_T = TypeVar("_T")


class Agent:
    """Reads every meter of one gateway, for ever."""

    def __init__(  # noqa: PLR0913 - a gateway, and the ports it stands on
        self,
        *,
        gateway: str,
        plans: Sequence[MeterPlan],
        backfill_days: int,
        outbox: Outbox,
        stir: Callable[[], None],
        clock: Clock,
        boot: str,
    ) -> None:
        """Bind the agent; `stir` tells the uplink that the outbox holds something new.

        `boot` names this start of the machine: what is monotonic begins anew with it.
        """
        intake = Intake(outbox=outbox, stir=stir, clock=clock)
        self._clock = clock
        self._profiles = ProfileVisits(intake, backfill_days=backfill_days)
        self._visits = Visits(
            intake=intake,
            profiles=self._profiles,
            samples=SampleVisits(intake, boot=boot),
            jitter=timedelta(seconds=jitter_s(gateway)),
            clock=clock,
        )
        self._watch = ClockWatch(
            clock, lambda step_s: intake.tell(GatewayEventKind.CLOCK_STEPPED, f"{step_s:+.1f} s")
        )
        self._posts: dict[str, Post] = {}
        self._buses: dict[str, Bus] = {}
        self._workers: asyncio.TaskGroup | None = None
        self._serve(plans)

    async def run(self) -> None:
        """Run one worker per bus until cancelled."""
        async with asyncio.TaskGroup() as workers:
            self._workers = workers
            workers.create_task(self._watch.run(), name="clock")
            for bus in self._buses.values():
                workers.create_task(bus.work(), name=bus.name)

    # -- between the polls ---------------------------------------------------------------

    async def ask(
        self, meter_id: str, job: Callable[[Instrument], Awaitable[_T]], *, within_s: float
    ) -> _T:
        """Return what `job` returns in a session with a meter, before any poll of its bus.

        InvalidValueError for a meter that is not configured, BusyError if too many wait for its
        bus, ReadTimeoutError if all of it took longer than `within_s`; what the session raises.
        """
        post, bus = self._find(meter_id)
        try:
            async with (
                asyncio.timeout(within_s),
                bus.way.hold(lambda: Urgency.ASKED),
                post.plan.connect() as reader,
            ):
                answer = await job(reader)
        except TimeoutError as error:
            raise ReadTimeoutError(f"{meter_id}: no answer within {within_s} s") from error
        bus.heard(post)
        return answer

    async def reread(self, meter_id: str, start_utc: datetime, end_utc: datetime) -> int:
        """Read [start_utc, end_utc) of a profile again; return how many values there were.

        It goes before older days are read and behind the polls, and is kept as it is read: what
        was kept stays when a later stretch fails. Raises as `ask` does.
        """
        post, bus = self._find(meter_id)
        require_boundary("start_utc", start_utc)
        require_boundary("end_utc", end_utc)
        if not timedelta(0) < end_utc - start_utc <= REREAD_MAX:
            raise InvalidValueError("end_utc", end_utc, f"within {REREAD_MAX.days} days of start")
        whole = Span(start_utc, end_utc)
        spans = deque(uncovered({}, whole, utc_offset_min=post.plan.utc_offset_min))
        values = 0
        while spans:
            values += await self._reread_some(post, bus, spans)
        return values

    async def _reread_some(self, post: Post, bus: Bus, spans: deque[Span]) -> int:
        def is_in_the_way() -> bool:
            return bus.way.is_wanted_above(Urgency.REREAD)

        async with bus.way.hold(lambda: Urgency.REREAD):
            try:
                async with asyncio.timeout(VISIT_S_MAX), post.plan.connect() as reader:
                    values = await self._profiles.reread(post.plan, reader, spans, is_in_the_way)
            except TimeoutError as error:
                raise ReadTimeoutError(
                    f"{post.plan.meter_id}: no end within {VISIT_S_MAX} s"
                ) from error
        bus.heard(post)
        return values

    def _find(self, meter_id: str) -> tuple[Post, Bus]:
        """Return a meter's post and bus, if one more may wait there."""
        post = self._posts.get(meter_id)
        if post is None:
            raise InvalidValueError("meter_id", meter_id, "no meter of this gateway")
        bus = self._buses[post.plan.bus]
        if bus.way.waiting >= WAITING_MAX:
            raise BusyError(f"{bus.name}: {WAITING_MAX} wait for it")
        return post, bus

    # -- other meters --------------------------------------------------------------------

    def replace(self, plans: Sequence[MeterPlan], *, backfill_days: int | None = None) -> None:
        """Read these meters from now on; `backfill_days` stays as it is if None.

        A meter whose plan is equal goes on as if nothing had happened; one that is changed begins
        anew; a visit under way goes to its end.
        """
        if backfill_days is not None:
            self._profiles.backfill_days = backfill_days
        self._serve(plans)

    def _serve(self, plans: Sequence[MeterPlan]) -> None:
        self._posts = {plan.meter_id: self._post(plan) for plan in plans}
        for name in {plan.bus for plan in plans} - self._buses.keys():
            bus = self._buses[name] = Bus(name, self._visits)
            if self._workers is not None:
                self._workers.create_task(bus.work(), name=name)
        for bus in self._buses.values():
            bus.serve(post for post in self._posts.values() if post.plan.bus == bus.name)

    def _post(self, plan: MeterPlan) -> Post:
        before = self._posts.get(plan.meter_id)
        if before is not None and before.plan == plan:
            return before
        post = Post(plan=plan, due_utc=self._visits.first_due(plan))
        if before is not None:
            post.last_good_utc, post.told_silent = before.last_good_utc, before.told_silent
        return post

    # -- how it is -----------------------------------------------------------------------

    def health(self) -> AgentHealth:
        """Return how meters and buses are doing."""
        return AgentHealth(
            meters=tuple(
                MeterHealth(
                    meter_id=meter_id,
                    bus=post.plan.bus,
                    last_good_utc=post.last_good_utc,
                    failures=post.breaker.failures,
                    breaker=post.breaker.state,
                    backlog=len(post.backlog),
                )
                for meter_id, post in self._posts.items()
            ),
            buses=tuple(bus.health for bus in self._buses.values()),
        )
