"""Who is calling, and what is theirs. The customer comes from the token, never from the path."""

from typing import Annotated

import structlog
from fastapi import Depends, Request

from quince.billing.customers.service import Supply
from quince.headend.errors import AccessDeniedError, NotAuthenticatedError
from quince.headend.identity.rules import Principal, Role
from quince.portal_api.door import Door

log = structlog.get_logger()

_SCHEME = "bearer "


def door_of(request: Request) -> Door:
    """Return what the endpoints call."""
    door: Door = request.app.state.door
    return door


TheDoor = Annotated[Door, Depends(door_of)]


async def customer_of(request: Request, door: TheDoor) -> Principal:
    """Return the calling customer; NotAuthenticatedError, or AccessDeniedError for staff.

    Staff have routes of their own; these answer a customer about what is the customer's.
    """
    header = request.headers.get("authorization", "")
    if not header.lower().startswith(_SCHEME):
        raise NotAuthenticatedError("a bearer token is needed")
    principal = await door.identity.authenticate(header[len(_SCHEME) :].strip())
    if principal is None:
        raise NotAuthenticatedError("the token is not known")
    if principal.role is not Role.CUSTOMER:
        raise AccessDeniedError("this route is for customers")
    # Every read of personal data leaves a line: who asked for what; never a name.
    log.info(
        "personal_data_asked",
        tenant_id=principal.tenant_id,
        customer_id=principal.customer_id,
        path=request.url.path,
    )
    return principal


CallingCustomer = Annotated[Principal, Depends(customer_of)]


async def supplies_of(door: TheDoor, customer: CallingCustomer) -> tuple[Supply, ...]:
    """Return the calling customer's accounts with their meters."""
    return await door.office.customers.supplies(
        tenant_id=customer.tenant_id, customer_id=customer.customer_id or ""
    )


OwnSupplies = Annotated[tuple[Supply, ...], Depends(supplies_of)]


def own_supply(supplies: tuple[Supply, ...], account_id: str) -> Supply:
    """Return one of the caller's accounts; AccessDeniedError if it is not one of them."""
    for supply in supplies:
        if supply.account.account_id == account_id:
            return supply
    raise AccessDeniedError("not yours, or not there")
