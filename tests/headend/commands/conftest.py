"""A room of commands on a registered database, with a clock the test moves."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.clocks import StoppedClock

from quince.headend import wiring
from quince.headend.commands.delivery import Publication, absorb_results, publish_due
from quince.headend.commands.rules import Danger, KeptCommand, Person
from quince.headend.commands.service import Commands, Wish
from quince.headend.commands.signing_key import CommandSigner
from quince.headend.ingest.service import Ingest
from quince.model.interval import IntervalSeries
from quince.protocols.gateway.commands import Command
from quince.protocols.gateway.messages import CommandResult, Content, Stage
from quince.protocols.gateway.signing import verify_command
from quince.protocols.gateway.topics import GatewayAddress, Lane

GATEWAY = GatewayAddress(cell="north", gateway="gw-1")


@dataclass
class OneKey:
    """The gateway's certificate key, of which the head-end knows the public half."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    async def public_key(
        self, _tenant_id: int, address: GatewayAddress
    ) -> ec.EllipticCurvePublicKey | None:
        return self.key.public_key() if address == GATEWAY else None


@dataclass
class Room:
    """What persons do, what the loop does, and what the gateway answers."""

    parts: wiring.CommandRoom
    commands: Commands
    keys: OneKey
    clock: StoppedClock
    signer: CommandSigner
    ingest: Ingest
    gateway: Any

    def wish(self, by: str = "Ana", *, tenant_id: int = 1, meter_id: str = "m-1") -> Wish:
        return Wish(
            tenant_id=tenant_id,
            by=Person(name=by),
            reason="ticket 7",
            meter_id=meter_id,
            address=GATEWAY,
        )

    async def publish(self) -> tuple[Publication, ...]:
        return await publish_due(
            tenant_id=1,
            cell="north",
            store=self.parts.store,
            signer=self.signer,
            now_utc=self.clock.now_utc(),
        )

    async def published(self) -> list[Command]:
        """Publish what is due; return it as a gateway that knows the signer reads it."""
        signers = {self.signer.name: self.signer.key.public_key()}
        return [verify_command(one.payload, signers) for one in await self.publish()]

    async def approve(self, kept: KeptCommand, by: str, *, tenant_id: int = 1) -> KeptCommand:
        return await self.commands.approve(
            tenant_id=tenant_id, command_id=kept.command.command_id, by=Person(name=by)
        )

    async def cancel(self, kept: KeptCommand, by: str = "Ana") -> KeptCommand:
        return await self.commands.cancel(
            tenant_id=1, command_id=kept.command.command_id, by=Person(name=by)
        )

    async def answer(self, command: Command, stage: Stage, **changes: Any) -> None:
        """Let the gateway answer, and the head-end hear it."""
        moment = {"at_utc": self.clock.now_utc()} | changes
        result = CommandResult(command_id=command.command_id, stage=stage, **moment)
        self.ingest([self.gateway.send(Content(results=(result,)), lane=Lane.RESULTS)])
        await self.absorb()

    async def absorb(self, tenant_id: int = 1) -> int:
        return await absorb_results(
            tenant_id=tenant_id, results=self.parts.results, store=self.parts.store
        )

    async def now(self, kept: KeptCommand) -> KeptCommand:
        found = await self.parts.store.find(tenant_id=1, command_id=kept.command.command_id)
        assert found is not None
        return found

    async def find(self, command_id: bytes) -> KeptCommand:
        found = await self.parts.store.find(tenant_id=1, command_id=command_id)
        assert found is not None
        return found

    async def acts(self, kept: KeptCommand) -> list[tuple[str, str]]:
        entries = await self.parts.store.audit(tenant_id=1, command_id=kept.command.command_id)
        return [(entry.who, entry.act) for entry in entries]


OpenRoom = Callable[..., AbstractAsyncContextManager[Room]]


@pytest.fixture
def gateway_key() -> OneKey:
    return OneKey()


@pytest.fixture
def open_room(database: Any, ingest: Ingest, gateway: Any, gateway_key: OneKey) -> OpenRoom:
    """Open the room; every time with the same clock, keys and database."""
    clock = StoppedClock(datetime(2026, 3, 8, 12, tzinfo=UTC))
    signer = CommandSigner(name="headend", key=Ed25519PrivateKey.generate())

    @asynccontextmanager
    async def opened(alone_max: Mapping[Danger, int] | None = None) -> AsyncIterator[Room]:
        caps = dict.fromkeys(Danger, 0) | dict(alone_max or {})
        async with wiring.open_commands(database, clock, caps) as parts:
            yield Room(
                parts=parts,
                commands=replace(parts.commands, keys=gateway_key),
                keys=gateway_key,
                clock=clock,
                signer=signer,
                ingest=ingest,
                gateway=gateway,
            )

    return opened


@pytest.fixture
async def room(open_room: OpenRoom) -> AsyncIterator[Room]:
    async with open_room() as one:
        yield one


@pytest.fixture
def live(ingest: Ingest, gateway: Any, series: Callable[..., IntervalSeries]) -> None:
    """The gateway has brought live intervals of m-1."""
    ingest([gateway.send(Content(series=(series("2026-03-08", 5),)))])
