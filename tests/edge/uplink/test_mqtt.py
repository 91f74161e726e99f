"""Delivery through a real broker that dies, and through one that speaks MQTT 3.1.1 only."""

import asyncio
import random
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt
import pytest

from quince.edge.config import BrokerConfig
from quince.edge.outbox.store import Outbox, Round
from quince.edge.uplink import mqtt
from quince.edge.uplink.service import Uplink
from quince.headend.assets.rules import read_registration
from quince.headend.ingest.consumer import consume
from quince.headend.platform.mqtt import MqttLink, open_broker
from quince.headend.wiring import open_ingest, register
from quince.model.clock import SystemClock
from quince.model.interval import RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import GatewayAddress, Lane, cell_filters

ADDRESS = GatewayAddress(cell="sv-1", gateway="gw-0001")
DEMO = Path(__file__).parents[3] / "demo"


@pytest.fixture
def outbox(tmp_path):
    with Outbox(tmp_path / "outbox.db", random.Random(1)) as opened:
        yield opened


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(mqtt, "BACKOFF_S_MIN", 0.05)


def put(outbox, value):
    reading = RegisterReading(
        meter_id="M1",
        obis=ACTIVE_IMPORT_REGISTER,
        at_utc=datetime(2026, 5, 1, tzinfo=UTC),
        value=value,
    )
    outbox.record(Round(messages=((Lane.LIVE, Content(readings=(reading,))),)))


@asynccontextmanager
async def gateway(outbox, port):
    uplink = Uplink(outbox, ADDRESS, SystemClock())
    broker = BrokerConfig(host="127.0.0.1", port=port, username="gw-0001")
    running = asyncio.create_task(mqtt.keep_delivering(uplink, broker, ADDRESS, random.Random(1)))
    yield uplink
    running.cancel()
    await asyncio.wait([running])


@asynccontextmanager
async def headend(folder, port):
    database = folder / "headend.db"
    await register(database, read_registration((DEMO / "assets.toml").read_text()))
    link = MqttLink(host="127.0.0.1", port=port, client_id="headend", username="headend")
    with open_ingest(database) as ingest:
        async with open_broker(link, cell_filters("sv-1")) as broker:
            running = asyncio.create_task(consume(broker, ingest, SystemClock()))
            yield
            running.cancel()
            await asyncio.wait([running])


async def emptied(outbox):
    async with asyncio.timeout(30):
        while outbox.count:  # noqa: ASYNC110 - the outbox has no event, on purpose
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("hasty")
async def test_what_is_accepted_is_delivered_and_then_forgotten(mosquitto, outbox, tmp_path):
    put(outbox, 1)
    async with headend(tmp_path, mosquitto.port), gateway(outbox, mosquitto.port):
        await emptied(outbox)


@pytest.mark.usefixtures("hasty")
async def test_a_broker_that_loses_everything_loses_nothing(mosquitto, outbox, tmp_path):
    async with headend(tmp_path, mosquitto.port), gateway(outbox, mosquitto.port) as uplink:
        mosquitto.kill()
        put(outbox, 1)
        uplink.stir()
        await asyncio.sleep(0.2)
        assert outbox.count == 1
        mosquitto.start()
        await emptied(outbox)


@pytest.mark.usefixtures("hasty")
async def test_without_a_head_end_the_broker_alone_empties_nothing(mosquitto, outbox):
    put(outbox, 1)
    async with gateway(outbox, mosquitto.port):
        await asyncio.sleep(0.5)
    assert outbox.count == 1


@pytest.fixture
def old_broker():
    """The demonstration's embedded broker, which speaks MQTT 3.1.1 only."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, str(DEMO / "embedded_broker.py"), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield port
    process.terminate()
    process.wait()


@pytest.mark.usefixtures("hasty")
async def test_a_broker_without_mqtt_5_is_spoken_to_in_3_1_1(old_broker, outbox, tmp_path):
    put(outbox, 1)
    async with gateway(outbox, old_broker), headend(tmp_path, old_broker):
        await emptied(outbox)


class QuietLink:
    async def publish(self, _topic, _payload):
        pass

    async def receive(self):
        return await asyncio.get_running_loop().create_future()


@asynccontextmanager
async def session_that_breaks_as_it_ends(*_):
    try:
        yield QuietLink()
    finally:
        raise aiomqtt.MqttError("could not disconnect")


@pytest.mark.usefixtures("hasty")
async def test_a_gateway_told_to_stop_stops_even_if_its_session_breaks_just_then(
    outbox, monkeypatch
):
    monkeypatch.setattr(mqtt, "_connect", session_that_breaks_as_it_ends)
    uplink = Uplink(outbox, ADDRESS, SystemClock())
    broker = BrokerConfig(host="127.0.0.1", port=1)
    running = asyncio.create_task(mqtt.keep_delivering(uplink, broker, ADDRESS, random.Random(1)))
    await asyncio.sleep(0.05)
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=2)
    assert done == {running}
