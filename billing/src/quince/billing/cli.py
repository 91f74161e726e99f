"""quince-billing: import tariffs and customers, bill an account, show and verify a bill."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from quince.billing.bill.render import render_text
from quince.billing.contracts.service import import_tariff as keep_tariff
from quince.billing.customers.rules import Roster, parse_roster
from quince.billing.invoices.service import Invoice, invoice_of
from quince.billing.runs.service import Verification, bill_account, verify as verify_bill
from quince.billing.settings import BillingSettings, load_settings
from quince.billing.tariff.document import parse_tariff
from quince.billing.tariff.period import Period
from quince.billing.tariff.tariff import Tariff
from quince.billing.wiring import open_office
from quince.model.command import run_command

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)

_File = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]
_DAY = ["%Y-%m-%d"]


@app.command()
def import_customers(file: _File) -> None:
    """Keep the customers, accounts and meters of a TOML file."""
    roster = parse_roster(file.read_text(encoding="utf-8"))
    asyncio.run(_import_customers(load_settings(), roster))
    print(f"{len(roster.customers)} customers, {len(roster.accounts)} accounts")


@app.command()
def import_tariff(file: _File) -> None:
    """Keep the tariff version of a TOML file; it is written once."""
    tariff = parse_tariff(file.read_text(encoding="utf-8"))
    asyncio.run(_import_tariff(load_settings(), tariff))
    print(f"tariff {tariff.tariff_id} {tariff.version}")


@app.command()
def run(
    account: Annotated[str, typer.Option(help="the account to bill")],
    first: Annotated[datetime, typer.Option("--from", formats=_DAY, help="its first local day")],
    last: Annotated[datetime, typer.Option("--to", formats=_DAY, help="its last, included")],
) -> None:
    """Bill an account for a period, keep the bill, and print it."""
    period = Period(first_day=first.date(), last_day=last.date())
    invoice = asyncio.run(_run(load_settings(), account, period))
    print(render_text(invoice.bill), end="")


@app.command()
def show(bill: str) -> None:
    """Print an issued bill."""
    invoice = asyncio.run(_show(load_settings(), bill))
    print(render_text(invoice.bill), end="")


@app.command()
def verify(bill: str) -> None:
    """Compute an issued bill again and compare, byte for byte; exit code 1 if they differ."""
    verification = asyncio.run(_verify(load_settings(), bill))
    print(f"issued   {verification.issued_sha256}")
    print(f"computed {verification.computed_sha256}")
    if not verification.same:
        raise typer.Exit(code=1)


@app.command()
def settings() -> None:
    """Print the settings in force."""
    for name, value in load_settings():
        print(f"{name} = {value}")


def main() -> None:
    """Run the command."""
    run_command(app)


async def _import_customers(settings: BillingSettings, roster: Roster) -> None:
    async with open_office(settings) as office:
        await office.customers.put_roster(tenant_id=settings.tenant_id, roster=roster)


async def _import_tariff(settings: BillingSettings, tariff: Tariff) -> None:
    async with open_office(settings) as office:
        await keep_tariff(office.contracts, tenant_id=settings.tenant_id, tariff=tariff)


async def _run(settings: BillingSettings, account_id: str, period: Period) -> Invoice:
    async with open_office(settings) as office:
        return await bill_account(
            office, tenant_id=settings.tenant_id, account_id=account_id, period=period
        )


async def _show(settings: BillingSettings, bill_id: str) -> Invoice:
    async with open_office(settings) as office:
        return await invoice_of(office.invoices, tenant_id=settings.tenant_id, bill_id=bill_id)


async def _verify(settings: BillingSettings, bill_id: str) -> Verification:
    async with open_office(settings) as office:
        return await verify_bill(office, tenant_id=settings.tenant_id, bill_id=bill_id)
