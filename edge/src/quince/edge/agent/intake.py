"""Where the agent's findings go: into the outbox, and the uplink is told of it.

Law: what a visit brought is accepted when its commit returns, and not before.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from quince.edge.errors import OutboxError
from quince.edge.outbox.store import Outbox, Round
from quince.model.clock import Clock
from quince.model.event import GatewayEvent, GatewayEventKind
from quince.protocols.gateway.messages import Content
from quince.protocols.gateway.topics import Lane

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Keeps rounds and events; `stir` tells the uplink that the outbox holds something new."""

    outbox: Outbox
    stir: Callable[[], None]
    clock: Clock

    def keep(self, round_: Round) -> None:
        """Commit a round; OutboxError if it was not."""
        self.outbox.record(round_)
        self.stir()

    def tell(self, kind: GatewayEventKind, detail: str) -> None:
        """Tell the head-end what happened to the gateway; the work goes on if that cannot be."""
        event = GatewayEvent(kind=kind, at_utc=self.clock.now_utc(), detail=detail)
        log.info("gateway_event", kind=kind, detail=detail)
        try:
            self.keep(Round(messages=((Lane.EVENTS, Content(gateway_events=(event,))),)))
        except OutboxError as error:
            log.error("event_not_kept", kind=kind, detail=detail, code=error.code)  # noqa: TRY400 - no bug of ours: the code says all
