"""The whole way through a real broker."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from quince.headend import wiring
from quince.headend.ingest.consumer import consume
from quince.headend.ingest.service import Received
from quince.headend.platform.mqtt import PACKET_BYTES_MAX, MqttBroker, MqttLink, open_broker
from quince.model.clock import SystemClock
from quince.model.interval import IntervalSeries
from quince.model.obis import ACTIVE_IMPORT_INTERVAL
from quince.protocols.gateway.messages import MESSAGE_BYTES_MAX, Content, decode_ack
from quince.protocols.gateway.topics import cell_filters


class GatewayClient:
    """A gateway's connection: publishes, and keeps the acknowledgements it hears."""

    def __init__(self, port: int) -> None:
        self.heard: asyncio.Queue[int] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.on_connect = lambda client, *_: client.subscribe(
            "quince/v1/north/gw-1/down/ack", qos=1
        )
        self.client.on_message = lambda _client, _data, message: self.hear(loop, message)
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()

    def hear(self, loop: asyncio.AbstractEventLoop, message: MQTTMessage) -> None:
        upto = decode_ack(bytes(message.payload)).upto
        loop.call_soon_threadsafe(self.heard.put_nowait, upto)

    def publish(self, *messages: Received) -> None:
        for message in messages:
            self.client.publish(message.topic, message.payload, qos=1)

    async def wait_for(self, upto: int) -> None:
        async with asyncio.timeout(10):
            while await self.heard.get() < upto:
                pass


@asynccontextmanager
async def gateway_client(port: int) -> AsyncIterator[GatewayClient]:
    one = GatewayClient(port)
    yield one
    one.client.disconnect()
    await asyncio.to_thread(one.client.loop_stop)


@asynccontextmanager
async def session(port: int) -> AsyncIterator[MqttBroker]:
    link = MqttLink(host="127.0.0.1", port=port, client_id="quince-headend-north")
    async with asyncio.timeout(20), open_broker(link, cell_filters("north")) as broker:
        yield broker


@asynccontextmanager
async def running_headend(database: Path, port: int) -> AsyncIterator[None]:
    with wiring.open_ingest(database) as ingest:
        async with session(port) as broker:
            loop = asyncio.create_task(consume(broker, ingest, SystemClock()))
            yield
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)


async def stored(database: Path, count: int) -> tuple[int | None, ...]:
    async with wiring.open_usage(database) as usage:
        final = await usage.final_series(
            tenant_id=1,
            meter_id="m-1",
            obis=ACTIVE_IMPORT_INTERVAL,
            start_utc=datetime(2026, 3, 8, tzinfo=UTC),
            end_utc=datetime(2026, 3, 8, count // 4, tzinfo=UTC),
        )
    return final.values


async def test_an_interval_goes_through_the_broker_and_comes_back_as_a_watermark(
    database: Path, mosquitto: Any, gateway: Any, series: Callable[..., IntervalSeries]
) -> None:
    message = gateway.send(Content(series=(series("2026-03-08", 5, 6, None, 8),)))
    async with running_headend(database, mosquitto.port), gateway_client(mosquitto.port) as client:
        client.publish(message)
        await client.wait_for(1)
    assert await stored(database, 4) == (5, 6, None, 8)


async def test_what_a_dead_headend_did_not_acknowledge_comes_to_the_next_one(
    database: Path, mosquitto: Any, gateway: Any, series: Callable[..., IntervalSeries]
) -> None:
    first = gateway.send(Content(series=(series("2026-03-08T00:00", 1, 2, 3, 4),)))
    second = gateway.send(Content(series=(series("2026-03-08T01:00", 5, 6, 7, 8),)))
    async with gateway_client(mosquitto.port) as client:
        async with session(mosquitto.port) as broker:
            client.publish(first)
            await broker.take(1)  # and dies without a commit
        client.publish(second)
        async with running_headend(database, mosquitto.port):
            await client.wait_for(2)
    assert await stored(database, 8) == (1, 2, 3, 4, 5, 6, 7, 8)


async def test_an_acknowledgement_of_a_lost_connection_is_not_sent_on_the_next(
    mosquitto: Any, gateway: Any
) -> None:
    async with gateway_client(mosquitto.port) as client, session(mosquitto.port) as broker:
        client.publish(gateway.send(Content()))
        (delivery,) = await broker.take(1)
        connection: Any = broker._client.socket()
        connection.shutdown(socket.SHUT_RDWR)  # the network fails
        (again,) = await broker.take(1)
        delivery.ack()
        assert again.payload == delivery.payload
        assert again._connection_no == delivery._connection_no + 1


async def test_the_largest_message_comes_and_a_larger_one_is_not_even_sent_to_us(
    mosquitto: Any,
) -> None:
    topic = f"quince/v1/{'n' * 63}/{'g' * 63}/up/iv"
    link = MqttLink(host="127.0.0.1", port=mosquitto.port, client_id="h")
    async with gateway_client(mosquitto.port) as client, open_broker(link, [topic]) as broker:
        for size in (PACKET_BYTES_MAX, MESSAGE_BYTES_MAX):
            client.client.publish(topic, bytes(size), qos=1)
        async with asyncio.timeout(10):
            (delivery,) = await broker.take(1)
    assert len(delivery.payload) == MESSAGE_BYTES_MAX


async def test_a_burst_is_taken_in_batches(mosquitto: Any, gateway: Any) -> None:
    async with session(mosquitto.port) as broker, gateway_client(mosquitto.port) as client:
        client.publish(*(gateway.send(Content()) for _ in range(10)))
        sizes = [0]
        while sum(sizes) < 10:
            sizes.append(len(await broker.take(4)))
        assert sum(sizes) == 10
        assert max(sizes) <= 4
