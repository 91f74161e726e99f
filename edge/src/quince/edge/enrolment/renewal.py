"""A certificate is renewed while there is a third of its life left to try again in."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

import structlog

from quince.edge.config import GatewayConfig, HeadendConfig
from quince.edge.enrolment.door import knock, renewal_body
from quince.edge.enrolment.identity import Certificate, Identity
from quince.edge.errors import TokenRefusedError
from quince.model.clock import Clock
from quince.model.errors import QuinceError
from quince.model.event import GatewayEventKind
from quince.model.rng import Rng

log = structlog.get_logger()

# Gateways that were enrolled in one campaign shall not come back in one hour.
JITTER_PART = 0.05
RETRY_S = 3_600.0
LOOK_S_MAX = 6 * 3_600.0  # a clock that was set meanwhile shall not be slept through


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """Renews one gateway's certificate, for ever; its link takes it at its next session."""

    identity: Identity
    headend: HeadendConfig
    tell: Callable[[GatewayEventKind, str], None]
    clock: Clock
    rng: Rng

    async def run(self) -> NoReturn:
        """Renew whenever it is time; a head-end that cannot or will not is asked again."""
        lot = self.rng.random()
        while True:
            try:
                due_utc = due(self.identity.certificate(), lot)
                if due_utc <= self.clock.now_utc():
                    await self.renew()
                    continue
            except (QuinceError, OSError) as error:
                log.warning(
                    "certificate_not_renewed", error=type(error).__name__, reason=str(error)
                )
                await asyncio.sleep(RETRY_S * (0.5 + self.rng.random()))
            else:
                await asyncio.sleep(min(self.clock.seconds_until(due_utc), LOOK_S_MAX))

    async def renew(self) -> None:
        """Have a new key certified, and use it from now on; the head-end hears of it."""
        old = self.identity.certificate()
        body = renewal_body(old.serial, self.identity.key(), self.identity.next_key())
        door = self.headend
        try:
            enrolled = await knock(door.url, "/v1/gateways/renew", body, ca_file=door.ca_file)
        except TokenRefusedError:
            self.identity.forget_next()
            raise
        self.identity.adopt(enrolled.certificate)
        new = self.identity.certificate()
        until = f"until {new.not_after_utc.isoformat()}"
        self.tell(GatewayEventKind.CERTIFICATE_RENEWED, until)


def due(certificate: Certificate, lot: float) -> datetime:
    """Return when to renew: at two thirds of its life, and a little later by `lot` (0 to 1)."""
    life = certificate.life
    spread: timedelta = lot * JITTER_PART * life
    return certificate.not_before_utc + life * 2 / 3 + spread


def renewal_of(
    config: GatewayConfig, tell: Callable[[GatewayEventKind, str], None], clock: Clock, rng: Rng
) -> Renewal | None:
    """Return a gateway's renewal, None where it has no certificate or no door to renew it at.

    What a crash left of an earlier one is finished first.
    """
    if config.broker.tls is None or config.headend is None:
        return None
    identity = Identity.of(config.broker.tls)
    identity.settle()
    return Renewal(identity=identity, headend=config.headend, tell=tell, clock=clock, rng=rng)
