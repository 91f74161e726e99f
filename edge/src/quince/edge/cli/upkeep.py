"""Commands that look after a gateway: what waits in it, what it stands on; meters for practice."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group

from quince.edge.cli.exits import Exit
from quince.edge.cli.language import say
from quince.edge.cli.options import Config, open_config
from quince.edge.cli.output import AsJson, grid, present, progress_console, table
from quince.edge.health.bundle import make_bundle
from quince.edge.health.checks import Finding, Verdict, examine, unreadable, worst
from quince.edge.health.facts import gather
from quince.edge.health.training import HOUSE, practise, prepare
from quince.edge.outbox.view import waiting_document
from quince.edge.settings import load_settings
from quince.model.clock import parse_clock
from quince.model.errors import InvalidValueError

commands = typer.Typer()

_MARKS = {Verdict.PASS: "✓", Verdict.WARN: "!", Verdict.FAIL: "✗"}


@commands.command()
def outbox(
    *,
    messages: Annotated[
        int, typer.Option(min=0, help="Show the heads of so many messages of each lane.")
    ] = 0,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what waits to be delivered, beside a running gateway too."""
    document = waiting_document(open_config(config).outbox, heads=messages)
    lanes = table(say("lane"), say("messages"), say("octets"), say("oldest"))
    for lane in document["lanes"]:
        lanes.add_row(*_words(lane, "lane", "messages", "octets", "oldest_utc"))
    heads = table(say("lane"), say("number"), say("octets"), say("from"), say("about"))
    for head in document["heads"]:
        heads.add_row(*_words(head, "lane", "seq", "octets", "oldest_utc", "about"))
    percent = 100 * document["bytes_used"] // document["bytes_max"]
    used = say("{percent} % of the room is taken", percent=percent)
    present(document, as_json=as_json, shown=Group(lanes, used, *([heads] if messages else [])))


@commands.command()
def doctor(config: Config = None, *, as_json: AsJson = False) -> None:
    """Check what the gateway stands on: files, disk, lines, clock, broker."""
    findings = _findings(config)
    document = {
        "verdict": worst(findings).value,
        "findings": [asdict(finding) | {"text": _said(finding)} for finding in findings],
    }
    shown = table("", say("check"), say("finding"))
    for finding in findings:
        advice = say(finding.advice, **finding.values) if finding.advice else ""
        text = f"{_said(finding)}\n→ {advice}" if advice else _said(finding)
        shown.add_row(_MARKS[finding.verdict], say(finding.check), text)
    present(document, as_json=as_json, shown=shown)
    if worst(findings) is Verdict.FAIL:
        raise typer.Exit(Exit.CHECK_FAILED)


@commands.command()
def bundle(
    to: Annotated[Path, typer.Argument(help="The archive to write.")] = Path("quince-edge.zip"),
    *,
    log: Annotated[Path | None, typer.Option(help="A log whose end goes into it.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Pack what somebody far away needs to see what is wrong; no secret is in it."""
    settings = load_settings()
    path = config or settings.config
    clock = parse_clock(settings.clock)
    octets = make_bundle(path, open_config(config), clock, log_file=log, reach=True)
    to.write_bytes(octets)
    document = {"file": str(to), "octets": len(octets)}
    present(document, as_json=as_json, shown=say("{octets} octets in {file}", **document))


@commands.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Where their files go.")] = Path("practice"),
    *,
    as_json: AsJson = False,
) -> None:
    """Start meters to practise on, until stopped."""
    practice = prepare(folder)
    lines = [
        {"meter": meter, "try": f"quince-edge read {meter} --config {practice.config}"}
        for meter in HOUSE
    ]
    document = {"config": str(practice.config), "meters": lines}
    present(document, as_json=as_json, shown=grid((one["meter"], one["try"]) for one in lines))
    progress_console().print(say("Practise in another terminal; Ctrl-C ends the meters."))
    raise typer.Exit(practise(practice))


def _findings(config: Path | None) -> tuple[Finding, ...]:
    settings = load_settings()
    try:
        opened = open_config(config)
    except InvalidValueError as error:
        return (unreadable(str(error)),)
    path = config or settings.config
    return examine(gather(path, opened, parse_clock(settings.clock), reach=True))


def _said(finding: Finding) -> str:
    return say(finding.said, **finding.values)


def _words(row: dict[str, Any], *names: str) -> list[str]:
    return ["" if row[name] is None else str(row[name]) for name in names]
