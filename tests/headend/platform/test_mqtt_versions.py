"""Brokers that do not speak MQTT 5: one says so, one says nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from quince.headend.platform import mqtt
from quince.headend.platform.mqtt import MqttLink, TlsFiles, open_broker
from quince.model.errors import InvalidValueError

CONNECT, SUBSCRIBE = 0x10, 0x80
CONNACK_REFUSED, CONNACK, SUBACK = b"\x20\x02\x00\x01", b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x01"
PUBLISH_HI = b"\x32\x07\x00\x01a\x00\x05hi"


@asynccontextmanager
async def old_broker(refusal: bytes) -> AsyncIterator[int]:
    """Speak MQTT 3.1.1 alone; give `refusal` to anything newer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = {CONNECT: CONNACK, SUBSCRIBE: SUBACK + PUBLISH_HI}
        while head := await reader.read(2):
            body = await reader.readexactly(head[1])
            is_new = head[0] == CONNECT and body[6] == 5
            writer.write(refusal if is_new else answers.get(head[0] & 0xF0, b""))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("refusal", [CONNACK_REFUSED, b""])
async def test_a_broker_without_mqtt_5_is_spoken_to_in_3_1_1(
    refusal: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "CONNACK_S_MAX", 0.1)
    async with asyncio.timeout(20), old_broker(refusal) as port:
        link = MqttLink(host="127.0.0.1", port=port, client_id="h", username="u", password="p")
        async with open_broker(link, ["a"]) as broker:
            (delivery,) = await broker.take(1)
            delivery.ack()
            await broker.publish("a", b"x", retain=True, expires_s=5)  # 3.1.1 has no expiry
            assert broker._client.protocol == MQTTProtocolVersion.MQTTv311
            assert (delivery.topic, delivery.payload) == ("a", b"hi")


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="go together"):
        TlsFiles(ca=Path("ca.pem"), cert=Path("cert.pem"))
