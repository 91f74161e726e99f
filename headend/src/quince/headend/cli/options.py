"""Options many commands share."""

from typing import Annotated

import typer

TenantOption = Annotated[int | None, typer.Option(help="The tenant; the first if absent.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
