"""How fast the head-end takes messages, from their octets to the commit (synchronous=FULL)."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from quince.headend.assets.rules import read_registration
from quince.headend.ingest.service import Received
from quince.headend.wiring import open_ingest, register
from quince.model.interval import STEP, IntervalSeries
from quince.model.obis import ACTIVE_IMPORT_INTERVAL
from quince.model.quality import Quality
from quince.protocols.gateway.messages import Content, Envelope, encode_content, encode_uplink
from quince.protocols.gateway.topics import GatewayAddress, Lane, Way

METERS, GATEWAYS = 100, 100  # a batch: a hundred gateways, a hundred meters each
START = datetime(2026, 5, 1, tzinfo=UTC)


def batch(number, slots):
    """Every gateway's next message: its meters' next `slots` intervals."""
    start_utc = START + number * slots * STEP
    for gateway in range(GATEWAYS):
        series = tuple(
            IntervalSeries(
                meter_id=f"m-{gateway}-{meter}",
                obis=ACTIVE_IMPORT_INTERVAL,
                start_utc=start_utc,
                values=(100 + meter,) * slots,
                quality=(Quality.GOOD,) * slots,
            )
            for meter in range(METERS)
        )
        envelope = Envelope(
            epoch=1, lane=Lane.LIVE, seq=number + 1, oldest_seq=number + 1, sent_utc=start_utc
        )
        address = GatewayAddress(cell="north", gateway=f"gw-{gateway}")
        yield Received(
            topic=address.up(Way.INTERVALS),
            payload=encode_uplink(envelope, encode_content(Content(series=series))),
            received_utc=start_utc + timedelta(minutes=1),
        )


@pytest.fixture
async def database(tmp_path):
    gateways = "".join(f'[[gateway]]\nid = "gw-{n}"\ncell = "north"\n' for n in range(GATEWAYS))
    tenant = 'tenant = { id = 1, name = "One", cells = ["north"] }\n'
    await register(tmp_path / "headend.db", read_registration(tenant + gateways))
    return tmp_path / "headend.db"


@pytest.mark.parametrize(("slots", "rounds"), [(1, 20), (96, 5)], ids=["live", "whole_days"])
def test_ten_thousand_meters_next_intervals(benchmark, database, slots, rounds):
    numbers = itertools.count()
    with open_ingest(database) as ingest:
        ingest(list(batch(next(numbers), slots)))  # compiles the kernel, names the channels
        acks = benchmark.pedantic(
            ingest, setup=lambda: ((list(batch(next(numbers), slots)),), {}), rounds=rounds
        )
    assert len(acks) == GATEWAYS
