"""Commands at the place: commission a meter, exchange one, try a last gasp."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from quince.edge.cli.exits import Exit
from quince.edge.cli.language import say, spoken
from quince.edge.cli.options import Config, Yes, open_config
from quince.edge.cli.orders import Folder, order_folder
from quince.edge.cli.output import (
    AsJson,
    confirms,
    present,
    progress_console,
    table,
    wait_for_enter,
)
from quince.edge.errors import UnsupportedError
from quince.edge.orders.arrival import ARRIVAL_S
from quince.edge.orders.book import KeptReport
from quince.edge.orders.evidence import Evidence
from quince.edge.orders.filing import Filed
from quince.edge.orders.paper import CHECKS, VERDICTS, make_paper
from quince.edge.orders.trip import Outcome, Trip
from quince.edge.orders.verdicts import Verdict, fill
from quince.edge.settings import load_settings
from quince.model.clock import parse_clock
from quince.model.errors import QuinceError
from quince.protocols.visits.documents import Document

commands = typer.Typer()

Order = Annotated[str, typer.Option("--order", help="The work order, as `orders list` names it.")]
Seals = Annotated[list[str], typer.Option("--seal", help="A seal's number; may be repeated.")]
Photos = Annotated[
    list[Path], typer.Option("--photo", help="A photograph; its fingerprint goes into the report.")
]
Position = Annotated[str, typer.Option(help="latitude,longitude in degrees.")]
Note = Annotated[str, typer.Option(help="What else is to be known.")]
Wait = Annotated[
    int, typer.Option("--wait", min=0, max=86_400, help="Seconds to wait for the first interval.")
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Do not ask the head-end; the report is sent later.")
]
NoPaper = Annotated[bool, typer.Option("--no-paper", help="Make no PDF.")]

_MARKS = {
    Verdict.PASS: Text("✓", "green"),
    Verdict.WARN: Text("!", "yellow"),
    Verdict.FAIL: Text("✗", "bold red"),
    Verdict.SKIP: Text("–", "dim"),
}

_ENDS = {"answers": Exit.NO_ANSWER, "keys": Exit.NOT_AUTHENTICATED}


@commands.command()
def commission(  # noqa: PLR0913 - the options of a command
    order: Order,
    config: Config = None,
    folder: Folder = None,
    *,
    seal: Seals = [],  # noqa: B006 - typer copies it
    photo: Photos = [],  # noqa: B006 - likewise
    position: Position = "",
    note: Note = "",
    wait: Wait = ARRIVAL_S,
    offline: Offline = False,
    no_paper: NoPaper = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Check an ordered meter, let the gateway read it, and prove that it arrives."""
    evidence = Evidence(seals=seal, photos=photo, position=position, note=note)
    with _trip(config, folder, offline=offline, wait_s=wait, yes=yes) as trip:
        outcome = asyncio.run(trip.commission(order, evidence))
    _conclude(outcome, paper=not no_paper, as_json=as_json)


@commands.command()
def swap(  # noqa: PLR0913 - the options of a command
    order: Order,
    config: Config = None,
    folder: Folder = None,
    *,
    final: Annotated[
        int | None, typer.Option(min=0, help="The old meter's last active import, Wh, by hand.")
    ] = None,
    seal: Seals = [],  # noqa: B006 - typer copies it
    photo: Photos = [],  # noqa: B006 - likewise
    position: Position = "",
    note: Note = "",
    wait: Wait = ARRIVAL_S,
    offline: Offline = False,
    no_paper: NoPaper = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Read an old meter for the last time, and commission the one in its place."""
    evidence = Evidence(seals=seal, photos=photo, position=position, note=note)
    with _trip(config, folder, offline=offline, wait_s=wait, yes=yes) as trip:
        outcome = asyncio.run(trip.exchange(order, evidence, final))
    _conclude(outcome, paper=not no_paper, as_json=as_json)


@commands.command()
def lastgasp(
    meter: str,
    config: Config = None,
    folder: Folder = None,
    *,
    offline: Offline = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Break a meter's supply, and measure how fast the head-end hears its last gasp."""
    with _trip(config, folder, offline=offline, yes=yes) as trip:
        document = asyncio.run(trip.try_last_gasp(meter))
    shown = table(say("last gasp"), say("heard at"), say("after"), say("back"))
    shown.add_row(
        document["last_gasp"] or say("none"),
        say(document["heard_at"]),
        "" if document["latency_ms"] is None else f"{document['latency_ms'] / 1000:.1f} s",
        document["power_up"] or say("not yet"),
    )
    present(document, as_json=as_json, shown=shown)
    if document["last_gasp"] is None or document["power_up"] is None:
        raise typer.Exit(Exit.CHECK_FAILED)
    if document["heard_at"] == "gateway" and not offline:
        raise typer.Exit(Exit.HEADEND_UNREACHABLE)


class _Terminal:
    """The technician at a terminal; with `yes` nobody is asked. Everything goes to stderr."""

    def __init__(self, *, yes: bool) -> None:
        self._yes = yes
        self._progress: Progress | None = None

    def may_set_clock(self, drift: str) -> bool:
        """Ask."""
        question = say("The clock is {drift} off. Set it?", drift=drift)
        return self._yes or confirms(question)

    def guide(self, text: str) -> None:
        """Say it, and wait for Enter."""
        self.hide_bar()
        progress_console().print(say(text))
        if not self._yes:
            wait_for_enter(say("Enter to go on"))

    def waited(self, so_far_s: int, most_s: int) -> None:
        """Show a bar, from the first second of waiting on."""
        if self._progress is None:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
                console=progress_console(),
                refresh_per_second=1,  # a serial console has little room
            )
            minutes = -(-most_s // 60)
            text = say("waiting, {minutes} min at most; Ctrl-C ends it", minutes=minutes)
            self._progress.add_task(text, total=most_s)
            self._progress.start()
        self._progress.update(self._progress.task_ids[0], completed=so_far_s, total=most_s)

    def tell(self, error: QuinceError) -> None:
        """Say it in a line."""
        progress_console().print(f"{error.code}: {error}")

    def hide_bar(self) -> None:
        """Leave the terminal to words."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


@contextmanager
def _trip(
    config: Path | None, folder: Path | None, *, offline: bool, wait_s: int = 0, yes: bool
) -> Iterator[Trip]:
    settings = load_settings()
    terminal = _Terminal(yes=yes)
    try:
        yield Trip(
            config=open_config(config),
            config_path=config or settings.config,
            folder=order_folder(folder),
            clock=parse_clock(settings.clock),
            rng=random.SystemRandom(),
            person=terminal,
            offline=offline,
            wait_s=wait_s,
        )
    finally:
        terminal.hide_bar()


def _lay_on_paper(filed: Filed) -> Path | None:
    """Typeset a report beside its file; a device without a typesetter says so, and goes on."""
    try:
        page = make_paper(filed.signed, say=say, language=spoken())
    except UnsupportedError as error:
        progress_console().print(f"{error.code}: {error}")
        return None
    path = filed.path.with_suffix(".pdf")
    path.write_bytes(page)
    return path


def _conclude(outcome: Outcome, *, paper: bool, as_json: bool) -> None:
    """Show what a visit came to, and end with its exit code."""
    page = _lay_on_paper(outcome.filed) if paper else None
    report, kept = outcome.filed.signed.report, outcome.kept
    document = {
        **report,
        "file": str(outcome.filed.path),
        "paper": page and str(page),
        "sent": kept.sent,
        "refusal": kept.refusal,
    }
    present(document, as_json=as_json, shown=_shown(outcome, page))
    if code := exit_of(report, kept):
        raise typer.Exit(code)


def exit_of(report: Document, kept: KeptReport) -> Exit:
    """Return how the command ends: by the first check that failed, then by the head-end's word."""
    failures = [one["check"] for one in report["checks"] if one["verdict"] == Verdict.FAIL.value]
    if failures:
        return _ENDS.get(failures[0], Exit.CHECK_FAILED)
    if kept.refusal:
        return Exit.CHECK_FAILED
    return Exit.OK if kept.sent else Exit.HEADEND_UNREACHABLE


def _shown(outcome: Outcome, page: Path | None) -> RenderableType:
    report, kept = outcome.filed.signed.report, outcome.kept
    checks = table("", say("check"), say("result"))
    for one in report["checks"]:
        mark = _MARKS[Verdict(one["verdict"])]
        checks.add_row(mark, say(CHECKS[one["check"]]), fill(say(one["says"]), one["values"]))
    verdict = say(VERDICTS[Verdict(report["verdict"])])
    sent = say("sent") if kept.sent else kept.refusal or say("kept, to be sent later")
    files = [Text(str(path)) for path in (outcome.filed.path, page) if path is not None]
    return Group(checks, Text(), Text(f"{report['order']}: {verdict}", "bold"), *files, Text(sent))
