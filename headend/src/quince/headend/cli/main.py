"""The command line: quince-headend."""

import asyncio
import json
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from quince.headend import process, wiring
from quince.headend.assets.rules import read_registration
from quince.headend.cli.commands import commands
from quince.headend.cli.gateways import gateways
from quince.headend.cli.options import JsonOption, TenantOption
from quince.headend.cli.orders import orders
from quince.headend.cli.requests import requests
from quince.headend.dashboard.endpoints import (
    OUTAGES_MAX,
    completeness_document,
    next_meter,
    outage_document,
)
from quince.headend.identity.rules import Principal, Role
from quince.headend.platform.logging import configure_logging
from quince.headend.settings import PREFIX, load_settings
from quince.model.clock import parse_clock
from quince.model.command import run_command

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they show what is in files and variables: keys, too
    help="The technical side of Quince.",
)
tokens = typer.Typer(no_args_is_help=True, help="Access tokens.")
app.add_typer(tokens, name="token")
commands.add_typer(requests)
app.add_typer(commands, name="command")
app.add_typer(gateways, name="gateway")
app.add_typer(orders, name="order")


def main() -> None:
    """Run the command; what is logged is no answer."""
    configure_logging()
    run_command(app)


@app.command()
def run() -> None:
    """Ingest, follow outages and serve the dashboard, until told to stop."""
    asyncio.run(process.run(load_settings()))


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
) -> None:
    """Register a tenant's cells, gateways and meters from a TOML file."""
    registration = read_registration(file.read_text("utf-8"))
    asyncio.run(wiring.register(load_settings().database, registration))
    print(
        f"{registration.tenant.name}: {len(registration.gateways)} gateways,"
        f" {len(registration.meters)} meters"
    )


@app.command()
def completeness(
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])] = None,
    tenant: TenantOption = None,
    as_json: JsonOption = False,  # noqa: FBT002 - typer makes a flag of it
) -> None:
    """Show what every channel should have of a local day, and what it has."""
    chosen = None if day is None else day.date()
    for document in asyncio.run(_completeness(chosen, tenant)):
        if as_json:
            print(json.dumps(document))
        else:
            print(
                "{day}  {meter:<20} {obis:<12} {received:>3}/{expected}"
                " {energy:>9}  {conservation}".format(**document)
            )


async def _completeness(day: date | None, tenant_id: int | None) -> list[dict[str, object]]:
    settings = load_settings()
    clock = parse_clock(settings.clock)
    async with process.open_desk(settings.database, clock) as desk:
        chosen = day or clock.now_utc().date()
        owner = await desk.tenant(tenant_id)
        documents = []
        after: str | None = ""
        while after is not None:
            rows = await desk.usage.completeness(
                tenant_id=owner.tenant_id,
                first_day=chosen,
                last_day=chosen,
                now_utc=clock.now_utc(),
                after_meter=after,
            )
            documents += [completeness_document(row) for row in rows]
            after = next_meter(rows)
    return documents


@app.command()
def outages(
    tenant: TenantOption = None,
    as_json: JsonOption = False,  # noqa: FBT002 - typer makes a flag of it
) -> None:
    """Show the open outages, then the latest."""
    for document in asyncio.run(_outages(tenant)):
        if as_json:
            print(json.dumps(document))
        else:
            end = document["end"] or "dark"
            print(
                "{metering_point:<20} {start}  {until}  {duration_s} s".format(
                    until=end, **document
                )
            )


async def _outages(tenant_id: int | None) -> list[dict[str, object]]:
    settings = load_settings()
    clock = parse_clock(settings.clock)
    async with process.open_desk(settings.database, clock) as desk:
        owner = await desk.tenant(tenant_id)
        recent = await desk.outages.recent(tenant_id=owner.tenant_id, limit=OUTAGES_MAX)
    return [outage_document(outage, clock.now_utc()) for outage in recent]


@tokens.command()
def issue(
    tenant: Annotated[int, typer.Option(help="The tenant.")],
    customer: Annotated[str | None, typer.Option(help="The customer; staff if absent.")] = None,
    person: Annotated[str | None, typer.Option(help="The name staff act under.")] = None,
) -> None:
    """Print a new access token; it is kept as a hash and cannot be shown again."""
    principal = Principal(
        tenant_id=tenant,
        role=Role.STAFF if customer is None else Role.CUSTOMER,
        customer_id=customer,
        person=person,
    )
    print(asyncio.run(_issue(principal)))


async def _issue(principal: Principal) -> str:
    async with wiring.open_identity(load_settings().database) as identity:
        return await identity.issue_token(principal)


@app.command()
def settings() -> None:
    """Show what is in force; secrets are masked."""
    for name, value in load_settings().model_dump(mode="json").items():
        print(f"{PREFIX}{name.upper()}={'' if value is None else value}")
