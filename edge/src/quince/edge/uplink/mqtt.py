"""The link over MQTT: version 5 where the broker speaks it, else 3.1.1; reconnects with jitter."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import aiomqtt
import structlog
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from quince.edge.config import BrokerConfig
from quince.edge.errors import LinkError
from quince.edge.uplink.service import Uplink
from quince.model.rng import Rng
from quince.protocols.gateway.topics import GatewayAddress, Way

log = structlog.get_logger()

KEEPALIVE_S = 30  # a silent gateway is noticed after 1.5 times this
SESSION_EXPIRY_S = 7 * 86_400  # the broker keeps acknowledgements and commands for a week
_REFUSED = 0x80  # from here on a SUBACK code is a refusal, in either version
BACKOFF_S_MIN, BACKOFF_S_MAX = 1.0, 60.0  # a restart storm spreads over a minute


class MqttLink:
    """A Link on one MQTT session."""

    def __init__(self, client: aiomqtt.Client) -> None:
        """Wrap a connected client."""
        self._client = client
        self._messages = aiter(client.messages)

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1; LinkError when the session is gone."""
        try:
            await self._client.publish(topic, payload, qos=1)
        except aiomqtt.MqttError as error:
            raise LinkError(str(error)) from error

    async def receive(self) -> tuple[str, bytes]:
        """Return the next message; LinkError when the session is gone."""
        try:
            message = await anext(self._messages)
        except (aiomqtt.MqttError, StopAsyncIteration) as error:
            raise LinkError(str(error)) from error
        return str(message.topic), message.payload


async def keep_delivering(
    uplink: Uplink, broker: BrokerConfig, address: GatewayAddress, rng: Rng
) -> NoReturn:
    """Deliver over one session after another, for ever.

    A broker that does not speak MQTT 5 may refuse it, hang up or say nothing at all, so when
    anything but the network itself stands in the way of a session, the other version is tried
    next; after a session that stood it is version 5's turn again.
    """
    backoff_s = BACKOFF_S_MIN
    version = aiomqtt.ProtocolVersion.V5
    while True:
        try:
            async with _connect(broker, address, version) as link:
                backoff_s = BACKOFF_S_MIN
                log.info("link_up", version=version.name)
                await uplink.run(link)
        except* LinkError as group:
            log.warning("link_down", version=version.name, reason=str(group.exceptions[0]))
            version = aiomqtt.ProtocolVersion.V5
        except* (aiomqtt.MqttError, OSError) as group:
            log.warning("link_refused", version=version.name, reason=str(group.exceptions[0]))
            if not _is_network(group.exceptions[0]):
                version = _other(version)
        _heed_cancellation()
        await asyncio.sleep(backoff_s * (0.5 + rng.random() / 2))
        backoff_s = min(2 * backoff_s, BACKOFF_S_MAX)


def _heed_cancellation() -> None:
    """Stop if we were told to while a session broke: its errors take the cancellation's place."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _is_network(error: BaseException) -> bool:
    """Say whether nobody was there to speak any version with (aiomqtt wraps the socket's error)."""
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and not isinstance(cause, TimeoutError)


def _other(version: aiomqtt.ProtocolVersion) -> aiomqtt.ProtocolVersion:
    if version is aiomqtt.ProtocolVersion.V5:
        return aiomqtt.ProtocolVersion.V311
    return aiomqtt.ProtocolVersion.V5


@asynccontextmanager
async def _connect(
    broker: BrokerConfig, address: GatewayAddress, version: aiomqtt.ProtocolVersion
) -> AsyncIterator[MqttLink]:
    state = address.up(Way.STATE)
    five = version is aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        identifier=address.gateway,
        username=broker.username,
        password=None if broker.password is None else broker.password.get_secret_value(),
        protocol=version,
        keepalive=KEEPALIVE_S,
        # The will says that contact was lost; it never says that power was.
        will=aiomqtt.Will(state, _state("offline"), qos=1, retain=True),
        tls_context=_tls(broker),
        # A persistent session, in the words of either version.
        clean_start=False if five else MQTT_CLEAN_START_FIRST_ONLY,
        properties=_session_expiry() if five else None,
        clean_session=None if five else False,
    ) as client:
        granted = await client.subscribe(address.ack, qos=1)
        if any(getattr(code, "value", code) >= _REFUSED for code in granted):
            raise LinkError(f"the broker refuses {address.ack}")
        await client.publish(state, _state("online"), qos=1, retain=True)
        yield MqttLink(client)


def _session_expiry() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
    properties.SessionExpiryInterval = SESSION_EXPIRY_S
    return properties


def _tls(broker: BrokerConfig) -> ssl.SSLContext | None:
    if broker.tls is None:
        return None
    context = ssl.create_default_context(cafile=broker.tls.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(broker.tls.cert_file, broker.tls.key_file)
    return context


def _state(state: str) -> bytes:
    return json.dumps({"state": state}).encode()
