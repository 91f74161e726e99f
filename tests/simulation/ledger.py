"""What must hold: a book of what the gateway accepted, and what the head-end has of it."""

import random
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.simulation.meters import NEW, PROFILED, SAMPLED, STEADY, Glance, Site
from tests.simulation.world import DAY, QUIET_EVENING, World

from quince.edge.outbox.store import Outbox, Round
from quince.edge.schedule.sampling import SKEW_FLAGGED, SKEW_MAX
from quince.headend.intervals.rules import EMPTY, decode_block
from quince.headend.platform.sqlite import open_connection
from quince.headend.usage.rules import Conservation
from quince.headend.usage.service import DayCompleteness
from quince.headend.wiring import open_usage
from quince.model.interval import SLOTS_PER_DAY, STEP, STEP_S, IntervalSeries
from quince.protocols.gateway.messages import Envelope, decode_uplink, encode_uplink
from quince.protocols.gateway.topics import Lane

TENANT_ID = 1
_GLANCES_BACK = 8
_NEVER_FILLED = ("interval_conflict", "sequence_hole", "dead_letter", "stray_letter")

Slot = tuple[str, datetime]


class Ledger:
    """Follows one day: told what is accepted, it looks into both files and protests.

    `accepted` has every interval a committed round held, `stored` what the head-end's file was
    last seen to hold; the files are read whole, but each message and each revision only once.
    """

    def __init__(self, world: World, site: Site, outbox: Path, headend: Path) -> None:
        self._world, self._site = world, site
        self._outbox, self._headend = outbox, headend
        self.accepted: dict[Slot, int] = {}
        self.stored: dict[Slot, int] = {}
        self._revisions: dict[tuple[int, int], int] = {}
        self._bodies: dict[bytes, tuple[tuple[Slot, int], ...]] = {}

    # --- what the gateway says --------------------------------------------------------------

    def accept(self, round_: Round) -> None:
        """Take note of a committed round; protest against an invented interval."""
        for _, content in round_.messages:
            for series in content.series:
                self._world.note("accepted", (series.meter_id, series.start_utc, series.values))
                for slot, value in slots_of(series):
                    self._accept_slot(slot, value)

    def _accept_slot(self, slot: Slot, value: int) -> None:
        known = self.accepted.setdefault(slot, value)
        if known != value:
            self._world.protest(f"accepted twice, as {known} and as {value}: {shown(slot)}")
        elif not self._is_true(slot, value):
            self._world.protest(f"invented: {shown(slot)} = {value}")

    def _is_true(self, slot: Slot, value: int) -> bool:
        meter_id, start_utc = slot
        if meter_id in PROFILED:
            return self._site.truth(meter_id, start_utc) == value
        glances = self._site.glances[meter_id][-_GLANCES_BACK:]
        begins = [one for one in glances if _stands_for(one, start_utc)]
        ends = [one for one in glances if _stands_for(one, start_utc + STEP)]
        return any(_encloses(one, other, value) for one in begins for other in ends)

    # --- what both files say ----------------------------------------------------------------

    def check(self) -> None:
        """Law 1, now: accepted is stored or waiting; stored was accepted, and stays as it is."""
        self._follow_headend()
        missing = {slot: v for slot, v in self.accepted.items() if slot not in self.stored}
        if missing:
            waiting = dict(self._waiting())
            for slot, value in missing.items():
                if waiting.get(slot) != value:
                    self._world.protest(f"lost: {shown(slot)} = {value}")
        if self._world.violations:
            raise AssertionError("\n".join(self._world.violations))

    def _follow_headend(self) -> None:
        with closing(open_connection(self._headend)) as db:
            for table in _NEVER_FILLED:
                for row in db.execute(f"select * from {table}"):  # noqa: S608 - named above
                    self._world.protest(f"{table}: {row}")
            names = dict(db.execute("select channel_id, meter_id from channel").fetchall())
            for channel, day, revision, v, q in db.execute(
                "select channel_id, day, rev, v, q from interval_block"
            ):
                if self._revisions.get((channel, day)) != revision:
                    self._revisions[channel, day] = revision
                    values, _ = decode_block(v, q)
                    self._compare_day(names[channel], day, values.tolist())

    def _compare_day(self, meter_id: str, day: int, values: list[int]) -> None:
        first = datetime.fromtimestamp(day * SLOTS_PER_DAY * STEP_S, UTC)
        for index, value in enumerate(values):
            slot = (meter_id, first + index * STEP)
            before = self.stored.get(slot, EMPTY)
            if value == before:
                continue
            if before != EMPTY:
                self._world.protest(f"overwritten: {shown(slot)} = {value}, was {before}")
            elif self.accepted.get(slot) != value:
                self._world.protest(f"stored, never accepted: {shown(slot)} = {value}")
            self.stored[slot] = value

    def _waiting(self) -> Iterable[tuple[Slot, int]]:
        if not self._outbox.exists():
            return
        with Outbox(self._outbox, random.Random(0)) as outbox:
            bodies = {message.body for message in outbox.messages()}
        self._bodies = {body: self._bodies.get(body) or _decoded(body) for body in bodies}
        for slots in self._bodies.values():
            yield from slots

    # --- what the day comes to --------------------------------------------------------------

    def check_the_end(self) -> None:
        """All is quiet: nothing waits, and all that a profiled meter had is at the head-end."""
        self.check()
        if left := dict(self._waiting()):
            self._world.protest(f"{len(left)} intervals wait for ever")
        for slot, value in self._expected():
            if self.stored.get(slot) != value:
                self._world.protest(f"missing: {shown(slot)} = {value}")
        if self._world.violations:
            raise AssertionError("\n".join(self._world.violations))

    def _expected(self) -> Iterable[tuple[Slot, int]]:
        """Give what could be read in peace; the last rows of a meter taken down could not."""
        for meter_id in (STEADY, NEW):
            start_utc = self._world.start_utc - DAY
            while start_utc < self._world.place.end_utc:
                value = self._site.truth(meter_id, start_utc)
                if value is not None:
                    yield (meter_id, start_utc), value
                start_utc += STEP

    async def check_local_day(self) -> None:
        """The head-end's own account of the local day: as long as it was, and conserved."""
        day = self._world.place.day
        async with open_usage(self._headend) as usage:
            rows = await usage.completeness(
                tenant_id=TENANT_ID,
                first_day=day,
                last_day=day,
                now_utc=self._world.place.end_utc + QUIET_EVENING,
            )
        for row in rows:
            self._judge_row(row)
        if self._world.violations:
            raise AssertionError("\n".join(self._world.violations))

    def _judge_row(self, row: DayCompleteness) -> None:
        span = self._world.place
        slots = (span.end_utc - span.start_utc) // STEP
        energies = [
            value
            for (meter_id, start_utc), value in self.stored.items()
            if meter_id == row.meter_id and span.start_utc <= start_utc < span.end_utc
        ]
        told = (row.expected, row.received, row.energy)
        if told != (slots, len(energies), sum(energies)):
            self._world.protest(f"{row.meter_id}: {told} is not what the day had")
        whole = row.meter_id == STEADY and row.received == row.expected
        if whole and row.conservation is not Conservation.CONSERVED:
            self._world.protest(f"{row.meter_id}: a complete day is {row.conservation}")
        exchanged = row.meter_id == SAMPLED  # its register began anew: rightly not conserved
        if row.conservation is Conservation.NOT_CONSERVED and not exchanged:
            self._world.protest(f"{row.meter_id}: not conserved")


def slots_of(series: IntervalSeries) -> Iterable[tuple[Slot, int]]:
    """Give every interval of a series that has a value."""
    for index, value in enumerate(series.values):
        if value is not None:
            yield (series.meter_id, series.start_utc + index * STEP), value


def shown(slot: Slot) -> str:
    """Name a slot for a person."""
    return f"{slot[0]} {slot[1]:%d %H:%M}"


def _stands_for(glance: Glance, border_utc: datetime) -> bool:
    return timedelta(0) <= glance.wall_utc - border_utc <= SKEW_MAX


def _encloses(begin: Glance, end: Glance, value: int) -> bool:
    """Say whether two glances at one device are as far apart as the gateway's clock says."""
    strayed = (end.true_utc - begin.true_utc) - (end.wall_utc - begin.wall_utc)
    same = begin.device is end.device and begin.true_utc < end.true_utc
    return (
        same
        and abs(strayed) <= SKEW_FLAGGED
        and begin.device.grown(begin.true_utc, end.true_utc) == value
    )


def _decoded(body: bytes) -> tuple[tuple[Slot, int], ...]:
    now_utc = datetime.fromtimestamp(0, UTC)
    envelope = Envelope(epoch=1, lane=Lane.LIVE, seq=1, oldest_seq=1, sent_utc=now_utc)
    _, content = decode_uplink(encode_uplink(envelope, body))
    return tuple(pair for series in content.series for pair in slots_of(series))
