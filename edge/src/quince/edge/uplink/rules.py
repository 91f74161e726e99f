"""Which messages to send next, as a pure window over one lane (go-back-N).

Law: progress is the head-end's watermark alone. PUBACK counts for nothing here.
"""

from dataclasses import dataclass

WINDOW_MAX = 64  # messages in flight per lane: some 300 kB, a few seconds of a slow link
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

    def sent(self, seq: int, now_s: float) -> None:
        """Note that `seq` went out."""
        self.sent_upto = max(self.sent_upto, seq)
        if self.waiting_since_s is None:
            self.waiting_since_s = now_s

    def acknowledged(self, upto: int, now_s: float) -> None:
        """Note a watermark; one that repeats itself is the answer to a gap, and no progress."""
        self.patience_s = ACK_TIMEOUT_S_MIN
        if upto <= self.acked_upto:
            return
        self.acked_upto = upto
        self.waiting_since_s = now_s if upto < self.sent_upto else None

    def overdue(self, now_s: float) -> bool:
        """Say whether there was no progress for too long after something was sent."""
        return self.waiting_since_s is not None and now_s - self.waiting_since_s > self.patience_s
