"""The SunSpec map of a simulated meter: mark, model 1, the meter's model, end."""

from collections.abc import Sequence

from quince.protocols.modbus.sunspec import (
    BASES,
    COMMON_MODEL,
    COMMON_REGISTERS,
    END_MODEL,
    HEADER_REGISTERS,
    MARKER,
    METER_MODELS,
)

MAKER, MODEL, VERSION = "Quince", "Simulated meter", "1.0"
_COMMON_ADDRESS = BASES[0] + len(MARKER)
MODEL_ADDRESS = _COMMON_ADDRESS + COMMON_REGISTERS


def map_registers(model: int, *, serial: str) -> dict[int, int]:
    """Return the map by address; the meter's model is empty but for its header."""
    length = METER_MODELS[model]
    words = [
        *MARKER,
        *(COMMON_MODEL, COMMON_REGISTERS - HEADER_REGISTERS),
        *_text(MAKER, 16),
        *_text(MODEL, 16),
        *_text("", 8),
        *_text(VERSION, 8),
        *_text(serial, 16),
        *(model, length - HEADER_REGISTERS),
        *([0] * (length - HEADER_REGISTERS)),
        *(END_MODEL, 0),
    ]
    return dict(enumerate(words, BASES[0]))


def _text(text: str, registers: int) -> Sequence[int]:
    octets = text.encode("ascii").ljust(2 * registers, b"\0")
    return [int.from_bytes(octets[at : at + 2]) for at in range(0, len(octets), 2)]
