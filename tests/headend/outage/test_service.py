import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from quince.headend import wiring
from quince.headend.assets.rules import Meter, Registration, Tenant
from quince.headend.assets.store import AssetStore
from quince.headend.ingest.service import Ingest
from quince.headend.ingest.store import SqliteIngestReader
from quince.headend.outage import consumer, service
from quince.headend.outage.consumer import follow_events
from quince.headend.outage.rules import outages_of
from quince.headend.outage.service import absorb
from quince.headend.outage.store import SqlOutageStore
from quince.headend.platform.sql import open_engine
from quince.headend.platform.sqlite import open_connection
from quince.model.event import EventKind, MeterEvent
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import Lane

GASP, UP = EventKind.LAST_GASP, EventKind.POWER_UP
Told = list[tuple[str, datetime, datetime | None]]


def at(minute: int) -> datetime:
    return datetime(2026, 3, 8, 1, minute, tzinfo=UTC)


@dataclass
class Desk:
    """The outage feature on a real database, fed through ingest."""

    ingest: Ingest
    gateway: Any
    reader: SqliteIngestReader
    assets: AssetStore
    store: SqlOutageStore

    def hear(self, *events: tuple[EventKind, int] | tuple[EventKind, int, str]) -> None:
        for kind, minute, *meter in events:
            event = MeterEvent(
                meter_id=(*meter, "m-1")[0], kind=kind, at_utc=at(minute), received_utc=at(minute)
            )
            self.ingest([self.gateway.send(Content(events=(event,)), lane=Lane.EVENTS)])

    async def absorb(self) -> int:
        return await absorb(tenant_id=1, events=self.reader, points=self.assets, store=self.store)

    async def place(self, meter_id: str, metering_point: str) -> None:
        meter = Meter(meter_id=meter_id, metering_point=metering_point, premise="p", zone="UTC")
        (tenant,) = await self.assets.tenants()
        await self.assets.register(Registration(tenant=tenant, gateways=(), meters=(meter,)))

    async def told(self) -> Told:
        return [
            (one.metering_point, one.start_utc, one.end_utc)
            for one in await self.store.recent(tenant_id=1, limit=100)
        ]


@pytest.fixture
async def desk(database: Path, ingest: Ingest, gateway: Any) -> AsyncIterator[Desk]:
    engine = open_engine(database)
    with closing(open_connection(database)) as connection:
        yield Desk(
            ingest=ingest,
            gateway=gateway,
            reader=SqliteIngestReader(connection),
            assets=AssetStore(engine),
            store=SqlOutageStore(engine),
        )
    await engine.dispose()


async def test_a_last_gasp_makes_its_metering_point_dark(desk: Desk) -> None:
    desk.hear((GASP, 1))
    assert await desk.absorb() == 1
    assert await desk.told() == [("mp-1", at(1), None)]


async def test_a_power_up_ends_it(desk: Desk) -> None:
    desk.hear((GASP, 1))
    await desk.absorb()
    desk.hear((UP, 9))
    await desk.absorb()
    assert await desk.told() == [("mp-1", at(1), at(9))]


async def test_a_power_up_that_arrives_long_before_its_last_gasp_ends_it_too(desk: Desk) -> None:
    desk.hear((UP, 9))
    await desk.absorb()
    desk.hear((GASP, 1))
    await desk.absorb()
    assert await desk.told() == [("mp-1", at(1), at(9))]


async def test_an_earlier_last_gasp_moves_the_start_and_makes_no_second_outage(
    desk: Desk,
) -> None:
    desk.hear((GASP, 5))
    await desk.absorb()
    desk.hear((GASP, 2))
    await desk.absorb()
    assert await desk.told() == [("mp-1", at(2), None)]


async def test_absorbing_again_changes_nothing(desk: Desk) -> None:
    desk.hear((GASP, 1))
    await desk.absorb()
    assert await desk.absorb() == 0


async def test_a_storm_is_absorbed_in_parts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "EVENTS_MAX", 2)
    desk.hear((GASP, 1), (UP, 2), (GASP, 3))
    assert [await desk.absorb() for _ in range(3)] == [2, 1, 0]
    assert await desk.told() == [("mp-1", at(3), None), ("mp-1", at(1), at(2))]


async def test_an_unregistered_meter_stands_for_its_own_metering_point(desk: Desk) -> None:
    desk.hear((GASP, 1, "m-new"))
    await desk.absorb()
    assert await desk.told() == [("m-new", at(1), None)]


async def test_a_meter_registered_during_its_outage_ends_it(desk: Desk) -> None:
    desk.hear((GASP, 1, "m-new"))
    await desk.absorb()
    await desk.place("m-new", "mp-2")
    desk.hear((UP, 9, "m-new"))
    await desk.absorb()
    assert await desk.told() == [("m-new", at(1), at(9))]


async def test_a_power_up_from_before_the_registration_ends_an_outage_told_after_it(
    desk: Desk,
) -> None:
    desk.hear((UP, 9, "m-new"))
    await desk.absorb()
    await desk.place("m-new", "mp-2")
    desk.hear((GASP, 1, "m-new"))
    await desk.absorb()
    assert await desk.told() == [("mp-2", at(1), at(9))]


async def test_a_meter_whose_metering_point_changes_during_an_outage_ends_it(desk: Desk) -> None:
    desk.hear((GASP, 1))
    await desk.absorb()
    await desk.place("m-1", "mp-2")
    desk.hear((GASP, 3, "m-9"), (UP, 9))
    await desk.absorb()
    assert await desk.told() == [("m-9", at(3), None), ("mp-1", at(1), at(9))]


async def test_open_outages_come_first(desk: Desk) -> None:
    desk.hear((GASP, 1, "m-2"), (GASP, 5), (UP, 6))
    await desk.absorb()
    assert [point for point, *_ in await desk.told()] == ["m-2", "mp-1"]


async def test_the_loop_keeps_up_with_events(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "POLL_PERIOD_S", 0)
    answers = [await desk.assets.tenants()] * 2  # and the third question ends the loop
    told = []

    class Watched(AssetStore):
        async def tenants(self) -> tuple[Tenant, ...]:
            told.append(await desk.told())
            return answers.pop()

    desk.hear((GASP, 1))
    with pytest.raises(IndexError):
        await follow_events(desk.reader, Watched(desk.assets._engine), desk.store)
    assert told == [[], [("mp-1", at(1), None)], [("mp-1", at(1), None)]]


async def test_in_a_storm_the_write_lock_is_free_between_two_batches(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "EVENTS_MAX", 2)
    monkeypatch.setattr(consumer, "EVENTS_MAX", 2)
    slept: list[float] = []
    more = [(GASP, 9)]  # and the second sleep ends the loop

    async def sleep(period_s: float) -> None:
        slept.append(period_s)
        desk.hear(more.pop())

    monkeypatch.setattr(consumer, "asyncio", SimpleNamespace(sleep=sleep))
    desk.hear((GASP, 1), (UP, 2))
    with pytest.raises(IndexError):
        await follow_events(desk.reader, desk.assets, desk.store)
    assert slept == [consumer.BREATH_S, consumer.POLL_PERIOD_S]


async def test_a_gateway_that_falls_silent_makes_nobody_dark(desk: Desk) -> None:
    topic = desk.gateway.address.up("st")
    silent = desk.gateway.send(Content())
    desk.ingest([type(silent)(topic=topic, payload=b'{"state":"offline"}', received_utc=at(1))])
    await desk.absorb()
    assert await desk.told() == []


events = st.lists(st.tuples(st.sampled_from([GASP, UP]), st.integers(0, 9)), min_size=1, max_size=8)


@given(events=events, cuts=st.lists(st.booleans(), min_size=8, max_size=8))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_however_the_events_come_the_outages_are_those_of_all_evidence(
    tmp_path_factory: pytest.TempPathFactory,
    database: Path,
    new_gateway: Callable[..., Any],
    events: list[tuple[EventKind, int]],
    cuts: list[bool],
) -> None:
    path = tmp_path_factory.mktemp("outage") / "headend.sqlite"
    path.write_bytes(database.read_bytes())
    step_by_step, evidence = asyncio.run(_tell(path, new_gateway(), events, cuts))
    assert step_by_step == evidence


async def _tell(
    path: Path, gateway: Any, events: list[tuple[EventKind, int]], cuts: list[bool]
) -> tuple[Told, Told]:
    """Return the outages as told step by step, and as told at once from all evidence."""
    engine = open_engine(path)
    with wiring.open_ingest(path) as ingest, closing(open_connection(path)) as connection:
        store = SqlOutageStore(engine)
        desk = Desk(ingest, gateway, SqliteIngestReader(connection), AssetStore(engine), store)
        for event, is_cut in zip(events, cuts, strict=False):
            desk.hear(event)
            await asyncio.gather(*[desk.absorb() for _ in range(is_cut)])
        await desk.absorb()
        async with store.writing(1) as book:
            evidence = await book.evidence("mp-1", at(0))
        told = sorted(await desk.told(), key=lambda one: one[1])
    await engine.dispose()
    return told, [("mp-1", one.start_utc, one.end_utc) for one in outages_of("mp-1", evidence)]
