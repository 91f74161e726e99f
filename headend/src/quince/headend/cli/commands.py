"""The command line's group for commands: approve them, call them off, see how they go."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from quince.headend import process, wiring
from quince.headend.cli.options import JsonOption, TenantOption
from quince.headend.commands.documents import command_document, result_document, whole_document
from quince.headend.commands.rules import KeptCommand, Person, State
from quince.headend.commands.signing_key import new_signer, read_signer
from quince.headend.errors import UnknownCommandError, UnknownTenantError
from quince.headend.ingest.service import LoggedResult
from quince.headend.platform.secret_files import write_secret
from quince.headend.settings import Settings, load_settings
from quince.model.clock import parse_clock
from quince.model.errors import InvalidValueError
from quince.protocols.gateway.commands import (
    ID_OCTETS,
)

commands = typer.Typer(no_args_is_help=True, help="What gateways are told to do.")
keys = typer.Typer(no_args_is_help=True, help="The key that signs commands.")
commands.add_typer(keys, name="key")

LISTED_MAX = 200  # a screen's worth: the latest come first
STAGES_MAX = 1_000  # of one command; progress comes every few seconds at most
WATCH_PERIOD_S = 0.5

IdArgument = Annotated[str, typer.Argument(help="The command: 32 hexadecimal digits.")]
ByOption = Annotated[str, typer.Option("--by", help="Your name.")]


@commands.command("list")
def list_commands(
    tenant: TenantOption = None,
    only_open: Annotated[bool, typer.Option("--open", help="Without what is over.")] = False,  # noqa: FBT002 - typer makes a flag of it
    as_json: JsonOption = False,  # noqa: FBT002 - likewise
) -> None:
    """Show the latest commands, the last first."""

    async def read() -> tuple[KeptCommand, ...]:
        async with open_room(tenant) as (room, tenant_id):
            return await room.store.latest(
                tenant_id=tenant_id, limit=LISTED_MAX, open_only=only_open
            )

    for kept in asyncio.run(read()):
        say(kept, as_json=as_json)


@commands.command("show")
def show(
    command: IdArgument,
    tenant: TenantOption = None,
    save: Annotated[Path | None, typer.Option(help="Write what it brought to a new file.")] = None,
) -> None:
    """Print a command, who did what with it, and what its gateway said, as JSON."""

    async def read() -> dict[str, object]:
        async with open_room(tenant) as (room, tenant_id):
            kept = await _known(room, tenant_id, command_id_of(command))
            results = _results(room, kept)
            if save is not None:
                write_secret(save, _latest_body(results))
            audit = await room.store.audit(tenant_id=tenant_id, command_id=kept.command.command_id)
            return whole_document(kept, audit, results)

    typer.echo(json.dumps(asyncio.run(read()), indent=2, ensure_ascii=False))


@commands.command("approve")
def approve(
    command: IdArgument,
    by: ByOption,
    tenant: TenantOption = None,
    as_json: JsonOption = False,  # noqa: FBT002 - typer makes a flag of it
) -> None:
    """Clear a command another person asked for."""

    async def act() -> KeptCommand:
        async with open_room(tenant) as (room, tenant_id):
            return await room.commands.approve(
                tenant_id=tenant_id, command_id=command_id_of(command), by=Person(name=by)
            )

    say(asyncio.run(act()), as_json=as_json)


@commands.command("cancel")
def cancel(
    command: IdArgument,
    by: ByOption,
    tenant: TenantOption = None,
    as_json: JsonOption = False,  # noqa: FBT002 - typer makes a flag of it
) -> None:
    """Call off a command that was not published yet."""

    async def act() -> KeptCommand:
        async with open_room(tenant) as (room, tenant_id):
            return await room.commands.cancel(
                tenant_id=tenant_id, command_id=command_id_of(command), by=Person(name=by)
            )

    say(asyncio.run(act()), as_json=as_json)


@keys.command("new")
def new_key() -> None:
    """Make the key QUINCE_HEADEND_COMMAND_KEY names; print the line gateways believe it by."""
    settings = load_settings()
    signer = new_signer(settings.command_signer, key_file(settings))
    typer.echo(f'{signer.name} = "{signer.public_key_hex}"')


@keys.command("show")
def show_key() -> None:
    """Print the line for a gateway's [commands.signers]."""
    settings = load_settings()
    signer = read_signer(settings.command_signer, key_file(settings))
    typer.echo(f'{signer.name} = "{signer.public_key_hex}"')


# --- parts -----------------------------------------------------------------------------------


async def watch(room: wiring.CommandRoom, kept: KeptCommand, *, as_json: bool) -> State:
    """Show every stage as it comes, until nothing more will."""
    seen = 0
    while True:
        now = await _known(room, kept.tenant_id, kept.command.command_id)
        results = _results(room, kept)
        for one in results[seen:]:
            _say_result(one, as_json=as_json)
        seen = len(results)
        if not now.state.is_open:
            say(now, as_json=as_json)
            return now.state
        await asyncio.sleep(WATCH_PERIOD_S)


@asynccontextmanager
async def open_room(tenant_id: int | None) -> AsyncIterator[tuple[wiring.CommandRoom, int]]:
    """Open the commands of a tenant, the first if none is named, and say which it is."""
    settings = load_settings()
    clock = parse_clock(settings.clock)
    caps = process.alone_max(settings)
    async with wiring.open_commands(settings.database, clock, caps) as room:
        known = [one.tenant_id for one in await room.tenants.tenants()]
        chosen = known[:1] if tenant_id is None else [one for one in known if one == tenant_id]
        if not chosen:
            raise UnknownTenantError("no such tenant: import a registration")
        yield room, chosen[0]


async def _known(room: wiring.CommandRoom, tenant_id: int, command_id: bytes) -> KeptCommand:
    kept = await room.store.find(tenant_id=tenant_id, command_id=command_id)
    if kept is None:
        raise UnknownCommandError(f"no command {command_id.hex()}")
    return kept


def _results(room: wiring.CommandRoom, kept: KeptCommand) -> tuple[LoggedResult, ...]:
    return room.results.results_of(
        tenant_id=kept.tenant_id,
        command_id=kept.command.command_id,
        address=kept.command.address,
        limit=STAGES_MAX,
    )


def _latest_body(results: Iterable[LoggedResult]) -> bytes:
    bodies = [one.result.body for one in results if one.result.body]
    if not bodies:
        raise InvalidValueError("save", "", "the command has brought nothing yet")
    return bodies[-1]


def say(kept: KeptCommand, *, as_json: bool) -> None:
    """Print a command on one line."""
    document = command_document(kept)
    if as_json:
        typer.echo(json.dumps(document))
        return
    where = document["meter"] or f"{document['cell']}/{document['gateway']}"
    line = "{id}  {operation:<17} {where:<20} {state:<9} {requested_by}  {danger} {code} {detail}"
    typer.echo(line.format_map({**document, "where": where, "danger": kept.danger or ""}).rstrip())


def _say_result(logged: LoggedResult, *, as_json: bool) -> None:
    document = result_document(logged)
    if as_json:
        typer.echo(json.dumps(document))
        return
    parts = "{parts_done}/{parts}".format(**document) if document["parts"] else ""
    body = "" if document["body"] is None else json.dumps(document["body"], ensure_ascii=False)
    typer.echo("{at}  {stage:<10}".format(**document) + f" {parts} {document['code']} {body}")


def key_file(settings: Settings) -> Path:
    """Return where the signing key is; InvalidValueError if nobody has said."""
    if settings.command_key is None:
        raise InvalidValueError("command_key", None, "set QUINCE_HEADEND_COMMAND_KEY to a file")
    return settings.command_key


def command_id_of(text: str) -> bytes:
    """Return the command's identifier; InvalidValueError if it cannot be one."""
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        octets = b""
    if len(octets) != ID_OCTETS:
        raise InvalidValueError("command", text, f"{2 * ID_OCTETS} hexadecimal digits")
    return octets
