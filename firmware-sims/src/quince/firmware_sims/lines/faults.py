"""What can be wrong with a serial line, or with a meter's end of it."""

from dataclasses import dataclass

from quince.model.errors import InvalidValueError


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Messages of the meter are numbered from 0; nothing is wrong by default.

    `echoes`: the head gives back what is sent through it. `noise` stands before each message.
    A `damaged` message has a flipped bit in its last octet but `damaged_at`, a `truncated` one
    loses its second half. `pause_s` lies between two octets. A `stuck` meter promises another
    baud and does not switch.
    """

    echoes: bool = False
    noise: bytes = b""
    damaged: frozenset[int] = frozenset()
    damaged_at: int = 0
    truncated: frozenset[int] = frozenset()
    pause_s: float = 0.0
    stuck: bool = False

    def __post_init__(self) -> None:
        if self.pause_s < 0:
            raise InvalidValueError("faults.pause_s", self.pause_s, "not below 0")

    def spoil(self, number: int, octets: bytes) -> bytes:
        """Return what becomes of message `number`."""
        if number in self.truncated:
            octets = octets[: len(octets) // 2]
        if number in self.damaged:
            at = len(octets) - 1 - self.damaged_at
            octets = octets[:at] + bytes((octets[at] ^ 0x04,)) + octets[at + 1 :]
        return self.noise + octets
