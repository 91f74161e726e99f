"""Delivery through a real broker that dies, and through one that speaks MQTT 3.1.1 only."""

import asyncio
import random
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from structlog.testing import capture_logs

from quince.edge.config import BrokerConfig, TlsConfig
from quince.edge.errors import LinkError
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
from quince.protocols.gateway.topics import GatewayAddress, Lane, Way, cell_filters

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


@pytest.mark.usefixtures("hasty")
async def test_the_twin_is_retained_for_a_head_end_that_comes_later(mosquitto, outbox):
    uplink = Uplink(outbox, ADDRESS, SystemClock(), twin=lambda: b'{"version": "1"}')
    broker = BrokerConfig(host="127.0.0.1", port=mosquitto.port)
    running = asyncio.create_task(mqtt.keep_delivering(uplink, broker, ADDRESS, random.Random(1)))
    async with asyncio.timeout(10):
        while not await retained(mosquitto.port, ADDRESS.up(Way.TWIN)):
            pass
    assert uplink.contact.version == "V5"
    running.cancel()
    await asyncio.wait([running])


async def retained(port, topic):
    """Return what a broker keeps of a topic, None if it keeps nothing."""
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe(topic)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                return (await anext(aiter(client.messages))).payload
    return None


@pytest.fixture
def guarded_mosquitto(mosquitto, tmp_path):
    """A broker that asks for a certificate; one and the same is everybody's here."""
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 "
        "-keyout key.pem -out cert.pem -subj /CN=gw-0001 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(command.split(), check=True, capture_output=True, cwd=tmp_path)
    (tmp_path / "mosquitto.conf").write_text(
        f"listener {mosquitto.port} 127.0.0.1\nuser root\nrequire_certificate true\n"
        f"use_identity_as_username true\ncafile {tmp_path}/cert.pem\n"
        f"certfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem\n"
    )
    mosquitto.kill()
    mosquitto.start()
    tls = TlsConfig(
        ca_file=tmp_path / "cert.pem",
        cert_file=tmp_path / "cert.pem",
        key_file=tmp_path / "key.pem",
    )
    return BrokerConfig(host="127.0.0.1", port=mosquitto.port, tls=tls)


async def contact_of(uplink, broker, *, online):
    running = asyncio.create_task(mqtt.keep_delivering(uplink, broker, ADDRESS, random.Random(1)))
    async with asyncio.timeout(10):
        while uplink.contact.since_utc is None or uplink.contact.online != online:  # noqa: ASYNC110 - it has no event, on purpose
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait([running])
    return uplink.contact


@pytest.mark.usefixtures("hasty")
async def test_a_certificate_opens_a_broker_that_asks_for_one(guarded_mosquitto, outbox):
    uplink = Uplink(outbox, ADDRESS, SystemClock())
    assert (await contact_of(uplink, guarded_mosquitto, online=True)).version == "V5"


@pytest.mark.usefixtures("hasty")
async def test_where_no_broker_is_there_is_no_contact_and_a_reason(outbox):
    uplink = Uplink(outbox, ADDRESS, SystemClock())
    with socket.create_server(("127.0.0.1", 0)) as closed:
        broker = BrokerConfig(host="127.0.0.1", port=closed.getsockname()[1])
    assert "refused" in (await contact_of(uplink, broker, online=False)).reason


@pytest.mark.usefixtures("hasty")
async def test_a_network_that_is_down_is_no_reason_to_speak_another_version(outbox):
    uplink = Uplink(outbox, ADDRESS, SystemClock())
    with socket.create_server(("127.0.0.1", 0)) as closed:
        broker = BrokerConfig(host="127.0.0.1", port=closed.getsockname()[1])
    with capture_logs() as lines:
        running = asyncio.create_task(
            mqtt.keep_delivering(uplink, broker, ADDRESS, random.Random(1))
        )
        await asyncio.sleep(0.5)
        running.cancel()
        await asyncio.wait([running])
    tried = [line["version"] for line in lines if line["event"] == "link_refused"]
    assert len(tried) > 1
    assert set(tried) == {"V5"}


@pytest.mark.usefixtures("hasty")
async def test_a_gateway_that_is_told_to_stop_says_that_it_is_gone(mosquitto, outbox):
    async with gateway(outbox, mosquitto.port) as uplink, asyncio.timeout(10):
        while not uplink.contact.online:  # noqa: ASYNC110 - it has no event, on purpose
            await asyncio.sleep(0.02)
    assert await retained(mosquitto.port, ADDRESS.up(Way.STATE)) == b'{"state": "offline"}'


class SlowClient:
    """A client whose broker confirms after some seconds; it gives up as impatiently as aiomqtt."""

    def __init__(self, confirming_s):
        self.confirming_s = confirming_s

    @property
    async def messages(self):
        yield None

    async def publish(self, *_args, **options):
        await asyncio.wait_for(asyncio.sleep(self.confirming_s), min(options["timeout"], 1000))


def slow_link(confirming_s):
    client: Any = SlowClient(confirming_s)
    return mqtt.MqttLink(client)


def test_a_bundle_has_a_minute_to_arrive_over_a_narrow_link(in_virtual_time):
    in_virtual_time(slow_link(55).publish("t", b"bundle"))


def test_a_broker_that_confirms_nothing_ends_the_session(in_virtual_time):
    with pytest.raises(LinkError, match="60 s"):
        in_virtual_time(slow_link(65).publish("t", b"bundle"))


@pytest.mark.usefixtures("hasty")
async def test_a_backlog_reaches_the_head_end_in_order_and_whole(mosquitto, outbox, tmp_path):
    for value in range(500):
        put(outbox, value)
    async with headend(tmp_path, mosquitto.port), gateway(outbox, mosquitto.port) as uplink:
        await emptied(outbox)
        assert uplink.last_ack_utc is not None
