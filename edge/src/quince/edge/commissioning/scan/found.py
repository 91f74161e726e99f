"""What a search finds: where a meter is, in the words of a configuration, and who it says it is."""

from collections.abc import Callable
from dataclasses import dataclass, field

from quince.edge.readers.reader import Identity

NOBODY = Identity(serial="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One meter: `kind`, `url` and `fields` are what to write into the configuration.

    `profiles` are those whose code a Modbus meter bears. `remark` says what kept it from telling.
    """

    kind: str
    url: str
    fields: dict[str, int | str] = field(default_factory=dict)
    identity: Identity = NOBODY
    profiles: tuple[str, ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who is told how a search goes: what was found, and how many of how many probes are done."""

    found: Callable[[Found], None]
    progress: Callable[[int, int, str], None]
