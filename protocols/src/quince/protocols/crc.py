"""The 16-bit checks of the pushing protocols: X-25 and Kermit in SML, ARC in P1 telegrams."""

_CCITT, _ARC = 0x8408, 0xA001  # reflected polynomials


def _table(polynomial: int) -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)  # noqa: PLW2901 - shifted out
        table.append(value)
    return tuple(table)


_CCITT_TABLE, _ARC_TABLE = _table(_CCITT), _table(_ARC)


def crc_x25(octets: bytes) -> int:
    """Return CRC-16/X-25 (HDLC's)."""
    return _crc(octets, _CCITT_TABLE, 0xFFFF) ^ 0xFFFF


def crc_kermit(octets: bytes) -> int:
    """Return CRC-16/KERMIT."""
    return _crc(octets, _CCITT_TABLE, 0)


def crc_arc(octets: bytes) -> int:
    """Return CRC-16/ARC."""
    return _crc(octets, _ARC_TABLE, 0)


def _crc(octets: bytes, table: tuple[int, ...], value: int) -> int:
    for octet in octets:
        value = value >> 8 ^ table[(value ^ octet) & 0xFF]
    return value
