"""The command that makes a device a gateway."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from quince.edge.cli.language import say
from quince.edge.cli.output import AsJson, present
from quince.edge.enrolment.service import CONFIG_FILE, enrol as enrol_device

commands = typer.Typer()


@commands.command()
def enrol(
    url: Annotated[str, typer.Argument(help="The head-end's door, as the token's sheet names it.")],
    token: Annotated[str, typer.Argument(help="The one-time token.")],
    ca: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Whom to believe that it is the head-end."),
    ] = None,
    folder: Annotated[
        Path, typer.Option(file_okay=False, help="Where key, certificate and configuration go.")
    ] = Path(),
    *,
    as_json: AsJson = False,
) -> None:
    """Make this device a gateway; if it breaks off, the same command goes on."""
    enrolled = asyncio.run(enrol_device(url, token, ca_file=ca, folder=folder))
    document = {
        "gateway": enrolled.address.gateway,
        "cell": enrolled.address.cell,
        "config": str(folder / CONFIG_FILE),
        "broker": f"{enrolled.broker_host}:{enrolled.broker_port}",
        "signers": sorted(enrolled.signers),
    }
    shown = say(
        "This device is {gateway} of {cell}. Add its meters to {config}, then run it.", **document
    )
    present(document, as_json=as_json, shown=shown)
