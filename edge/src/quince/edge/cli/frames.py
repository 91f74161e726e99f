"""Commands that explain what was heard on a wire."""

import logging
from typing import Annotated

import typer
from rich.text import Text

from quince.edge.cli.options import Config, find_meter, open_config
from quince.edge.cli.output import AsJson, present
from quince.edge.commissioning.decode import explain, read_octets
from quince.edge.commissioning.keys import opener_of
from quince.edge.commissioning.layer import document_of, render

commands = typer.Typer()


@commands.command()
def decode(
    frame: Annotated[str, typer.Argument(help="Hexadecimal digits, or the name of a file.")],
    meter: Annotated[str | None, typer.Option(help="Whose keys open what is ciphered.")] = None,
    system_title: Annotated[
        str, typer.Option(help="Who sealed it, hexadecimal, where the frame does not say.")
    ] = "",
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Explain a frame of any protocol, layer by layer."""
    # What a frame of no function makes pymodbus say is said better by the refusal.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    opener = None
    if meter is not None:
        opener = opener_of(find_meter(open_config(config), meter), system_title)
    layer = explain(read_octets(frame), opener)
    present(document_of(layer), as_json=as_json, shown=Text(render(layer)))
