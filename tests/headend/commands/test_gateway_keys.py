"""Whose key a secret is sealed for: the one enrolment certified, while it is in force."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.clocks import StoppedClock

from quince.headend.enrolment.rules import GatewayCertificate, Owner
from quince.headend.wiring import open_commands, open_enrolment_store
from quince.protocols.gateway.topics import GatewayAddress

ISSUED_UTC = datetime(2026, 3, 8, tzinfo=UTC)
GATEWAY = GatewayAddress(cell="north", gateway="gw-1")


@pytest.fixture
async def certified(database) -> ec.EllipticCurvePublicKey:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    certificate = GatewayCertificate(
        serial="1f",
        owner=Owner(tenant_id=1, address=GATEWAY),
        public_key=pem,
        certificate="",
        issued_utc=ISSUED_UTC,
        not_after_utc=ISSUED_UTC + timedelta(days=365),
    )
    async with open_enrolment_store(database) as store:
        await store.add_token(b"token", certificate.owner, ISSUED_UTC + timedelta(days=1))
        await store.burn_token(b"token", pem, ISSUED_UTC)
        await store.replace_certificate(certificate, keep=None)
    return key


async def test_the_key_of_a_certificate_in_force_is_known(database, certified):
    async with open_commands(database, StoppedClock(ISSUED_UTC), {}) as room:
        assert await room.commands.keys.public_key(1, GATEWAY) == certified
        assert await room.commands.keys.public_key(2, GATEWAY) is None


@pytest.mark.usefixtures("certified")
async def test_the_key_of_a_certificate_out_of_date_is_none(database):
    clock = StoppedClock(ISSUED_UTC + timedelta(days=365))
    async with open_commands(database, clock, {}) as room:
        assert await room.commands.keys.public_key(1, GATEWAY) is None
