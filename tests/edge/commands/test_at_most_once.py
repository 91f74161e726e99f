"""Whatever is repeated, and whenever the gateway stops: what is never done twice is not."""

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from quince.edge.outbox.store import Outbox
from quince.protocols.gateway.commands import SetClock

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), st.integers(0, 4)),
        st.tuples(st.just("run"), st.integers(0, 12)),
        st.tuples(st.just("stop"), st.just(0)),
    ),
    max_size=25,
)


class Meter:
    """Takes some turns of the loop for everything, and counts how often its clock is set."""

    def __init__(self, clock):
        self._clock = clock
        self.told: Counter[str] = Counter()

    async def ask(self, meter_id, job, **_):
        return await job(Session(self, meter_id, self._clock))


class Session:
    def __init__(self, meter, meter_id, clock):
        self._meter, self._meter_id, self._clock = meter, meter_id, clock

    async def clock(self):
        await asyncio.sleep(0)
        return self._clock.now_utc()

    async def set_clock(self, _to_utc):
        self._meter.told[self._meter_id] += 1
        await asyncio.sleep(0)


class Life:
    """Lives of one gateway on one outbox."""

    def __init__(self, start, meter, outbox):
        self._start, self._meter, self._outbox = start, meter, outbox
        self.begin()

    def begin(self):
        self.gateway = self._start(self._meter, outbox=self._outbox)
        self._task = asyncio.create_task(self.gateway.commands.run())

    async def stop(self):
        self._task.cancel()
        await asyncio.wait([self._task])


async def live(steps, life, messages):
    for what, number in steps:
        match what:
            case "tell":
                life.gateway.commands.take(messages[number])
            case "run":
                for _ in range(number):
                    await asyncio.sleep(0)
            case _:
                await life.stop()
                life.begin()
    for _ in range(200):
        await asyncio.sleep(0)
    await life.stop()


@pytest.fixture
def commands(head_end):
    return [head_end.command(SetClock(step_s_max=60), meter_id=f"M{n}") for n in range(5)]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_a_clock_is_set_at_most_once_and_each_command_ends_once(
    steps, start, head_end, commands, clock, tmp_path_factory
):
    messages = [head_end.sign(command) for command in commands]
    meter = Meter(clock)
    with Outbox(tmp_path_factory.mktemp("life") / "outbox.db", random.Random(1)) as outbox:

        async def whole() -> Life:
            life = Life(start, meter, outbox)
            await live(steps, life, messages)
            return life

        gateway = asyncio.run(whole()).gateway
        told = {number for what, number in steps if what == "tell"}
        ends = [
            [stage for stage in gateway.stages(command) if stage.is_final] for command in commands
        ]
    assert all(count == 1 for count in meter.told.values())
    assert [len(stages) for stages in ends] == [int(number in told) for number in range(5)]
