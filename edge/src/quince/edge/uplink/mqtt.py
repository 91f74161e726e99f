"""The link over MQTT: version 5 where the broker speaks it, else 3.1.1; reconnects with jitter."""

import asyncio
import json
import math
import ssl
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn

import aiomqtt
import structlog
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from quince.edge.config import BrokerConfig
from quince.edge.errors import LinkError
from quince.edge.uplink.rules import UNCONFIRMED_MAX
from quince.edge.uplink.service import Uplink
from quince.model.rng import Rng
from quince.protocols.gateway.commands import COMMAND_BYTES_MAX
from quince.protocols.gateway.topics import GatewayAddress, Way

log = structlog.get_logger()

KEEPALIVE_S = 30  # a silent gateway is noticed after 1.5 times this
# What the broker may send us: the largest command, its signature, its topic and properties.
PACKET_BYTES_MAX = COMMAND_BYTES_MAX + 4_096
SESSION_EXPIRY_S = 7 * 86_400  # the broker keeps acknowledgements and commands for a week
_STATE_MESSAGES = 2  # the state and the twin, beside the outbox's messages
INCOMING_MAX = 1_000  # each is taken at once; acknowledgements repeat, and commands are few
# The largest message over 26 kbit/s; a link that is dead is noticed by the keepalive.
CONFIRM_S_MAX = 60.0
GOODBYE_S_MAX = 5.0  # whoever stops us kills us after 30 seconds
_REFUSED = 0x80  # from here on a SUBACK code is a refusal, in either version
BACKOFF_S_MIN, BACKOFF_S_MAX = 1.0, 60.0  # a restart storm spreads over a minute


class MqttLink:
    """A Link on one MQTT session."""

    def __init__(self, client: aiomqtt.Client) -> None:
        """Wrap a connected client."""
        self._client = client
        self._messages = aiter(client.messages)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1; LinkError when the session is gone, or does not confirm in time."""
        try:
            # Not the client's own limit: it swallows a cancellation that comes with the PUBACK.
            async with asyncio.timeout(CONFIRM_S_MAX):
                await self._client.publish(topic, payload, qos=1, retain=retain, timeout=math.inf)
        except aiomqtt.MqttError as error:
            raise LinkError(str(error)) from error
        except TimeoutError as error:
            raise LinkError(f"no confirmation within {CONFIRM_S_MAX:.0f} s") from error

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
        errors = await _outcome(_session(uplink, broker, address, version))
        reason = str(errors[0])
        uplink.note_contact(reason=reason)
        if any(isinstance(error, LinkError) for error in errors):
            log.warning("link_down", version=version.name, reason=reason)
            version, backoff_s = aiomqtt.ProtocolVersion.V5, BACKOFF_S_MIN
        else:
            log.warning("link_refused", version=version.name, reason=reason)
            version = version if _is_network(errors[0]) else _other(version)
        await asyncio.sleep(backoff_s * (0.5 + rng.random() / 2))
        backoff_s = min(2 * backoff_s, BACKOFF_S_MAX)


async def _session(
    uplink: Uplink, broker: BrokerConfig, address: GatewayAddress, version: aiomqtt.ProtocolVersion
) -> None:
    async with _connect(broker, address, version) as link:
        log.info("link_up", version=version.name)
        uplink.note_contact(version=version.name)
        await uplink.run(link)


async def _outcome(session: Coroutine[Any, Any, None]) -> Sequence[BaseException]:
    """Run a session to its end and return the link's errors that ended it; others are raised.

    It has a task of its own: its last errors may take a cancellation's place, and a task group
    that breaks leaves its task half cancelled, neither of which may reach the loop around it.
    """
    task = asyncio.ensure_future(session)
    try:
        await asyncio.wait([task])
    finally:
        task.cancel()
        await asyncio.wait([task])
        error = LinkError("cancelled") if task.cancelled() else task.exception()
    errors = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
    link_errors = [
        one for one in errors if isinstance(one, LinkError | aiomqtt.MqttError | OSError)
    ]
    if error is not None and len(link_errors) < len(errors):
        raise error
    return link_errors


def _is_network(error: BaseException) -> bool:
    """Say whether nobody was there to speak any version with (aiomqtt hides the socket's error)."""
    cause = error if isinstance(error, OSError) else error.__context__
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
        tls_context=tls_context(broker),
        # No queue inside the client: order and urgency are decided once, in the uplink.
        max_inflight_messages=UNCONFIRMED_MAX + _STATE_MESSAGES,
        max_queued_incoming_messages=INCOMING_MAX,
        # A persistent session, in the words of either version.
        clean_start=False if five else MQTT_CLEAN_START_FIRST_ONLY,
        properties=_session_expiry() if five else None,
        clean_session=None if five else False,
    ) as client:
        client.pending_calls_threshold = UNCONFIRMED_MAX + _STATE_MESSAGES  # no warning below it
        for topic in (address.ack, address.command, address.configuration):
            granted = await client.subscribe(topic, qos=1)
            if any(getattr(code, "value", code) >= _REFUSED for code in granted):
                raise LinkError(f"the broker refuses {topic}")
        await client.publish(state, _state("online"), qos=1, retain=True)
        try:
            yield MqttLink(client)
        finally:
            with suppress(aiomqtt.MqttError):  # who leaves in order has no will
                await client.publish(
                    state, _state("offline"), qos=1, retain=True, timeout=GOODBYE_S_MAX
                )


def _session_expiry() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
    properties.SessionExpiryInterval = SESSION_EXPIRY_S
    properties.MaximumPacketSize = PACKET_BYTES_MAX
    return properties


def tls_context(broker: BrokerConfig) -> ssl.SSLContext | None:
    """Return how the broker is told from an impostor, and we to it; None for a link in clear."""
    if broker.tls is None:
        return None
    context = ssl.create_default_context(cafile=broker.tls.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(broker.tls.cert_file, broker.tls.key_file)
    return context


def _state(state: str) -> bytes:
    return json.dumps({"state": state}).encode()
