"""The 16-bit checks of frames: X-25 in HDLC and SML, Kermit in some SML, ARC in P1, Modbus."""

from binascii import crc_hqx

_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_ARC = 0xA001  # the reflected polynomial


def crc_x25(octets: bytes) -> int:
    """Return CRC-16/X-25."""
    return _reflected(octets, 0xFFFF) ^ 0xFFFF


def crc_kermit(octets: bytes) -> int:
    """Return CRC-16/KERMIT."""
    return _reflected(octets, 0)


def crc_arc(octets: bytes) -> int:
    """Return CRC-16/ARC."""
    return _by_arc(octets, 0)


def crc_modbus(octets: bytes) -> int:
    """Return CRC-16/MODBUS, which travels low octet first."""
    return _by_arc(octets, 0xFFFF)


def _by_arc(octets: bytes, value: int) -> int:
    for octet in octets:
        value = value >> 8 ^ _ARC_TABLE[(value ^ octet) & 0xFF]
    return value


def _reflected(octets: bytes, start: int) -> int:
    """Return what the C implementation makes of `octets`, their bits and its own reversed."""
    crc = crc_hqx(octets.translate(_REVERSED), start)
    return _REVERSED[crc & 0xFF] << 8 | _REVERSED[crc >> 8]


def _arc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_ARC if value & 1 else 0)  # noqa: PLW2901 - shifted out
        table.append(value)
    return tuple(table)


_ARC_TABLE = _arc_table()
