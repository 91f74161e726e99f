"""The broker, as the ingest loop wants it: paho's thread behind an asyncio queue, acks by hand.

Law: a message is acknowledged (PUBACK) only by `Delivery.ack`, and only on the connection that
brought it: packet identifiers are used again on the next one.
"""

import asyncio
import math
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from paho.mqtt.client import Client, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from quince.model.errors import InvalidValueError
from quince.protocols.gateway.messages import MESSAGE_BYTES_MAX

log = structlog.get_logger()

# Beyond this many unprocessed messages paho's thread stands still, and TCP holds the broker back.
# Mosquitto ignores receive-maximum while it drains a backlog, so the bound is ours to keep.
PENDING_MAX = 2_000
IN_FLIGHT_MAX = 1_000  # what we ask an MQTT 5 broker to leave unacknowledged at a time
OUTGOING_MAX = 10_000  # acks waiting for a connection; a lost one is asked for again
# What a broker may send us at all: the largest message, its topic (at most 146 characters) and the
# header with what properties a publisher adds. MQTT 5 makes it drop anything larger.
PACKET_BYTES_MAX = MESSAGE_BYTES_MAX + 4_096
SESSION_EXPIRY_S = 7 * 86_400  # as long as the broker is to keep messages for an absent head-end
KEEPALIVE_S = 30
RECONNECT_S_MIN, RECONNECT_S_MAX = 1, 30
LINGER_S = 0.02  # a commit costs a disk flush: wait this long for company
# Some 3.1.1 brokers do not refuse an MQTT 5 CONNECT but wait for more of it, for ever. Falling back
# from a broker that was merely slow costs nothing: it keeps the same session for us.
CONNACK_S_MAX = 2
_AT_LEAST_ONCE = 1
_UNSUPPORTED_VERSION = 132  # MQTT 5.0, CONNACK reason code 0x84; paho maps 3.1.1's 0x01 to it
_STAND_STILL_S = 0.5  # how long paho's thread takes at most to see that we are closing


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: whom to trust, and who we are."""

    ca: Path
    cert: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise InvalidValueError("tls.key", self.key, "a certificate and its key go together")


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttLink:
    """Where the broker is and who we are there; a fixed `client_id` keeps the session ours."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = None
    tls: TlsFiles | None = None


class MqttDelivery:
    """One message, and the right to acknowledge it."""

    def __init__(self, broker: "MqttBroker", connection_no: int, message: MQTTMessage) -> None:
        self.topic: str = message.topic
        self.payload = bytes(message.payload)
        self._broker = broker
        self._connection_no = connection_no
        self._mid = message.mid
        self._qos = message.qos

    def ack(self) -> None:
        """Let the broker forget the message; after a reconnect it keeps and repeats it instead."""
        self._broker.acknowledge(self._connection_no, self._mid, self._qos)


class MqttBroker:
    """A persistent session that subscribes to `filters` whenever it connects."""

    def __init__(
        self, link: MqttLink, filters: Sequence[str], version: MQTTProtocolVersion
    ) -> None:
        self._link = link
        self._filters = filters
        self._loop = asyncio.get_running_loop()
        self._supported: asyncio.Future[bool] = self._loop.create_future()
        self._queue: asyncio.Queue[MqttDelivery] = asyncio.Queue()
        self._room = threading.BoundedSemaphore(PENDING_MAX)  # bounds the queue from its far side
        self._closing = threading.Event()
        self._connection_no = 0
        self._connection_lock = threading.Lock()
        self._client = _client(link, version)
        self._client.on_socket_open = self._on_socket_open
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_socket_close = self._on_socket_close
        self._client.on_message = self._on_message

    async def connect(self) -> bool:
        """Wait until the broker has our subscriptions; False if it does not speak this version."""
        if self._client.protocol == MQTTProtocolVersion.MQTTv5:
            self._client.connect_async(
                self._link.host,
                self._link.port,
                KEEPALIVE_S,
                clean_start=False,
                properties=_session_properties(),
            )
        else:
            self._client.connect_async(self._link.host, self._link.port, KEEPALIVE_S)
        self._client.loop_start()
        return await self._supported

    async def take(self, max_messages: int) -> list[MqttDelivery]:
        """Wait for a message, then up to `LINGER_S` for as many as `max_messages`."""
        batch = [await self._next()]
        try:
            async with asyncio.timeout(LINGER_S):
                while len(batch) < max_messages:
                    batch.append(await self._next())
        except TimeoutError:
            pass
        return batch

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expires_s: float | None = None
    ) -> None:
        """Send, or queue until the next connection; beyond `OUTGOING_MAX` it is dropped.

        `expires_s` is from now, and for a broker that speaks MQTT 5.
        """
        properties = None
        if expires_s is not None and self._client.protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho types half
            properties.MessageExpiryInterval = math.ceil(expires_s)
        self._client.publish(
            topic, payload, qos=_AT_LEAST_ONCE, retain=retain, properties=properties
        )

    def acknowledge(self, connection_no: int, mid: int, qos: int) -> None:
        """Send the PUBACK if the connection that brought the message still stands."""
        with self._connection_lock:
            if connection_no == self._connection_no:
                self._client.ack(mid, qos)

    async def close(self) -> None:
        """Leave the broker; the session stays there for our return."""
        self._closing.set()
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def _next(self) -> MqttDelivery:
        delivery = await self._queue.get()
        self._room.release()
        return delivery

    def _accept(self) -> None:
        if not self._supported.done():
            self._supported.set_result(True)

    def _refuse(self) -> None:
        if not self._supported.done():
            self._supported.set_result(False)

    # --- called in paho's thread ---------------------------------------------------------

    def _on_socket_open(self, client: Client, _data: object, _socket: object) -> None:
        if client.protocol == MQTTProtocolVersion.MQTTv5:
            self._loop.call_soon_threadsafe(self._loop.call_later, CONNACK_S_MAX, self._refuse)

    def _on_connect(
        self, client: Client, _data: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.value == _UNSUPPORTED_VERSION:
            self._loop.call_soon_threadsafe(self._refuse)
            return
        if reason.is_failure:
            log.warning("broker_refused", reason=str(reason))
            return
        client.subscribe([(pattern, _AT_LEAST_ONCE) for pattern in self._filters])

    def _on_subscribe(
        self,
        _client: Client,
        _data: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: object,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            log.error("subscription_refused", filters=self._filters)
            return
        log.info("broker_subscribed", host=self._link.host, port=self._link.port)
        self._loop.call_soon_threadsafe(self._accept)

    def _on_disconnect(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        if not self._closing.is_set():
            log.warning("broker_lost", reason=str(reason))

    def _on_socket_close(self, _client: Client, _data: object, _socket: object) -> None:
        # paho drops what it had queued for a connection after this call and before the next one,
        # so no PUBACK of the old connection can reach the new.
        with self._connection_lock:
            self._connection_no += 1

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        while not self._room.acquire(timeout=_STAND_STILL_S):
            if self._closing.is_set():
                return  # not acknowledged, so it comes again
        delivery = MqttDelivery(self, self._connection_no, message)
        self._loop.call_soon_threadsafe(self._queue.put_nowait, delivery)


@asynccontextmanager
async def open_broker(link: MqttLink, filters: Sequence[str]) -> AsyncIterator[MqttBroker]:
    """Connect with MQTT 5, or with 3.1.1 where the broker refuses 5; wait as long as it takes."""
    broker = MqttBroker(link, filters, MQTTProtocolVersion.MQTTv5)
    try:
        if not await broker.connect():
            await broker.close()
            broker = MqttBroker(link, filters, MQTTProtocolVersion.MQTTv311)
            await broker.connect()
        yield broker
    finally:
        await broker.close()


def _client(link: MqttLink, version: MQTTProtocolVersion) -> Client:
    session: dict[str, Any] = (
        {} if version == MQTTProtocolVersion.MQTTv5 else {"clean_session": False}
    )
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=link.client_id,
        protocol=version,
        manual_ack=True,
        **session,
    )
    client.max_queued_messages_set(OUTGOING_MAX)
    client.reconnect_delay_set(RECONNECT_S_MIN, RECONNECT_S_MAX)
    if link.username is not None:
        client.username_pw_set(link.username, link.password)
    if link.tls is not None:
        client.tls_set_context(_tls_context(link.tls))
    return client


def _tls_context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.ca)
    if files.cert is not None:
        context.load_cert_chain(files.cert, files.key)
    return context


def _session_properties() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho types half
    properties.SessionExpiryInterval = SESSION_EXPIRY_S
    properties.ReceiveMaximum = IN_FLIGHT_MAX
    properties.MaximumPacketSize = PACKET_BYTES_MAX
    return properties
