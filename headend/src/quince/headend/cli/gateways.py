"""The commands about gateways: tokens, standing, revocation, roles, the device authority."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey as PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from quince.headend import process, wiring
from quince.headend.cli.options import TenantOption
from quince.headend.door import open_authorizer, open_enrolment
from quince.headend.enrolment.authority import (
    Authority,
    create_authority,
    open_authority,
    write_key,
)
from quince.headend.enrolment.dynamic_security import first_configuration
from quince.headend.enrolment.roles import bring_roles, restore_roles
from quince.headend.enrolment.rules import OUR_NAMES, Owner, control_grant, headend_grant
from quince.headend.enrolment.service import Standing
from quince.headend.errors import BrokerControlError
from quince.headend.settings import Settings, load_settings
from quince.model.clock import parse_clock
from quince.model.errors import InvalidValueError
from quince.protocols.gateway.topics import GatewayAddress

gateways = typer.Typer(no_args_is_help=True, help="Who may be a gateway, and what it may do.")
authority = typer.Typer(no_args_is_help=True, help="The device authority.")
gateways.add_typer(authority, name="ca")

Cell = Annotated[str | None, typer.Option(help="Its cell; this head-end's if absent.")]
Folder = Annotated[Path, typer.Option(help="Where the key and the certificate go.")]
Days = Annotated[int, typer.Option(min=1, max=3_650, help="How long it is good.")]


@gateways.command()
def token(
    gateway: str,
    cell: Cell = None,
    tenant: TenantOption = None,
    hours: Annotated[int, typer.Option(min=1, max=720, help="How long it is good.")] = 72,
) -> None:
    """Print what makes one device this gateway, once; it cannot be shown again."""
    settings = load_settings()

    async def issue() -> str:
        owner = await _owner(settings, gateway, cell, tenant)
        async with open_enrolment(settings, parse_clock(settings.clock)) as enrolment:
            return await enrolment.issue_token(owner, timedelta(hours=hours))

    typer.echo(f"quince-edge enrol {settings.field_url} {asyncio.run(issue())}")


@gateways.command("list")
def list_gateways(
    tenant: TenantOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,  # noqa: FBT002 - typer makes a flag of it
) -> None:
    """Show the gateways that were enrolled, their newest certificates, and their roles."""
    settings = load_settings()
    standings = asyncio.run(_standings(settings, tenant))
    now_utc = parse_clock(settings.clock).now_utc()
    for standing in standings:
        document = standing_document(standing, alive=standing.certificate.lives(now_utc))
        if as_json:
            typer.echo(json.dumps(document))
        else:
            typer.echo(
                "{gateway:<24} {cell:<12} {state:<8} {not_after}  role {role}".format(**document)
            )


@gateways.command()
def revoke(gateway: str, cell: Cell = None, tenant: TenantOption = None) -> None:
    """Take a gateway's certificates, tokens and role back, now."""
    settings = load_settings()

    async def take_back() -> int:
        owner = await _owner(settings, gateway, cell, tenant)
        async with open_enrolment(settings, parse_clock(settings.clock)) as enrolment:
            return await enrolment.revoke(owner)

    typer.echo(f"{asyncio.run(take_back())} certificates revoked")
    if settings.broker_reload is None:
        typer.echo("let the broker read ca.crl again: kill -HUP its process", err=True)
    _tell_broker(settings, restore=False)


@gateways.command()
def roles(
    first: Annotated[
        Path | None, typer.Option(help="Write the broker's first dynamic security file here.")
    ] = None,
) -> None:
    """Bring every role and the revocation list to the broker again, as after it lost them."""
    settings = load_settings()
    if first is not None:
        _write_first(first, settings.cell)
        return

    async def publish() -> None:
        async with open_enrolment(settings, parse_clock(settings.clock)) as enrolment:
            await enrolment.publish_revocations()

    asyncio.run(publish())
    _tell_broker(settings, restore=True)


@authority.command()
def new(
    name: Annotated[str, typer.Option(help="What it is called.")] = "Quince device authority",
) -> None:
    """Make the authority that certifies gateways: a folder with a key that never leaves it."""
    settings = load_settings()
    folder = _authority_folder(settings)
    create_authority(folder, name, now_utc=parse_clock(settings.clock).now_utc())
    typer.echo(f"{folder / 'ca.crt'}: for the broker and for technicians")
    typer.echo(f"{folder / 'ca.crl'}: for the broker")


@authority.command("sign-server")
def sign_server(
    hosts: Annotated[list[str], typer.Argument(help="Names and addresses it is reached by.")],
    folder: Folder = Path(),
    days: Days = 1_095,
) -> None:
    """Make a key and a certificate for the broker or the door; the first name is the files'."""

    def sign(signer: Authority, key: PublicKey, now_utc: datetime) -> Certificate:
        return signer.sign_server(hosts, key, now_utc=now_utc, life=timedelta(days=days))

    _make_pair(folder, hosts[0], sign)


@authority.command("sign-client")
def sign_client(
    name: Annotated[str, typer.Argument(help="quince-headend-CELL, or quince-control.")],
    folder: Folder = Path(),
    days: Days = 1_095,
) -> None:
    """Make a key and a certificate for one of the head-end's own identities at the broker."""
    if not name.startswith(OUR_NAMES):
        raise InvalidValueError("name", name, f"{OUR_NAMES}…: a gateway enrols with a token")

    def sign(signer: Authority, key: PublicKey, now_utc: datetime) -> Certificate:
        return signer.sign_client(name, key, now_utc=now_utc, life=timedelta(days=days))

    _make_pair(folder, name, sign)


def standing_document(standing: Standing, *, alive: bool) -> dict[str, object]:
    """Return how a gateway stands as JSON has it."""
    certificate = standing.certificate
    ended = "revoked" if certificate.revoked_utc else "expired"
    return {
        "gateway": certificate.owner.address.gateway,
        "cell": certificate.owner.address.cell,
        "state": "enrolled" if alive else ended,
        "serial": certificate.serial,
        "not_after": certificate.not_after_utc.isoformat(),
        "role": "applied" if standing.role_applied else "pending",
    }


async def _owner(settings: Settings, gateway: str, cell: str | None, tenant: int | None) -> Owner:
    address = GatewayAddress(cell=cell or settings.cell, gateway=gateway)
    return Owner(tenant_id=await _tenant_id(settings, tenant), address=address)


async def _tenant_id(settings: Settings, tenant: int | None) -> int:
    async with process.open_desk(settings.database, parse_clock(settings.clock)) as desk:
        return (await desk.tenant(tenant)).tenant_id


async def _standings(settings: Settings, tenant: int | None) -> Sequence[Standing]:
    tenant_id = await _tenant_id(settings, tenant)
    async with wiring.open_enrolment_store(settings.database) as store:
        return await store.standings(tenant_id)


def _tell_broker(settings: Settings, *, restore: bool) -> None:
    """Bring roles now; what cannot be brought now is brought by the running head-end later."""
    bring = restore_roles if restore else bring_roles
    authorizer = open_authorizer(settings)

    async def tell() -> int:
        if authorizer is None:
            raise BrokerControlError("control_cert is not set: nobody of ours may tell it")
        async with wiring.open_enrolment_store(settings.database) as store:
            return await bring(store, authorizer, settings.cell)

    try:
        typer.echo(f"{asyncio.run(tell())} roles brought to the broker")
    except BrokerControlError as error:
        typer.echo(f"roles are pending: {error}", err=True)
        raise typer.Exit(1) from error


def _write_first(path: Path, cell: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(first_configuration([control_grant(), headend_grant(cell)]))
    except FileExistsError as error:
        raise InvalidValueError(
            "first", str(path), "there is one already; it is left alone"
        ) from error


def _authority_folder(settings: Settings) -> Path:
    if settings.device_ca is None:
        raise InvalidValueError("device_ca", None, "set QUINCE_HEADEND_DEVICE_CA to its folder")
    return settings.device_ca


def _make_pair(
    folder: Path, name: str, sign: Callable[[Authority, PublicKey, datetime], Certificate]
) -> None:
    settings = load_settings()
    signer = open_authority(_authority_folder(settings))
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = sign(signer, key.public_key(), parse_clock(settings.clock).now_utc())
    folder.mkdir(parents=True, exist_ok=True)
    write_key(folder / f"{name}.key", key)
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    typer.echo(f"{folder / name}.key, {folder / name}.crt")
