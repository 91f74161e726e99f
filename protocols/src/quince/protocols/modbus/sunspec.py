"""SunSpec: where a meter keeps its map, which models it has, and who it says it is.

A map begins with `SunS` at one of three addresses; behind it models follow one another, each a
number, a length and that many registers, until the number 0xFFFF. The walk does no I/O: it says
what to read and is told what was read.

Law: the walk ends, whatever a meter says: each model is further on, and there are few of them.

Source: the models' own JSON files (github.com/sunspec/models, Apache-2.0) for the layout of model
1 and the meters' models; base addresses and the chain from memory of the SunSpec information
model specification.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quince.model.errors import CodecError
from quince.protocols.modbus.points import ADDRESS_MAX

BASES = (40_000, 0, 50_000)  # in the order they are to be tried
MARKER = (0x5375, 0x6E53)  # "SunS"
END_MODEL = 0xFFFF
COMMON_MODEL = 1
HEADER_REGISTERS = 2
COMMON_REGISTERS = 66  # number, length, and 64 registers of text; some have one or two more
MODELS_MAX = 64  # a meter has three or four; an inverter with everything some thirty

# The meters' models, each with its registers, the header included: single phase, split phase, wye
# and delta with scale factors, and the same four in floats.
METER_MODELS = {201: 107, 202: 107, 203: 107, 204: 107, 211: 126, 212: 126, 213: 126, 214: 126}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of a map: its number stands at `address`, `registers` counts the header too."""

    number: int
    address: int
    registers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """Who a device says it is, by model 1."""

    maker: str
    model: str
    version: str
    serial: str


class ModelWalk:
    """A walk along a map: read `address`+2 holding registers, `receive` them, until it is None."""

    def __init__(self) -> None:
        """Begin at the first address a map may begin at."""
        self._bases = iter(BASES)
        self._marked = False
        self.models: list[Model] = []
        self.address: int | None = next(self._bases)

    def receive(self, registers: Sequence[int] | None) -> None:
        """Take what was read at `address`, None where the meter refused.

        CodecError if there is no map, or none that can be.
        """
        if self.address is None:
            raise CodecError("the walk has ended")
        if registers is not None and len(registers) != HEADER_REGISTERS:
            raise CodecError(f"{len(registers)} registers for a SunSpec header")
        if self._marked:
            self._take_header(registers)
        elif registers is not None and tuple(registers) == MARKER:
            self._marked = True
            self.address += HEADER_REGISTERS
        else:
            self.address = next(self._bases, None)
            if self.address is None:
                raise CodecError(f"no SunSpec map at {', '.join(map(str, BASES))}")

    def _take_header(self, registers: Sequence[int] | None) -> None:
        """Take a model's header; a meter that refuses it leaves the end mark out."""
        if registers is None or registers[0] == END_MODEL or self.address is None:
            self.address = None
            return
        model = Model(
            number=registers[0],
            address=self.address,
            registers=registers[1] + HEADER_REGISTERS,
        )
        self.models.append(model)
        self.address += model.registers
        if len(self.models) > MODELS_MAX or self.address > ADDRESS_MAX - 1:
            raise CodecError(f"SunSpec models without an end, {len(self.models)} of them")

    def find(self, number: int) -> Model:
        """Return the first model of that number; CodecError names those there are."""
        for model in self.models:
            if model.number == number:
                return model
        there = ", ".join(str(model.number) for model in self.models) or "none"
        raise CodecError(f"no SunSpec model {number}; there are {there}")


def parse_common(registers: Sequence[int]) -> Common:
    """Read model 1 from its header on; CodecError if it is shorter than its four texts."""
    if len(registers) < COMMON_REGISTERS:
        raise CodecError(f"{len(registers)} registers for SunSpec model 1")
    return Common(
        maker=_text(registers[2:18]),
        model=_text(registers[18:34]),
        version=_text(registers[42:50]),
        serial=_text(registers[50:66]),
    )


def _text(registers: Sequence[int]) -> str:
    """Return the printable ASCII before the first NUL: what else is there is no name."""
    octets = b"".join((register & 0xFFFF).to_bytes(2) for register in registers)
    text = octets.partition(b"\0")[0].decode("ascii", errors="replace")
    return "".join(char for char in text if char.isascii() and char.isprintable()).strip()
