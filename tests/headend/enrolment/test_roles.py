"""What is wanted at the broker is brought to it, however long it was away."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from quince.headend import wiring
from quince.headend.assets.rules import read_registration
from quince.headend.enrolment import roles
from quince.headend.enrolment.roles import bring_roles, keep_roles, restore_roles
from quince.headend.enrolment.rules import Grant, Owner, gateway_grant, headend_grant
from quince.headend.errors import BrokerControlError
from quince.protocols.gateway.topics import GatewayAddress

ADDRESS = GatewayAddress(cell="north", gateway="gw-1")
OWNER = Owner(tenant_id=1, address=ADDRESS)


class Ledger:
    """An authorizer that remembers who may do what; it may be away."""

    def __init__(self) -> None:
        self.granted: dict[str, Grant] = {}
        self.refusals = 0
        self.calls = 0
        self.told = asyncio.Event()

    async def apply(self, grants: Sequence[Grant], withdrawn: Sequence[str]) -> None:
        self.calls += 1
        if self.refusals:
            self.refusals -= 1
            raise BrokerControlError("away")
        self.granted |= {grant.name: grant for grant in grants}
        for name in withdrawn:
            self.granted.pop(name, None)
        self.told.set()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


async def enrol(office: Any, device: Any, owner: Owner = OWNER) -> None:
    token = await office.enrolment.issue_token(owner, timedelta(days=1))
    await office.enrolment.enrol(token, device.csr())


async def test_an_enrolled_gateway_is_granted_its_role_once(
    office: Any, ledger: Ledger, new_device: Callable[[], Any]
) -> None:
    await enrol(office, new_device())
    assert await bring_roles(office.store, ledger, "north") == 1
    assert ledger.granted == {"gw-1": gateway_grant(ADDRESS)}
    assert await bring_roles(office.store, ledger, "north") == 0
    (standing,) = await office.enrolment.standings(1)
    assert standing.role_applied


async def test_a_head_end_leaves_other_cells_gateways_alone(
    office: Any, ledger: Ledger, new_device: Callable[[], Any]
) -> None:
    await enrol(office, new_device())
    assert await bring_roles(office.store, ledger, "south") == 0


async def test_a_revoked_gateways_role_is_withdrawn(
    office: Any, ledger: Ledger, new_device: Callable[[], Any]
) -> None:
    await enrol(office, new_device())
    await bring_roles(office.store, ledger, "north")
    await office.enrolment.revoke(OWNER)
    assert await bring_roles(office.store, ledger, "north") == 1
    assert ledger.granted == {}


async def test_a_gateway_that_comes_back_is_granted_its_role_again(
    office: Any, ledger: Ledger, new_device: Callable[[], Any]
) -> None:
    await enrol(office, new_device())
    await office.enrolment.revoke(OWNER)
    await enrol(office, new_device())
    await bring_roles(office.store, ledger, "north")
    assert set(ledger.granted) == {"gw-1"}


async def test_a_broker_that_was_away_is_told_later(
    office: Any,
    ledger: Ledger,
    new_device: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(roles, "RETRY_S", 0.0)
    ledger.refusals = 2
    await enrol(office, new_device())
    task = asyncio.create_task(keep_roles(office.store, ledger, "north"))
    await asyncio.wait_for(ledger.told.wait(), 10)
    task.cancel()
    await asyncio.wait([task])  # before the store is closed under it
    assert ledger.calls == 3


async def test_what_changed_while_it_was_being_brought_is_brought_again(
    office: Any, ledger: Ledger, new_device: Callable[[], Any]
) -> None:
    await enrol(office, new_device())
    wanted = await office.store.unfulfilled("north", 10)
    await office.enrolment.revoke(OWNER)
    await office.store.fulfil(wanted)
    assert await bring_roles(office.store, ledger, "north") == 1


async def test_more_roles_than_fit_one_message_are_all_brought(
    office: Any,
    ledger: Ledger,
    database: Path,
    registration: str,
    new_device: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(roles, "ROLES_AT_ONCE_MAX", 1)
    text = f'{registration}\n[[gateway]]\nid = "gw-2"\ncell = "north"\n'
    await wiring.register(database, read_registration(text))
    second = Owner(tenant_id=1, address=GatewayAddress(cell="north", gateway="gw-2"))
    await enrol(office, new_device())
    await enrol(office, new_device(), second)
    assert await bring_roles(office.store, ledger, "north") == 2
    assert ledger.calls == 2


async def test_a_broker_that_forgot_everything_is_told_all_of_it(
    office: Any, ledger: Ledger, new_device: Callable[[], Any]
) -> None:
    await enrol(office, new_device())
    await bring_roles(office.store, ledger, "north")
    ledger.granted.clear()
    assert await restore_roles(office.store, ledger, "north") == 1
    assert ledger.granted == {
        "gw-1": gateway_grant(ADDRESS),
        "quince-headend-north": headend_grant("north"),
    }
