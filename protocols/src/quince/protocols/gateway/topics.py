"""The topic tree: quince/v1/{cell}/{gateway}/up/{iv,ev,rs,st,tw} and …/down/{ack,cmd,cfg}."""

import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from quince.model.errors import InvalidValueError

_ROOT = "quince/v1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class Lane(IntEnum):
    """The outbox lanes, most urgent first; each is a sequence of its own."""

    EVENTS = 0
    RESULTS = 1
    LIVE = 2
    BACKFILL = 3


class Way(StrEnum):
    """The last topic level: what a message is about."""

    INTERVALS = "iv"
    EVENTS = "ev"
    RESULTS = "rs"
    STATE = "st"
    TWIN = "tw"  # what the gateway runs: versions, configuration; retained


def way_of(lane: Lane) -> Way:
    """Return the topic level a lane's messages go up by."""
    return {Lane.EVENTS: Way.EVENTS, Lane.RESULTS: Way.RESULTS}.get(lane, Way.INTERVALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayAddress:
    """A gateway's name within its cell; both are single topic levels."""

    cell: str
    gateway: str

    def __post_init__(self) -> None:
        for field in ("cell", "gateway"):
            if _NAME.fullmatch(getattr(self, field)) is None:
                raise InvalidValueError(
                    field, getattr(self, field), "letters, digits, '_', '.', '-'; at most 63"
                )

    def up(self, way: Way) -> str:
        """Return the topic this gateway publishes `way` on."""
        return f"{_ROOT}/{self.cell}/{self.gateway}/up/{way}"

    @property
    def ack(self) -> str:
        """The topic this gateway hears the head-end's acknowledgements on."""
        return f"{_ROOT}/{self.cell}/{self.gateway}/down/ack"

    @property
    def command(self) -> str:
        """The topic this gateway hears commands on."""
        return f"{_ROOT}/{self.cell}/{self.gateway}/down/cmd"

    @property
    def configuration(self) -> str:
        """The topic the command with this gateway's latest configuration is retained on."""
        return f"{_ROOT}/{self.cell}/{self.gateway}/down/cfg"

    @property
    def all_up(self) -> str:
        """The filter of everything this gateway may publish."""
        return f"{_ROOT}/{self.cell}/{self.gateway}/up/#"

    @property
    def all_down(self) -> str:
        """The filter of everything this gateway may hear."""
        return f"{_ROOT}/{self.cell}/{self.gateway}/down/#"


def cell_filters(cell: str) -> tuple[str, ...]:
    """Return the subscriptions of the head-end consumer that owns `cell`."""
    return tuple(f"{_ROOT}/{cell}/+/up/{way}" for way in Way)


def cell_up(cell: str) -> str:
    """Return the filter of everything the gateways of `cell` may publish."""
    return f"{_ROOT}/{cell}/+/up/#"


def cell_down(cell: str) -> str:
    """Return the filter of everything the gateways of `cell` may hear."""
    return f"{_ROOT}/{cell}/+/down/#"


def parse_up(topic: str) -> tuple[GatewayAddress, Way]:
    """Split an upward topic into who and what; InvalidValueError for any other topic."""
    match topic.removeprefix(f"{_ROOT}/").split("/"):
        case [cell, gateway, "up", last] if topic.startswith(f"{_ROOT}/") and last in set(Way):
            return GatewayAddress(cell=cell, gateway=gateway), Way(last)
        case _:
            expected = f"{_ROOT}/{{cell}}/{{gateway}}/up/{{{'|'.join(Way)}}}"
            raise InvalidValueError("topic", topic, f"expected {expected}")
