"""Which messages to send next, and when: a window over each lane (go-back-N), and its pace.

Law: progress is the head-end's watermark alone. PUBACK only makes room on the link.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from quince.protocols.gateway.topics import Lane

WINDOW_MAX = 64  # messages in flight per lane: some 300 kB, a few seconds of a slow link
# Handed to the broker and not yet confirmed by its PUBACK, over all lanes: what Mosquitto takes
# before it calls a client greedy.
UNCONFIRMED_MAX = 20
# Of these, what intervals may take: a broker that has stopped confirming still gets events.
BULK_UNCONFIRMED_MAX = 12
# A cell link of 512 kbit/s is half free for events while intervals catch up, and three quarters
# while history does; a month of 32 meters' quarter-hours is some 10 MB, delivered in ten minutes.
OCTETS_PER_S: Mapping[Lane, int] = {Lane.LIVE: 32_768, Lane.BACKFILL: 16_384}
# A round of 100 meters is some 25 kB with its envelopes, and goes out at once.
BURST_S = 2.0
_WAIT_S_MIN = 0.01  # shorter ones would be spent on waking up
# What MQTT, TLS and TCP add to a message, its topic included.
OVERHEAD_OCTETS = 120
# Several commits and a round trip on a bad day; doubled while nothing is heard, because an absent
# head-end finds its messages at the broker and needs no pile of copies there.
ACK_TIMEOUT_S_MIN, ACK_TIMEOUT_S_MAX = 10.0, 300.0


@dataclass(slots=True)
class LaneWindow:
    """How far a lane has been sent and acknowledged, since when it waits, and how patiently."""

    sent_upto: int = 0
    acked_upto: int = 0
    waiting_since_s: float | None = None
    patience_s: float = ACK_TIMEOUT_S_MIN

    def restart(self) -> None:
        """Begin anew: another session, or another stream."""
        self.sent_upto = 0
        self.acked_upto = 0
        self.waiting_since_s = None
        self.patience_s = ACK_TIMEOUT_S_MIN

    def go_back(self) -> None:
        """Send again all that is not acknowledged, and wait longer for the answer."""
        self.sent_upto = 0
        self.waiting_since_s = None
        self.patience_s = min(2 * self.patience_s, ACK_TIMEOUT_S_MAX)

    def room(self, oldest_seq: int) -> int:
        """Return how many more messages may go out, given the oldest unacknowledged one."""
        in_flight = max(0, self.sent_upto - oldest_seq + 1)
        return max(0, WINDOW_MAX - in_flight)

    def sent(self, seq: int) -> None:
        """Note that `seq` went out."""
        self.sent_upto = max(self.sent_upto, seq)

    def confirmed(self, now_s: float) -> None:
        """Note a PUBACK: what a slow link is still carrying, the head-end cannot answer."""
        if self.acked_upto < self.sent_upto:
            self.waiting_since_s = now_s

    def acknowledged(self, upto: int, now_s: float) -> None:
        """Note a watermark; one that repeats itself is the answer to a gap, and no progress."""
        self.patience_s = ACK_TIMEOUT_S_MIN
        if upto <= self.acked_upto:
            return
        self.acked_upto = upto
        self.waiting_since_s = now_s if upto < self.sent_upto else None

    def overdue(self, now_s: float) -> bool:
        """Say whether there was no progress for too long after something had arrived."""
        return self.waiting_since_s is not None and now_s - self.waiting_since_s > self.patience_s


@dataclass(slots=True)
class Pace:
    """So many octets a second on the average, some seconds' worth of them at once."""

    octets_per_s: float
    free_octets: float = field(init=False)
    since_s: float = 0.0

    def __post_init__(self) -> None:
        self.free_octets = self.octets_per_s * BURST_S

    def sent(self, octets: int, now_s: float) -> None:
        """Note a message; one larger than what is free is a debt that the next ones wait for."""
        self.free_octets = self._free(now_s) - octets - OVERHEAD_OCTETS
        self.since_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Return how long the next message has to wait, 0 if it may go out now."""
        debt_s = -self._free(now_s) / self.octets_per_s
        return max(debt_s, _WAIT_S_MIN) if debt_s > 0 else 0.0

    def _free(self, now_s: float) -> float:
        earned = (now_s - self.since_s) * self.octets_per_s
        return min(self.octets_per_s * BURST_S, self.free_octets + earned)
