"""Bringing wanted roles to the broker, and again, until it has them.

A gateway is enrolled when its certificate is kept; a broker that cannot be reached just then does
not undo that. What is wanted stays wanted until the broker has it.
"""

import asyncio
from collections.abc import Sequence
from typing import NoReturn, Protocol

import structlog

from quince.headend.enrolment.rules import Grant, gateway_grant, headend_grant
from quince.headend.enrolment.service import WantedRole
from quince.headend.errors import BrokerControlError

log = structlog.get_logger()

ROLES_AT_ONCE_MAX = 25  # role and client: 50 orders, which one message to Mosquitto holds well
LOOK_S = 5.0  # a gateway that has just been certified waits this long for its role
RETRY_S = 30.0


class Authorizer(Protocol):
    """Whoever decides at the broker."""

    async def apply(self, grants: Sequence[Grant], withdrawn: Sequence[str]) -> None:
        """Let these do exactly this, and those nothing; BrokerControlError if it cannot be told.

        Whoever loses something is thrown out; whoever has what is granted is left in peace.
        """
        ...


class RoleStore(Protocol):
    """What is wanted at the broker."""

    async def unfulfilled(self, cell: str, limit: int) -> Sequence[WantedRole]:
        """Return roles of a cell that the broker does not have as they are wanted."""
        ...

    async def fulfil(self, roles: Sequence[WantedRole]) -> None:
        """Note that the broker has these roles as they were wanted then."""
        ...

    async def want_again(self, cell: str) -> None:
        """Take none of a cell's roles for fulfilled: the broker may have lost them."""
        ...


async def bring_roles(store: RoleStore, authorizer: Authorizer, cell: str) -> int:
    """Bring all that is wanted to the broker; return how many roles that were."""
    count = 0
    while wanted := await store.unfulfilled(cell, ROLES_AT_ONCE_MAX):
        await authorizer.apply(
            [gateway_grant(role.address) for role in wanted if role.present],
            [role.address.gateway for role in wanted if not role.present],
        )
        await store.fulfil(wanted)
        count += len(wanted)
        log.info("roles_brought", cell=cell, count=len(wanted))
    return count


async def restore_roles(store: RoleStore, authorizer: Authorizer, cell: str) -> int:
    """Bring everything again, the head-end's own grant too; return how many gateways' roles."""
    await authorizer.apply([headend_grant(cell)], [])
    await store.want_again(cell)
    return await bring_roles(store, authorizer, cell)


async def keep_roles(store: RoleStore, authorizer: Authorizer, cell: str) -> NoReturn:
    """Bring what comes to be wanted, for ever; the broker may be away meanwhile."""
    while True:
        try:
            await bring_roles(store, authorizer, cell)
        except BrokerControlError as error:
            log.warning("roles_not_brought", reason=str(error))
            await asyncio.sleep(RETRY_S)
        else:
            await asyncio.sleep(LOOK_S)
