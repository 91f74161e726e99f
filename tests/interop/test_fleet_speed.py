"""How many meters a second one gateway process reads: association, a day's profile, release.

The meters are another process; 64 of them are read at a time, each as the gateway's agent does.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import Login, login
from quince.edge.readers.reader import ProfilePiece
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Gmac
from quince.protocols.dlms.security.suite import Keys

METERS, AT_A_TIME = 512, 64
DAY = (datetime(2025, 3, 2, 6, 0, tzinfo=UTC), datetime(2025, 3, 3, 6, 0, tzinfo=UTC))
KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(0xD0, 0xE0)))


async def _read(port: int, authenticate: Login) -> ProfilePiece:
    line = DlmsLine(url=f"tcp://127.0.0.1:{port}", client_sap=16, server_sap=1)
    async with open_dlms(
        line,
        meter_id=f"M{port}",
        login=authenticate,
        utc_offset_min=-360,
        rng=SystemRandom(),
    ) as reader:
        return await reader.intervals(*DAY)


async def _read_all(ports: list[int], authenticate: Login) -> int:
    """Return how many intervals came; each of the workers takes the next meter when it is free."""
    due = iter(ports)

    async def work() -> int:
        return sum([len((await _read(port, authenticate)).series.values) for port in due])

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for _ in range(AT_A_TIME)]
    return sum(task.result() for task in tasks)


@pytest.mark.benchmark(group="512 meters' day over wrapper, gmac")
def test_a_fleets_day(
    benchmark: BenchmarkFixture, serve: Callable[..., list[int]], tmp_path: Path
) -> None:
    ports = serve(link="wrapper", security="gmac", meters=METERS)
    with CounterStore(tmp_path / "counters.db") as counters:
        authenticate = login(
            Gmac(system_title=b"QNG\0\0\0\0\1", keys=KEYS, counters=MemoryCounters()),
            counters,
            meter_id="M1",
        )
        intervals = benchmark.pedantic(
            lambda: asyncio.run(_read_all(ports, authenticate)), rounds=5, warmup_rounds=1
        )
    assert intervals == METERS * 96
    assert benchmark.stats
    benchmark.extra_info["meters_per_s"] = round(METERS / benchmark.stats.stats.median)
