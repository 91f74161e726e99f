"""What meters and gateways say happened."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from quince.model.interval import require_utc


class EventKind(StrEnum):
    """A meter's last gasp says the supply is lost; a gateway's silence never says that."""

    LAST_GASP = "last_gasp"
    POWER_UP = "power_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterEvent:
    """One event: identical (meter_id, kind, at_utc) is the same event, however often it arrives.

    `at_utc` is the meter's own time where it gave one, else the moment of receipt.
    """

    meter_id: str
    kind: EventKind
    at_utc: datetime
    received_utc: datetime
    detail: str = ""

    def __post_init__(self) -> None:
        require_utc("at_utc", self.at_utc)
        require_utc("received_utc", self.received_utc)


class GatewayEventKind(StrEnum):
    """What happens to a gateway itself; none of it says anything about a meter's supply."""

    STARTED = "started"
    CLOCK_STEPPED = "clock_stepped"
    OUTBOX_FULL = "outbox_full"
    OUTBOX_DRAINED = "outbox_drained"
    METER_SILENT = "meter_silent"
    METER_BACK = "meter_back"
    CONFIGURED = "configured"
    CERTIFICATE_RENEWED = "certificate_renewed"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayEvent:
    """One event of a gateway: identical (kind, at_utc, detail) is the same event."""

    kind: GatewayEventKind
    at_utc: datetime
    detail: str = ""

    def __post_init__(self) -> None:
        require_utc("at_utc", self.at_utc)
