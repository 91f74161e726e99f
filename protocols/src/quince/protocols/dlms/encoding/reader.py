"""A reader that never reads past the end, and the length octets that BER and A-XDR share."""

from quince.model.errors import CodecError

# Lengths of five octets and more would announce what no APDU can hold.
_LENGTH_OCTETS_MAX = 4
_LONG_FORM = 0x80


class Reader:
    """Takes octets from the front; a short read is a CodecError.

    `at` is how far it has read in `octets`; who moves it by himself stays within them. `values` is
    how many values axdr has made of them: its bound holds for a whole list of values.
    """

    __slots__ = ("at", "octets", "values")

    def __init__(self, octets: bytes, at: int = 0) -> None:
        self.octets = octets
        self.at = at
        self.values = 0

    @property
    def remaining(self) -> int:
        """How many octets are left."""
        return len(self.octets) - self.at

    def take(self, count: int) -> bytes:
        """Return the next `count` octets."""
        end = self.at + count
        if end > len(self.octets):
            raise CodecError(f"{count} octets wanted, {self.remaining} left")
        taken = self.octets[self.at : end]
        self.at = end
        return taken

    def octet(self) -> int:
        """Return the next octet."""
        at = self.at
        if at >= len(self.octets):
            raise CodecError("an octet wanted, none left")
        self.at = at + 1
        return self.octets[at]

    def uint(self, octets: int) -> int:
        """Return the next big-endian unsigned integer of `octets` octets."""
        return int.from_bytes(self.take(octets), "big")

    def length(self) -> int:
        """Return a length: one octet below 128, or 0x81..0x84 and as many octets."""
        first = self.octet()
        if first < _LONG_FORM:
            return first
        count = first - _LONG_FORM
        if not 1 <= count <= _LENGTH_OCTETS_MAX:
            raise CodecError(f"a length of {count} octets")
        return self.uint(count)

    def sized(self) -> bytes:
        """Return the octets behind a length."""
        return self.take(self.length())

    def count(self, what: str, *, octets_each_min: int = 1) -> int:
        """Return how many of `what` follow; CodecError if that many cannot be in what is left."""
        count = self.length()
        if count * octets_each_min > self.remaining:
            raise CodecError(f"{count} {what} in {self.remaining} octets")
        return count

    def flag(self) -> bool:
        """Return whether an optional field follows: one octet, 0 is no."""
        return self.octet() != 0

    def rest(self) -> bytes:
        """Return all octets that are left."""
        return self.take(self.remaining)

    def finish(self, what: str) -> None:
        """Raise CodecError if octets are left behind `what`."""
        if self.remaining:
            raise CodecError(f"{self.remaining} octets left behind the {what}")


def encode_length(length: int) -> bytes:
    """Return the length octets, in the shortest form."""
    if length < _LONG_FORM:
        return bytes((length,))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((_LONG_FORM + len(octets),)) + octets


def sized(octets: bytes) -> bytes:
    """Return `octets` behind their length."""
    return encode_length(len(octets)) + octets
