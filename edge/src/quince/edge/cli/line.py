"""Commands that look for meters: on this computer's serial ports, and on networks."""

import asyncio
import random
import shlex
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from quince.edge.cli.exits import Exit
from quince.edge.cli.language import say
from quince.edge.cli.output import AsJson, present, progress_console, table
from quince.edge.commissioning.ports import Use, list_serial_ports
from quince.edge.commissioning.scan.found import Found, Watcher
from quince.edge.commissioning.scan.network import FEW, PORTS, PORTS_MAX, hosts_of, search_network
from quince.edge.commissioning.scan.plan import (
    HDLC_LOWER_MAX,
    MODBUS_ID_MAX,
    Family,
    Scope,
    parse_range,
)
from quince.edge.commissioning.scan.serial_line import search_line
from quince.edge.errors import TransportError
from quince.model.errors import InvalidValueError

commands = typer.Typer()

Search = Callable[[Watcher], Coroutine[Any, Any, None]]
_PORT_MAX = 65_535
_KIND_OF_URL = ("dlms", "modbus", "optical")  # a URL says these itself


@commands.command()
def ports(*, as_json: AsJson = False) -> None:
    """List the serial ports, what hangs on them, and whether they are free."""
    document = [asdict(one) for one in list_serial_ports()]
    shown = table(say("port"), say("use"), say("adapter"), say("maker"), say("number"))
    for one in document:
        shown.add_row(
            one["device"], say(one["use"]), one["name"], one["maker"], one["serial_number"]
        )
    present(document, as_json=as_json, shown=shown)


@commands.command()
def scan(  # noqa: PLR0913 - a parameter is an option here
    port: Annotated[
        str | None, typer.Argument(help="A serial port; all that are free, if it is not named.")
    ] = None,
    *,
    tcp: Annotated[
        str | None, typer.Option(help="A network instead, as 192.168.1.0/24; at most 1024 hosts.")
    ] = None,
    tcp_ports: Annotated[
        str, typer.Option("--ports", help="Which ports there, separated by commas.")
    ] = ",".join(map(str, PORTS)),
    modbus: Annotated[
        str | None, typer.Option(help="Only Modbus, and these device ids, as 1-247.")
    ] = None,
    hdlc: Annotated[
        str | None, typer.Option(help="Only DLMS, and these physical addresses, as 16-32.")
    ] = None,
    baud: Annotated[
        int | None, typer.Option(min=300, max=115_200, help="Only at this baud.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for meters; Ctrl-C ends it with what was found so far."""
    scope = _scope(modbus, hdlc, baud, is_network=tcp is not None)
    found: list[Found] = []
    try:
        for search in _searches(port, tcp, tcp_ports, scope):
            _run_on(search, found)
    except KeyboardInterrupt:
        progress_console().print(say("Stopped; this is what was found so far."))
    document = [asdict(one) for one in found]
    present(document, as_json=as_json, shown=_shown(found))
    if not found:
        raise typer.Exit(Exit.NO_ANSWER)


def _run_on(search: Search, found: list[Found]) -> None:
    """Search; a port that cannot be opened, or breaks, keeps no other from being searched."""
    try:
        _run(search, found)
    except TransportError as error:
        progress_console().print(f"{error.code}: {error}")


def _scope(modbus: str | None, hdlc: str | None, baud: int | None, *, is_network: bool) -> Scope:
    """Return everything, or what was named alone."""
    usual = Scope(modbus=FEW) if is_network else Scope()
    named = [
        family
        for family, text in ((Family.MODBUS, modbus), (Family.HDLC, hdlc))
        if text is not None
    ]
    return Scope(
        families=tuple(named) or usual.families,
        modbus=usual.modbus if modbus is None else parse_range("--modbus", modbus, MODBUS_ID_MAX),
        hdlc=usual.hdlc if hdlc is None else parse_range("--hdlc", hdlc, HDLC_LOWER_MAX),
        baud=baud,
    )


def _searches(port: str | None, tcp: str | None, tcp_ports: str, scope: Scope) -> list[Search]:
    rng = random.SystemRandom()
    if tcp is not None:
        hosts, doors = hosts_of(tcp), _ports(tcp_ports)
        return [lambda watcher: search_network(hosts, doors, scope, watcher, rng)]
    names = [port] if port else [one.device for one in list_serial_ports() if one.use is Use.FREE]
    return [_line_search(name, scope) for name in names]


def _line_search(name: str, scope: Scope) -> Search:
    return lambda watcher: search_line(name, scope, watcher, random.SystemRandom())


def _ports(text: str) -> list[int]:
    ranges = [parse_range("--ports", one, _PORT_MAX) for one in text.split(",")]
    if sum(map(len, ranges)) > PORTS_MAX:
        raise InvalidValueError("--ports", text, f"at most {PORTS_MAX}")
    return [port for one in ranges for port in one]


def _run(search: Search, found: list[Found]) -> None:
    console = progress_console()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def take(one: Found) -> None:
            found.append(one)
            console.print(_where(one), soft_wrap=True)

        def advance(done: int, total: int, doing: str) -> None:
            bar.update(task, completed=done, total=total, description=doing)

        asyncio.run(search(Watcher(found=take, progress=advance)))


def _shown(found: list[Found]) -> RenderableType:
    """Return two lines for each: what other commands take to reach it, and who it is."""
    if not found:
        return say("Nobody answered.")
    return Group(*(line for one in found for line in _lines(one)))


def _lines(one: Found) -> Iterator[Text]:
    who = one.identity
    names = " ".join(filter(None, (who.maker, who.model, who.serial, who.firmware)))
    profiles = f"{say('profile')}: {', '.join(one.profiles)}" if one.profiles else ""
    # Never broken: it is copied behind `quince-edge read`.
    yield Text(_where(one), "bold", no_wrap=True, overflow="ignore")
    yield Text("  " + " · ".join(filter(None, (one.kind, names, one.remark, profiles))))


def _where(one: Found) -> str:
    """Return where it is, as a shell's words: a `?` and a `&` mean something there."""
    fields = {**one.fields} if one.kind in _KIND_OF_URL else {"kind": one.kind, **one.fields}
    options = (word for name, value in fields.items() for word in ("-f", f"{name}={value}"))
    return shlex.join((one.url, *options))
