"""A reader that never reads past the end, and the length octets that BER and A-XDR share."""

from quince.model.errors import CodecError

# Lengths of five octets and more would announce what no APDU can hold.
_LENGTH_OCTETS_MAX = 4
_LONG_FORM = 0x80


class Reader:
    """Takes octets from the front; a short read is a CodecError."""

    __slots__ = ("_at", "_octets")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    @property
    def remaining(self) -> int:
        """How many octets are left."""
        return len(self._octets) - self._at

    def take(self, count: int) -> bytes:
        """Return the next `count` octets."""
        end = self._at + count
        if end > len(self._octets):
            raise CodecError(f"{count} octets wanted, {self.remaining} left")
        taken = self._octets[self._at : end]
        self._at = end
        return taken

    def octet(self) -> int:
        """Return the next octet."""
        return self.take(1)[0]

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
