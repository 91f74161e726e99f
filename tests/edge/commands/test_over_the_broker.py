"""A running gateway is told something over a real broker, and answers."""

import asyncio
from contextlib import asynccontextmanager
from io import BytesIO
from zipfile import ZipFile

import aiomqtt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from quince.edge.config import load_config
from quince.edge.wiring import run
from quince.model.clock import SystemClock
from quince.protocols.gateway.commands import (
    ArmSupply,
    Configure,
    ConfirmSupply,
    Diagnose,
    ReadNow,
    configuration_purpose,
)
from quince.protocols.gateway.messages import Stage, decode_uplink
from quince.protocols.gateway.sealing import seal

ROOT = "quince/v1/north/gw-1"


@pytest.fixture
def clock(clock):
    """A meter and a head-end that live now, as the gateway does."""
    clock.at_utc = SystemClock().now_utc()
    return clock


@pytest.fixture
def path(folder, head_end, port, mosquitto):
    public = head_end.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    path = folder / "gateway.toml"
    text = path.read_text()
    text = text.replace("port = 1883", f"port = {mosquitto.port}").replace("4059", str(port))
    text = text.replace('{ kind = "none" }', '{ kind = "lls", password = "12345678" }')
    text = text.replace("[[meters]]", f'[commands]\nsigners.ops = "{public.hex()}"\n[[meters]]')
    path.write_text(text)
    return path


@asynccontextmanager
async def gateway(path):
    task = asyncio.create_task(run(path, SystemClock()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


class Ear:
    """The head-end's end of the broker."""

    def __init__(self, client, head_end):
        self._client, self._head_end = client, head_end

    async def tell(self, operation):
        """Publish a command, and return its last result."""
        command = self._head_end.command(operation)
        await self._client.publish(f"{ROOT}/down/cmd", self._head_end.sign(command), qos=1)
        async for message in self._client.messages:
            for result in decode_uplink(message.payload)[1].results:
                if result.command_id == command.command_id and result.stage.is_final:
                    return command, result
        raise AssertionError("the broker went away")


@asynccontextmanager
async def listening(mosquitto, head_end):
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client, asyncio.timeout(30):
        await client.subscribe(f"{ROOT}/up/st", qos=1)
        await anext(aiter(client.messages))  # it is there, and listens
        await client.unsubscribe(f"{ROOT}/up/st")
        await client.subscribe(f"{ROOT}/up/rs", qos=1)
        yield Ear(client, head_end)


async def test_a_supply_is_armed_and_switched_over_the_broker(path, mosquitto, head_end, meter):
    async with gateway(path), listening(mosquitto, head_end) as ear:
        assert (await ear.tell(ReadNow()))[1].stage is Stage.DONE
        armed, _ = await ear.tell(ArmSupply(on=False))
        _, switched = await ear.tell(ConfirmSupply(armed_by=armed.command_id))
    assert switched.body == b'{"on":false,"before":"connected","after":"disconnected"}'
    assert meter.relay.state.name == "DISCONNECTED"


async def test_a_gateway_without_a_certificate_takes_no_configuration(
    path, mosquitto, head_end, own_key
):
    sealed = seal(b"", own_key.public_key(), purpose=configuration_purpose(1))
    async with gateway(path), listening(mosquitto, head_end) as ear:
        _, refused = await ear.tell(Configure(revision=1, sealed=sealed))
    assert refused.code == "no_gateway_key"
    assert load_config(path).revision == 0


async def test_a_bundle_of_a_running_gateway_tells_no_password(path, mosquitto, head_end):
    async with gateway(path), listening(mosquitto, head_end) as ear:
        _, made = await ear.tell(Diagnose())
    with ZipFile(BytesIO(made.body)) as bundle:
        texts = [bundle.read(name) for name in bundle.namelist()]
    assert "config.json" in bundle.namelist()
    assert not any(b"12345678" in text for text in texts)
