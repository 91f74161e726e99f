"""The command line's work orders: what technicians are to do, and who of them is believed."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from quince.headend import process, wiring
from quince.headend.cli.options import JsonOption, TenantOption
from quince.headend.errors import UnknownOrderError
from quince.headend.settings import load_settings
from quince.headend.work_orders.endpoints import order_summary
from quince.headend.work_orders.rules import (
    ORDERS_MAX,
    KeptOrder,
    read_orders,
    read_technician,
)
from quince.headend.work_orders.store import WorkOrderStore
from quince.model.clock import parse_clock

orders = typer.Typer(no_args_is_help=True, help="Technicians' work orders.")
technicians = typer.Typer(no_args_is_help=True, help="Who signs reports.")
orders.add_typer(technicians, name="technician")

AnswerT = TypeVar("AnswerT")


@orders.command("import")
def import_orders(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    tenant: TenantOption = None,
) -> None:
    """Add work orders from a TOML file; those not done are renewed."""
    given = read_orders(file.read_text("utf-8"))

    async def put(book: WorkOrderStore, tenant_id: int) -> int:
        return await book.put(tenant_id=tenant_id, orders=given)

    kept = asyncio.run(_of_orders(tenant, put))
    typer.echo(f"{kept} work orders; {len(given) - kept} are done already")


@orders.command("list")
def list_orders(
    tenant: TenantOption = None,
    as_json: JsonOption = False,  # noqa: FBT002 - typer makes a flag of it
) -> None:
    """Show every work order, and how far it is."""

    async def read(book: WorkOrderStore, tenant_id: int) -> Sequence[KeptOrder]:
        return await book.orders(tenant_id=tenant_id, after="", limit=ORDERS_MAX, to_do=False)

    for kept in asyncio.run(_of_orders(tenant, read)):
        document = order_summary(kept)
        if as_json:
            typer.echo(json.dumps(document))
        else:
            line = "{order_id:<12} {kind:<11} {state:<7} {meter_id:<20} {due:<10} {place}"
            place = document["address"] or document["premise"]
            typer.echo(line.format(**document, place=place))


@orders.command("show")
def show_order(order_id: str, tenant: TenantOption = None) -> None:
    """Print a work order, without its keys, and its signed reports, as JSON."""

    async def read(book: WorkOrderStore, tenant_id: int) -> dict[str, object]:
        kept = await book.order(tenant_id=tenant_id, order_id=order_id)
        if kept is None:
            raise UnknownOrderError(f"no work order {order_id!r}")
        reports = await book.reports(tenant_id=tenant_id, order_id=order_id)
        return {**order_summary(kept), "reports": [json.loads(one) for one in reports]}

    typer.echo(json.dumps(asyncio.run(_of_orders(tenant, read)), indent=2, ensure_ascii=False))


@technicians.command("add")
def add_technician(name: str, public_key: str, tenant: TenantOption = None) -> None:
    """Believe reports signed by this key: what `quince-edge orders key` prints."""
    person = read_technician(name, public_key)

    async def put(book: WorkOrderStore, tenant_id: int) -> None:
        await book.put_technician(tenant_id=tenant_id, person=person)

    asyncio.run(_of_orders(tenant, put))


async def _of_orders(
    tenant_id: int | None, ask: Callable[[WorkOrderStore, int], Awaitable[AnswerT]]
) -> AnswerT:
    settings = load_settings()
    async with process.open_desk(settings.database, parse_clock(settings.clock)) as desk:
        owner = await desk.tenant(tenant_id)
    async with wiring.open_order_book(settings.database) as book:
        return await ask(book, owner.tenant_id)
