"""Commands around a trip: work orders downloaded before it, signed reports sent after it."""

import asyncio
import random
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from quince.edge.cli.exits import Exit
from quince.edge.cli.language import say, spoken
from quince.edge.cli.options import Config, open_config
from quince.edge.cli.output import AsJson, ask_secret, grid, present, table
from quince.edge.orders.book import KeptReport, OrderBook
from quince.edge.orders.door import open_door
from quince.edge.orders.filing import open_report
from quince.edge.orders.paper import VERDICTS, make_paper
from quince.edge.orders.sync import Pushed, pull, push
from quince.edge.orders.technician import keep_token, kept_token, technician_key
from quince.edge.settings import load_settings
from quince.protocols.visits.reports import verify_report

commands = typer.Typer(no_args_is_help=True, help="Work orders on this device, and their reports.")

Folder = Annotated[
    Path | None, typer.Option("--folder", help="Where orders, reports and the signing key lie.")
]
ReportFile = Annotated[Path, typer.Argument(help="The file of a signed report.")]


def order_folder(folder: Path | None) -> Path:
    """Return the folder named, else the technician's own."""
    return folder or load_settings().state / "orders"


@commands.command("pull")
def pull_orders(config: Config = None, folder: Folder = None, *, as_json: AsJson = False) -> None:
    """Download the open work orders, to be carried out without a network."""
    place = order_folder(folder)

    async def ask() -> int:
        with OrderBook(place) as book:
            async with open_door(open_config(config).headend, kept_token(place)) as door:
                return await pull(book, door)

    count = asyncio.run(ask())
    present(
        {"orders": count}, as_json=as_json, shown=Text(say("{count} work orders.", count=count))
    )


@commands.command("list")
def list_orders(folder: Folder = None, *, as_json: AsJson = False) -> None:
    """Show the work orders on this device, and the reports not sent yet."""
    with OrderBook(order_folder(folder)) as book:
        orders = [order.summary() for order in book.orders()]
        unsent = [one for one in book.reports() if not one.sent]
    document = {
        "orders": orders,
        "unsent": [{"order_id": one.order_id, "refusal": one.refusal} for one in unsent],
    }
    if not orders and not unsent:
        present(document, as_json=as_json, shown=say("Nothing here: `orders pull` brings some."))
        return
    shown = table(say("order"), say("task"), say("meter"), say("due"), say("address"))
    for order in orders:
        place = order["address"] or order["premise"]
        shown.add_row(order["order_id"], say(order["kind"]), order["meter_id"], order["due"], place)
    present(document, as_json=as_json, shown=_with_unsent(shown, unsent))


@commands.command("push")
def push_reports(config: Config = None, folder: Folder = None, *, as_json: AsJson = False) -> None:
    """Send the reports the head-end does not have yet."""
    place = order_folder(folder)

    async def ask() -> tuple[Pushed, list[KeptReport]]:
        with OrderBook(place) as book:
            async with open_door(open_config(config).headend, kept_token(place)) as door:
                pushed = await push(book, door)
            return pushed, [one for one in book.reports() if one.refusal]

    pushed, refused = asyncio.run(ask())
    document = {
        "sent": pushed.sent,
        "refused": [{"order_id": one.order_id, "refusal": one.refusal} for one in refused],
    }
    sent = table(say("{count} reports sent.", count=pushed.sent))
    present(document, as_json=as_json, shown=_with_unsent(sent, refused))
    if refused:
        raise typer.Exit(Exit.CHECK_FAILED)


@commands.command()
def key(folder: Folder = None, *, as_json: AsJson = False) -> None:
    """Print the public half of the key that signs reports here; it is made at first use."""
    own = technician_key(order_folder(folder), random.SystemRandom())
    public = own.public_key().public_bytes_raw().hex()
    present({"public_key": public}, as_json=as_json, shown=Text(public))


@commands.command()
def token(folder: Folder = None) -> None:
    """Keep the access token the head-end gave this technician; it is asked for, not shown."""
    keep_token(order_folder(folder), ask_secret(say("Token")))


@commands.command()
def verify(file: ReportFile, *, as_json: AsJson = False) -> None:
    """Check that a report is as its technician signed it, and show by which key."""
    signed = open_report(file)
    report = verify_report(signed)
    document = {
        "order": report.get("order"),
        "meter": report.get("meter"),
        "verdict": report.get("verdict"),
        "key": signed.key.hex(),
    }
    rows = (
        (say("order"), str(document["order"])),
        (say("meter"), str(document["meter"])),
        (say("result"), _verdict(document["verdict"])),
        (say("key"), signed.key.hex()),
    )
    present(document, as_json=as_json, shown=grid(rows))


@commands.command()
def paper(
    file: ReportFile,
    out: Annotated[Path | None, typer.Option(help="Where to; beside the file if absent.")] = None,
) -> None:
    """Typeset a signed report as a PDF."""
    page = make_paper(open_report(file), say=say, language=spoken())
    path = out or file.with_suffix(".pdf")
    path.write_bytes(page)
    print(path)


def _verdict(told: object) -> str:
    """Return a report's result in words; what is none stays as the report has it."""
    words = {one.value: text for one, text in VERDICTS.items()}
    return say(words.get(str(told), str(told)))


def _with_unsent(shown: Table, unsent: list[KeptReport]) -> Table:
    for one in unsent:
        told = one.refusal or say("not sent yet")
        shown.add_row(one.order_id, say("report"), told)
    return shown
