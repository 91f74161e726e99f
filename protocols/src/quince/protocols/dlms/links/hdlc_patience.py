"""How long an HDLC client goes on without anything new from its server."""

from quince.model.errors import RemoteProtocolError

# Repetitions without an answer, before the line counts as dead.
RETRANSMISSIONS_MAX = 3
# Answers that say nothing new: five seconds each are two minutes of a meter's thinking.
WAITS_MAX = 24


class Patience:
    """Counts what was in vain; RemoteProtocolError at the end of it."""

    def __init__(self) -> None:
        self._repetitions = self._waits = 0

    def renew(self) -> None:
        """Begin anew: something new was said, by us or by the server."""
        self._repetitions = self._waits = 0

    def repeat(self) -> None:
        """Count something said again."""
        if self._repetitions == RETRANSMISSIONS_MAX:
            raise RemoteProtocolError(f"no answer to {RETRANSMISSIONS_MAX} repetitions")
        self._repetitions += 1

    def wait(self) -> None:
        """Count an answer to a poll that only says that the server is there."""
        if self._waits == WAITS_MAX:
            raise RemoteProtocolError(f"nothing new in {WAITS_MAX} polls")
        self._waits += 1
        self._repetitions = 0
