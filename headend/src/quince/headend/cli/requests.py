"""The command line's requests: one command for each thing a gateway can be told to do."""

import asyncio
import hashlib
import inspect
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from quince.headend.cli.commands import (
    ByOption,
    IdArgument,
    command_id_of,
    key_file,
    open_room,
    say,
    watch,
)
from quince.headend.cli.options import JsonOption, TenantOption
from quince.headend.commands.rules import KeptCommand, Person, State
from quince.headend.commands.service import Commands, Wish
from quince.headend.platform.secret_files import write_secret
from quince.headend.settings import load_settings
from quince.model.errors import InvalidValueError, QuinceError
from quince.model.meter_key import MeterKey
from quince.protocols.gateway.commands import (
    ActivateFirmware,
    ArmSupply,
    Diagnose,
    ReadClock,
    ReadNow,
    ReadProfile,
    SetClock,
    TransferFirmware,
)
from quince.protocols.gateway.topics import GatewayAddress

requests = typer.Typer()

KEY_OCTETS = 16  # DLMS security suites 0 and 1
_NOT_DONE = 1


class Supply(StrEnum):
    """What the supply switch is to let through."""

    ON = "on"
    OFF = "off"


Ask = Callable[[Commands, Wish], Awaitable[KeptCommand]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """What every request has: who and why, by which gateway, and how its course is shown."""

    by: ByOption
    reason: Annotated[str, typer.Option(help="Why; it is kept.")]
    gateway: Annotated[
        str | None,
        typer.Option(
            help="NAME in this head-end's cell, or CELL/NAME; that which brings the meter's"
            " values if absent."
        ),
    ] = None
    tenant: TenantOption = None
    wait: Annotated[bool, typer.Option("--wait", help="Show how it goes until it is over.")] = False
    as_json: JsonOption = False


_METER = inspect.Parameter(
    "meter", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[str, typer.Argument()]
)


def _asks(
    name: str, *, at_meter: bool = False
) -> Callable[[Callable[..., Ask]], Callable[..., Ask]]:
    """Make a command of a function that says what to ask for; the options of `_Way` join its own.

    Typer tells parameters from the signature, so the joined one is written there.
    """

    def register(ask: Callable[..., Ask]) -> Callable[..., Ask]:
        def run(**given: object) -> None:
            way = _Way(**{field.name: given.pop(field.name) for field in fields(_Way)})  # type: ignore[arg-type]  # typer has checked them
            asyncio.run(_request(way, str(given.pop("meter", "")), ask(**given)))

        own = inspect.signature(ask).parameters.values()
        joined = [
            *([_METER] if at_meter else []),
            *own,
            *inspect.signature(_Way).parameters.values(),
        ]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # functions may have one
            [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in joined]
        )
        run.__annotations__ = {one.name: one.annotation for one in joined}
        requests.command(name, help=ask.__doc__)(run)
        return ask

    return register


# --- what can be asked for -------------------------------------------------------------------


@_asks("read-now", at_meter=True)
def read_now() -> Ask:
    """Read who the meter is, its clock and its registers, now."""
    return lambda room, wish: room.request(wish, ReadNow())


@_asks("read-profile", at_meter=True)
def read_profile(
    start: Annotated[str, typer.Option(help="ISO 8601 with an offset.")],
    end: Annotated[str, typer.Option(help="ISO 8601 with an offset.")],
) -> Ask:
    """Read the quarter-hours from START to END again."""
    operation = ReadProfile(start_utc=_moment("start", start), end_utc=_moment("end", end))
    return lambda room, wish: room.request(wish, operation)


@_asks("clock", at_meter=True)
def read_clock() -> Ask:
    """Compare the meter's clock with the gateway's."""
    return lambda room, wish: room.request(wish, ReadClock())


@_asks("set-clock", at_meter=True)
def set_clock(
    step_max: Annotated[int, typer.Option(help="Seconds; more than this is not corrected.")] = 60,
) -> Ask:
    """Set the meter's clock to the gateway's."""
    return lambda room, wish: room.request(wish, SetClock(step_s_max=step_max))


@_asks("arm", at_meter=True)
def arm(to: Supply) -> Ask:
    """Say what the supply switch does now, and make ready to turn it ON or OFF."""
    return lambda room, wish: room.request(wish, ArmSupply(on=to is Supply.ON))


@_asks("confirm")
def confirm(armed_by: IdArgument) -> Ask:
    """Turn the switch as the command ARMED_BY made it ready for, minutes ago."""
    return lambda room, wish: room.confirm(wish, command_id_of(armed_by))


@_asks("switch", at_meter=True)
def switch(to: Supply) -> Ask:
    """Arm the supply switch and confirm, as one request: turn it ON or OFF."""
    return lambda room, wish: room.switch(wish, on=to is Supply.ON)


@_asks("firmware", at_meter=True)
def firmware(
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    identifier: Annotated[str, typer.Option(help="The image's name, as the meter will know it.")],
    url: Annotated[
        str | None, typer.Option(help="Where the gateway fetches it; our own door if absent.")
    ] = None,
) -> Ask:
    """Bring a firmware IMAGE to the meter, whole and verified; it is not started yet."""
    octets = image.read_bytes()
    fingerprint = hashlib.sha256(octets)
    operation = TransferFirmware(
        identifier=identifier,
        url=url or _door_url(fingerprint.hexdigest()),
        sha256=fingerprint.digest(),
        size=len(octets),
    )
    return lambda room, wish: room.request(wish, operation)


@_asks("activate", at_meter=True)
def activate(identifier: Annotated[str, typer.Argument(help="The image's name.")]) -> Ask:
    """Start the verified firmware image of that name."""
    return lambda room, wish: room.request(wish, ActivateFirmware(identifier=identifier))


@_asks("change-key", at_meter=True)
def change_key(
    key: Annotated[MeterKey, typer.Argument(help="Which of the meter's keys.")],
    file: Annotated[Path, typer.Argument(help="A new file the new key is written to.")],
) -> Ask:
    """Replace one of the meter's keys by a random one, written to FILE and kept nowhere else."""

    async def ask(room: Commands, wish: Wish) -> KeptCommand:
        secret = secrets.token_bytes(KEY_OCTETS)
        write_secret(file, f"{wish.meter_id} {key} {secret.hex()}\n".encode())
        try:
            return await room.change_key(wish, key, secret)
        except QuinceError:
            file.unlink()  # nobody will ever use it
            raise

    return ask


@_asks("configure")
def configure(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> Ask:
    """Give the gateway named by --gateway the meters of a TOML file."""
    text = file.read_text("utf-8")
    return lambda room, wish: room.configure(wish, text)


@_asks("diagnose")
def diagnose() -> Ask:
    """Have the gateway named by --gateway send a diagnostic bundle; `show --save` keeps it."""
    return lambda room, wish: room.request(wish, Diagnose())


# --- parts ---------------------------------------------------------------------------------


async def _request(way: _Way, meter_id: str, ask: Ask) -> None:
    key_file(load_settings())  # else nobody would ever publish it
    async with open_room(way.tenant) as (room, tenant_id):
        wish = Wish(
            tenant_id=tenant_id,
            by=Person(name=way.by),
            reason=way.reason,
            meter_id=meter_id,
            address=None if way.gateway is None else _address(way.gateway),
        )
        kept = await ask(room.commands, wish)
        say(kept, as_json=way.as_json)
        if way.wait and (await watch(room, kept, as_json=way.as_json)) is not State.DONE:
            raise typer.Exit(_NOT_DONE)


def _door_url(fingerprint: str) -> str:
    door = load_settings().field_url
    if door is None:
        raise InvalidValueError("url", None, "give one, or set QUINCE_HEADEND_FIELD_URL")
    return f"{door}/v1/firmware/{fingerprint}"


def _address(text: str) -> GatewayAddress:
    cell, slash, gateway = text.partition("/")
    if not slash:
        return GatewayAddress(cell=load_settings().cell, gateway=text)
    return GatewayAddress(cell=cell, gateway=gateway)


def _moment(field: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidValueError(field, text, "expected an ISO 8601 moment") from error
    if moment.tzinfo is None:
        raise InvalidValueError(field, text, "needs an offset from UTC")
    return moment.astimezone(UTC)
