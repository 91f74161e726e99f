"""A meter's post: when it is due, what of it is still to be read, and how it has been doing.

Which of a bus's posts has the next turn is decided here, without I/O.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from quince.edge.agent.plan import MeterPlan
from quince.edge.agent.right_of_way import Urgency
from quince.edge.schedule.breaker import BACKOFF_S_MAX, Breaker
from quince.edge.schedule.instant import Instant
from quince.edge.schedule.rules import Span


@dataclass(slots=True, kw_only=True)
class Post:
    """One meter's. `backlog` is whole local days or parts, newest first, of the last poll."""

    plan: MeterPlan
    due_utc: datetime
    breaker: Breaker = field(default_factory=Breaker)
    retry_at_s: float = 0.0  # monotonic, and in force while a profile cannot be read
    backlog: deque[Span] = field(default_factory=deque)
    last_good_utc: datetime | None = None
    told_silent: bool = False

    @property
    def is_retried(self) -> bool:
        """Whether it is tried again when that may help, and not when it is due.

        A sample is due or it is nothing.
        """
        return self.plan.keeps_profile and self.breaker.failures > 0


@dataclass(frozen=True, slots=True)
class Turn:
    """What a post is visited for now; the least is the first."""

    urgency: Urgency
    rank: float
    post: Post


def next_turn(
    posts: Iterable[Post], now: Instant, *, backfill_at_s: float, probed_last: bool
) -> Turn | None:
    """Return who is to be visited now, None if nobody is.

    `backfill_at_s` is when the bus may be used for older days again; with `probed_last` a dead
    meter does not come before a healthy one, however long it has waited.
    """
    turns = (
        _poll(post, now, probed_last=probed_last) or _backfill(post, now, backfill_at_s)
        for post in posts
    )
    return min(filter(None, turns), key=lambda turn: (turn.urgency, turn.rank), default=None)


def _poll(post: Post, now: Instant, *, probed_last: bool) -> Turn | None:
    if now.at_s < post.retry_at_s if post.is_retried else now.utc < post.due_utc:
        return None
    if post.breaker.is_closed:
        urgency = Urgency.POLL if post.plan.keeps_profile else Urgency.SAMPLE
        return Turn(urgency, post.due_utc.timestamp(), post)
    # A bus that is never idle must not leave a dead meter dead for ever.
    overdue = post.is_retried and now.at_s - post.retry_at_s > BACKOFF_S_MAX
    if overdue and not probed_last:
        return Turn(Urgency.POLL, 0, post)
    urgency = Urgency.PROBE_AGAIN if probed_last else Urgency.PROBE
    return Turn(urgency, post.retry_at_s, post)


def _backfill(post: Post, now: Instant, backfill_at_s: float) -> Turn | None:
    if not post.backlog or not post.breaker.is_closed or now.at_s < backfill_at_s:
        return None
    return Turn(Urgency.BACKFILL, -post.backlog[0].end_utc.timestamp(), post)
