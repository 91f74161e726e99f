from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quince.headend import wiring
from quince.headend.identity.rules import Principal, Role, new_token
from quince.headend.identity.service import Identity
from quince.model.errors import InvalidValueError

CUSTOMER = Principal(tenant_id=1, role=Role.CUSTOMER, customer_id="c-1")
STAFF = Principal(tenant_id=2, role=Role.STAFF)
ANA = Principal(tenant_id=2, role=Role.STAFF, person="Ana López")


@pytest.fixture
async def identity(database: Path) -> AsyncIterator[Identity]:
    async with wiring.open_identity(database) as identity:
        yield identity


@pytest.mark.parametrize("principal", [CUSTOMER, STAFF, ANA])
async def test_a_token_tells_whose_it_is(identity: Identity, principal: Principal) -> None:
    token = await identity.issue_token(principal)
    assert await identity.authenticate(token) == principal


@pytest.mark.parametrize("token", ["", "quince_", "x" * 101, "quince_" + "A" * 43])
async def test_another_token_is_nobodys(identity: Identity, token: str) -> None:
    await identity.issue_token(CUSTOMER)
    assert await identity.authenticate(token) is None


async def test_the_token_itself_is_kept_nowhere(identity: Identity, database: Path) -> None:
    token = await identity.issue_token(CUSTOMER)
    for file in database.parent.glob("headend.sqlite*"):
        assert token.encode() not in file.read_bytes()


async def test_a_store_that_finds_a_neighbour_does_not_let_it_in() -> None:
    class Careless:
        async def add(self, digest: bytes, principal: Principal) -> None: ...

        async def find(self, digest: bytes) -> tuple[bytes, Principal]:
            return digest[:-1] + b"?", STAFF

    identity = Identity(store=Careless(), random_octets=bytes)
    assert await identity.authenticate("quince_x") is None


def test_a_token_holds_32_random_octets() -> None:
    assert new_token(lambda count: b"\xff" * count) == "quince_" + "_" * 42 + "8"


@pytest.mark.parametrize(("role", "customer_id"), [(Role.CUSTOMER, None), (Role.STAFF, "c-1")])
def test_a_customer_has_a_number_and_staff_have_none(role: Role, customer_id: str | None) -> None:
    with pytest.raises(InvalidValueError, match="customer_id"):
        Principal(tenant_id=1, role=role, customer_id=customer_id)


@pytest.mark.parametrize(
    ("role", "customer_id", "person"),
    [
        (Role.CUSTOMER, "c-1", "Ana"),
        (Role.STAFF, None, ""),
        (Role.STAFF, None, "a\nb"),
        (Role.STAFF, None, "x" * 65),
    ],
)
def test_staff_alone_act_under_a_name_of_their_own(
    role: Role, customer_id: str | None, person: str
) -> None:
    with pytest.raises(InvalidValueError, match="person"):
        Principal(tenant_id=1, role=role, customer_id=customer_id, person=person)
