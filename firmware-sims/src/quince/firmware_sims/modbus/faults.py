"""What can be wrong with a Modbus line: silence, noise before answers, a device in between."""

from dataclasses import dataclass

from pymodbus.pdu import ModbusPDU


@dataclass(slots=True, kw_only=True)
class Faults:
    """A line's faults; none of them is what a good line has.

    `noise` stands before each of the next `noisy_answers` answers; `answers_as` is the device
    that answers claim to be from.
    """

    silent: bool = False
    noise: bytes = b""
    noisy_answers: int = 0
    answers_as: int | None = None

    def pdu(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:  # noqa: FBT001 - pymodbus's own hook
        """Return an answer as it is sent."""
        if sending and self.answers_as is not None:
            pdu.dev_id = self.answers_as
        return pdu

    def octets(self, sending: bool, octets: bytes) -> bytes:  # noqa: FBT001 - pymodbus's own hook
        """Return an answer's frame as it is on the line."""
        if not sending:
            return octets
        if self.silent:
            return b""
        if self.noisy_answers > 0:
            self.noisy_answers -= 1
            return self.noise + octets
        return octets
