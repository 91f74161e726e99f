"""Law 1 with real processes: whatever is killed, and whatever the lines do, arrives once."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from demo.stage import Stage
from tests.chaos.proxy import Mischief, Proxy, Way
from tests.e2e.kill_loop import kill_at_random
from tests.e2e.plant import MOSQUITTO, Plant, PlantConfig

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed (`make mosquitto`)"),
]

CHAOS_S, CUT_S, CALM_S_MAX = 12, 6, 90
# Of MQTT, messages: TCP keeps octets in order, so disorder among them breaks connections only.
BAD_BROKER_LINE = Mischief(
    delay_s=0.005, jitter_s=0.02, drop=0.05, duplicate=0.1, swap=0.1, truncate=0.01, end=0.01
)
# Ciphered and authenticated sessions: a flipped bit must never become a value.
BAD_METER_LINE = Mischief(
    jitter_s=0.02, drop=0.01, duplicate=0.03, swap=0.02, flip=0.05, truncate=0.03, end=0.02
)


@pytest.fixture
def stage(tmp_path: Path):
    with Stage(tmp_path / "stage") as stage:
        yield stage


def test_killing_everything_at_random_loses_nothing_and_invents_nothing(stage):
    plant = Plant(stage, PlantConfig(meters=10, backfill_days=1, live_slots=24, speed=1200))
    outcome = kill_at_random(plant, seed=15)
    assert outcome.kills.total() >= 5
    assert outcome.is_perfect, outcome


async def test_bad_lines_everywhere_lose_nothing_and_invent_nothing(stage):
    plant = Plant(stage, PlantConfig(meters=6, backfill_days=1, live_slots=12, speed=600))
    async with AsyncExitStack() as doors:
        brokers = [await doors.enter_async_context(broker_door(plant, seed)) for seed in (1, 2)]
        meters = [
            await doors.enter_async_context(Proxy(("127.0.0.1", port), seed=port).listen())
            for port in plant.meter_ports
        ]
        await begin(plant, brokers, meters)
        await asyncio.sleep(CHAOS_S)
        brokers[0].cut(Way.TO_CLIENT)  # the gateway speaks, and hears nothing
        brokers[1].cut(Way.TO_SERVER)  # the head-end hears, and its word goes nowhere
        await asyncio.sleep(CUT_S)
        for proxy in (*brokers, *meters):
            proxy.mend()
        await until_complete(plant)
    tally = plant.tally()
    assert (tally.lost, tally.doubled, tally.wrong) == (0, 0, 0)
    assert {"drop", "duplicate", "swap", "truncate"} <= (+sum_of(brokers)).keys()
    assert {"duplicate", "flip", "truncate"} <= (+sum_of(meters)).keys()


def broker_door(plant, seed):
    return Proxy(("127.0.0.1", plant.broker_port), seed=seed, mqtt_packets=True).listen()


async def begin(plant, brokers, meters):
    for proxy in brokers:
        proxy.mistreat(BAD_BROKER_LINE)
    for proxy in meters:
        proxy.mistreat(BAD_METER_LINE)
    plant.set_up(
        broker_doors=tuple(proxy.port for proxy in brokers),
        meter_doors=[proxy.port for proxy in meters],
    )
    plant.start_all()


async def until_complete(plant):
    async with asyncio.timeout(CALM_S_MAX):
        while not plant.is_complete():  # noqa: ASYNC110 - another process writes the file
            await asyncio.sleep(0.5)


def sum_of(proxies):
    return sum((proxy.counts for proxy in proxies), Counter())
