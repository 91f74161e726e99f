"""Commands that set something in a meter, or try its keys: each asks before it does."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from quince.edge.cli.exits import Exit
from quince.edge.cli.language import say
from quince.edge.cli.options import Asked, Yes, asks_a_meter
from quince.edge.cli.output import AsJson, confirms, grid, moment, present, table
from quince.edge.commissioning.drift import Drift, measure, require_small, set_right
from quince.edge.commissioning.key_check import Verdict, attempts_max, verify
from quince.edge.readers.dlms.inspection import PERIOD_S_MAX
from quince.edge.settings import load_settings
from quince.model.clock import parse_clock

commands = typer.Typer()
keys = typer.Typer(help="The secrets shared with a meter.", no_args_is_help=True)
_VERDICTS = {
    Verdict.RIGHT: "right",
    Verdict.WRONG: "wrong",
    Verdict.ONE_IS_WRONG: "one of these is wrong",
    Verdict.NOT_TRIED: "not tried",
}


@keys.callback()
def _group() -> None:
    """Keep `keys` a group, though it has one command."""


@commands.command()
@asks_a_meter
def clock(
    asked: Asked,
    *,
    set_it: Annotated[bool, typer.Option("--set", help="Set it to this computer's.")] = False,
    force: Annotated[bool, typer.Option("--force", help="However far it is off.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show how far a meter's clock is off, and set it."""
    truth = parse_clock(load_settings().clock)

    async def ask() -> tuple[Drift, bool]:
        async with asked.open() as instrument:
            drift = await measure(instrument, truth)
        if not set_it:
            return drift, False
        require_small(drift, force=force)
        _confirm(say("The clock is {drift} off. Set it?", drift=drift.text), yes=yes)
        async with asked.open() as instrument:  # no meter waits for whoever thinks
            return await set_right(instrument, truth), True

    drift, was_set = asyncio.run(ask())
    document = {
        "meter": drift.shown_utc.isoformat(),
        "computer": drift.true_utc.isoformat(),
        "drift_s": round(drift.drift_s, 3),
        "was_set": was_set,
        "is_right": drift.is_right,
    }
    shown = grid(
        (
            (say("meter"), moment(drift.shown_utc)),
            (say("computer"), moment(drift.true_utc)),
            (say("off by"), drift.text),
        )
    )
    present(document, as_json=as_json, shown=shown)
    if not drift.is_right:
        raise typer.Exit(Exit.CHECK_FAILED)


@commands.command()
@asks_a_meter
def interval(
    asked: Asked,
    *,
    set_s: Annotated[
        int | None, typer.Option("--set", min=1, max=PERIOD_S_MAX, help="Seconds; 900 is billed.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show how often a meter's load profile captures, and change it."""
    if set_s is not None:
        _confirm(say("The meter will clear its load profile. Go on?"), yes=yes)

    async def ask() -> int:
        async with asked.open() as instrument:
            if set_s is not None:
                await instrument.set_capture_period(set_s)
            return await instrument.capture_period_s()

    document = {"period_s": asyncio.run(ask()), "was_set": set_s is not None}
    present(document, as_json=as_json, shown=grid([(say("period"), f"{document['period_s']} s")]))


@keys.command("verify")
@asks_a_meter
def verify_keys(asked: Asked, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Try whether password and keys are the meter's, and say which are not."""
    meter = asked.meter()
    _confirm(
        say(
            "If they are wrong the meter counts failed attempts, at most {n} now,"
            " and some lock themselves. Go on?",
            n=attempts_max(meter),
        ),
        yes=yes,
    )
    findings = asyncio.run(verify(meter, asked.open_as))
    document = [asdict(one) for one in findings]
    shown = table(say("secret"), say("verdict"))
    for one in findings:
        shown.add_row(say(one.secret), say(_VERDICTS[one.verdict]))
    present(document, as_json=as_json, shown=shown)
    if any(one.verdict in (Verdict.WRONG, Verdict.ONE_IS_WRONG) for one in findings):
        raise typer.Exit(Exit.NOT_AUTHENTICATED)


def _confirm(question: str, *, yes: bool) -> None:
    """Whoever says no has changed nothing."""
    if not yes and not confirms(question):
        raise typer.Abort
