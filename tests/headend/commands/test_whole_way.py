"""The whole way: command line, database, head-end process, a real broker, a gateway, and back."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from quince.headend import process, wiring
from quince.headend.commands.rules import Person
from quince.headend.commands.service import Wish
from quince.headend.commands.signing_key import new_signer
from quince.headend.settings import Settings, load_settings
from quince.model.clock import SystemClock
from quince.protocols.gateway.commands import Command, ReadNow
from quince.protocols.gateway.messages import CommandResult, Content, Stage
from quince.protocols.gateway.signing import verify_command
from quince.protocols.gateway.topics import GatewayAddress, Lane

GATEWAY = GatewayAddress(cell="north", gateway="gw-1")


class GatewayLink:
    """A gateway's connection: hears what comes down, says what it is told to."""

    def __init__(self, port: int, gateway: Any) -> None:
        self.heard: asyncio.Queue[MQTTMessage] = asyncio.Queue()
        self._gateway = gateway
        loop = asyncio.get_running_loop()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.on_connect = lambda client, *_: client.subscribe(
            [(GATEWAY.command, 1), (GATEWAY.configuration, 1)]
        )
        self.client.on_message = lambda _client, _data, message: self._hear(loop, message)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _hear(self, loop: asyncio.AbstractEventLoop, message: MQTTMessage) -> None:
        loop.call_soon_threadsafe(self.heard.put_nowait, message)

    def answer(self, command: Command, stage: Stage, **changes: Any) -> None:
        result = CommandResult(
            command_id=command.command_id,
            stage=stage,
            at_utc=SystemClock().now_utc(),
            **changes,
        )
        message = self._gateway.send(Content(results=(result,)), lane=Lane.RESULTS)
        self.client.publish(message.topic, message.payload, qos=1)


@asynccontextmanager
async def gateway_link(port: int, gateway: Any) -> AsyncIterator[GatewayLink]:
    link = GatewayLink(port, gateway)
    try:
        yield link
    finally:
        link.client.disconnect()
        await asyncio.to_thread(link.client.loop_stop)


@asynccontextmanager
async def running() -> AsyncIterator[None]:
    task = asyncio.create_task(process.run(load_settings()))
    try:
        yield
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await task


async def say(*words: str) -> list[dict[str, Any]]:
    """Run the command line as a person does, in a process of its own; return its JSON."""
    command = (sys.executable, "-c", "from quince.headend.cli.main import main; main()", "command")
    child = await asyncio.create_subprocess_exec(*command, *words, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    assert child.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(database, mosquitto, monkeypatch, tmp_path) -> Settings:
    key = tmp_path / "command.pem"
    new_signer("headend", key)
    for name, value in {
        "DATABASE": database,
        "CELL": "north",
        "MQTT_PORT": mosquitto.port,
        "HTTP_PORT": free_port(),
        "COMMAND_KEY": key,
    }.items():
        monkeypatch.setenv(f"QUINCE_HEADEND_{name}", str(value))
    return load_settings()


def read(message: MQTTMessage, settings: Settings) -> Command:
    signer = process.command_signer(settings)
    assert signer is not None
    return verify_command(bytes(message.payload), {signer.name: signer.key.public_key()})


async def test_a_person_asks_a_gateway_answers_and_the_person_sees_every_stage(
    settings, mosquitto, gateway
):
    who = ("--gateway", "north/gw-1", "--by", "Ana", "--reason", "ticket 7")
    async with asyncio.timeout(30), running(), gateway_link(mosquitto.port, gateway) as link:
        asked = asyncio.create_task(say("read-now", "m-1", *who, "--wait", "--json"))
        message = await link.heard.get()
        command = read(message, settings)
        link.answer(command, Stage.ACCEPTED)
        link.answer(command, Stage.DONE, media="application/json", body=b'{"a": 1}')
        first, accepted, done, last = await asked
    assert (command.meter_id, command.operation) == ("m-1", ReadNow())
    assert not message.retain
    properties: Any = message.properties
    assert 0 < properties.MessageExpiryInterval <= 600
    assert (first["state"], accepted["stage"], done["stage"]) == ("ready", "accepted", "done")
    assert (done["body"], last["state"]) == ({"a": 1}, "done")


async def test_a_configuration_waits_at_the_broker_for_a_gateway_that_is_not_there_yet(
    settings, mosquitto, gateway, gateway_key
):
    async with asyncio.timeout(30), running():
        async with wiring.open_commands(settings.database, SystemClock(), {}) as room:
            commands = replace(room.commands, keys=gateway_key)
            wish = Wish(tenant_id=1, by=Person(name="Ana"), reason="x", address=GATEWAY)
            kept = await commands.configure(wish, "backfill_days = 3\n")
        async with gateway_link(mosquitto.port, gateway) as link:
            await link.heard.get()
    async with asyncio.timeout(30), gateway_link(mosquitto.port, gateway) as late:
        message = await late.heard.get()
    assert message.retain
    assert message.topic == "quince/v1/north/gw-1/down/cfg"
    assert read(message, settings).operation == kept.command.operation
