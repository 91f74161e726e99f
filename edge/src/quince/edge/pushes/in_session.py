"""What a meter says unasked while it is being read: believed as its session is."""

import structlog

from quince.edge.pushes.events import read_push, said_by
from quince.edge.pushes.pusher import Accept, Pusher
from quince.model.clock import Clock
from quince.model.errors import QuinceError
from quince.protocols.dlms.association.states import ServerPush
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.links.link import UnnumberedReceived

log = structlog.get_logger()

Unasked = ServerPush | UnnumberedReceived


class SessionEar:
    """Hears one meter's pushes in its own sessions; whatever they are, the session goes on."""

    def __init__(self, pusher: Pusher, accept: Accept, clock: Clock) -> None:
        """Take the meter, and what makes its events safe."""
        self._pusher = pusher
        self._accept = accept
        self._clock = clock

    def hear(self, unasked: Unasked) -> None:
        """Pass on what the meter said; a push that makes no sense is told in the log alone."""
        try:
            self._take(unasked)
        except QuinceError as error:
            log.warning("push_refused", meter_id=self._pusher.meter_id, reason=str(error))

    def _take(self, unasked: Unasked) -> None:
        match unasked:
            case ServerPush(notification=notification):
                said = said_by(notification)
            case UnnumberedReceived(apdu=apdu):
                if self._pusher.must_seal:
                    raise ProtectionError("it does not push in clear")
                said = read_push(apdu)
        self._pusher.pass_on(said, self._accept, self._clock)
