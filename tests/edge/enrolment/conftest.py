"""A head-end's door on a real socket with TLS, and a folder that is to become a gateway."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tests.clocks import StoppedClock

from quince.headend import wiring
from quince.headend.assets.rules import read_registration
from quince.headend.enrolment.authority import create_authority, write_key
from quince.headend.enrolment.endpoints import enrolment_router
from quince.headend.enrolment.rules import Owner
from quince.headend.enrolment.service import Enrolment, Terms
from quince.headend.field.app import create_field_app
from quince.protocols.gateway.topics import GatewayAddress

REGISTRATION = """
[tenant]
id = 1
name = "Cooperativa Quince"
cells = ["north"]
[[gateway]]
id = "gw-1"
cell = "north"
[[gateway]]
id = "gw-2"
cell = "north"
"""


@dataclass
class HeadEnd:
    """A door that is open, and what stands behind it."""

    url: str
    ca_file: Path
    enrolment: Enrolment
    clock: StoppedClock

    async def token(self, gateway: str = "gw-1") -> str:
        address = GatewayAddress(cell="north", gateway=gateway)
        owner = Owner(tenant_id=1, address=address)
        return await self.enrolment.issue_token(owner, timedelta(days=3))

    async def revoke(self) -> None:
        address = GatewayAddress(cell="north", gateway="gw-1")
        await self.enrolment.revoke(Owner(tenant_id=1, address=address))


@pytest.fixture
def clock() -> StoppedClock:
    # TLS goes by the real one.
    return StoppedClock(datetime.now(UTC).replace(microsecond=0))  # noqa: TID251 - likewise


@pytest.fixture
async def headend(tmp_path: Path, clock: StoppedClock) -> AsyncIterator[HeadEnd]:
    database, ca = tmp_path / "headend.sqlite", tmp_path / "ca"
    await wiring.register(database, read_registration(REGISTRATION))
    authority = create_authority(ca, "test authority", now_utc=clock.now)
    key = ec.generate_private_key(ec.SECP256R1())
    signed = authority.sign_server(
        ["127.0.0.1"], key.public_key(), now_utc=clock.now, life=timedelta(days=1)
    )
    write_key(tmp_path / "door.key", key)
    (tmp_path / "door.crt").write_bytes(signed.public_bytes(Encoding.PEM))
    async with wiring.open_enrolment_store(database) as store:
        terms = Terms(
            broker_host="broker.example",
            broker_port=8883,
            headend_url="https://127.0.0.1:8443",
            signers={"headend": "ab" * 32},
            life=timedelta(days=365),
        )
        enrolment = Enrolment(
            store=store,
            authority=authority,
            terms=terms,
            clock=clock,
            random_octets=random.Random(15).randbytes,
            publish_list=_keep_quiet,
        )
        config = uvicorn.Config(
            create_field_app([enrolment_router(enrolment)]),
            host="127.0.0.1",
            port=0,
            log_config=None,
            lifespan="off",
            ws="none",
            ssl_certfile=tmp_path / "door.crt",
            ssl_keyfile=tmp_path / "door.key",
        )
        async with _serving(uvicorn.Server(config)) as port:
            yield HeadEnd(
                url=f"https://127.0.0.1:{port}",
                ca_file=ca / "ca.crt",
                enrolment=enrolment,
                clock=clock,
            )


@asynccontextmanager
async def _serving(server: uvicorn.Server) -> AsyncIterator[int]:
    task = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it by a flag alone
        await asyncio.sleep(0.01)
    yield int(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    await task


async def _keep_quiet(_octets: bytes) -> None:
    """No broker listens to the revocation list here."""
