"""Registers (classes 3, 4 and 5): a value with its scaler and unit, read as an integer.

Class 3: 2 value, 3 scaler_unit. Class 4, extended: the same, 4 status, 5 capture_time. Class 5,
demand: 2 current average, 3 last average, 4 scaler_unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.names import ACTIVE_IMPORT, ClassId
from quince.protocols.dlms.encoding.axdr import Data, structure
from quince.protocols.dlms.encoding.tags import Tag

UNIT_W, UNIT_WH, UNIT_VARH = 27, 30, 32
# What meters of energy measure in. Source: Blue Book, table of physical units, from memory.
UNITS = {
    8: "°",
    9: "°C",
    13: "m³",
    UNIT_W: "W",
    28: "VA",
    29: "var",
    UNIT_WH: "Wh",
    31: "VAh",
    UNIT_VARH: "varh",
    33: "A",
    35: "V",
    44: "Hz",
    56: "%",
    255: "",
}
# Beyond 10^±12 no register of energy is scaled.
_SCALER_MAX = 12
_SCALE_ATTRIBUTES: dict[int, int] = {
    ClassId.REGISTER: 3,
    ClassId.EXTENDED_REGISTER: 3,
    ClassId.DEMAND_REGISTER: 4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A register's scaler and unit: the quantity is value * 10^scaler in `unit` (30 is Wh)."""

    scaler: int
    unit: int

    def __post_init__(self) -> None:
        if abs(self.scaler) > _SCALER_MAX:
            raise CodecError(f"a scaler of {self.scaler}")

    @classmethod
    def read(cls, data: Data) -> Self:
        """Read a scaler_unit attribute."""
        scaler, unit = data.as_items(2)
        return cls(scaler=scaler.as_int(), unit=unit.as_int())

    def encode(self) -> Data:
        """Write the attribute."""
        return structure(Data(Tag.INT8, self.scaler), Data(Tag.ENUM, self.unit))

    def apply(self, value: int) -> int:
        """Return a register's value in its unit at scaler 0, decimals cut off.

        Cut, not rounded: the differences of cut registers add up to the cut difference.
        """
        factor: int = 10 ** abs(self.scaler)
        return value * factor if self.scaler >= 0 else value // factor

    def apply_all(self, column: Sequence[int | None]) -> Sequence[int | None]:
        """Return the same for each value that there is."""
        if self.scaler == 0:
            return column
        return [None if value is None else self.apply(value) for value in column]


def scale_of(value: Ref) -> Ref:
    """Return where the scaler and unit of a register's value are."""
    attribute = _SCALE_ATTRIBUTES.get(value.class_id)
    if attribute is None:
        raise InvalidValueError("class_id", value.class_id, "a class of registers")
    return Ref(value.class_id, value.obis, attribute)


ACTIVE_IMPORT_SCALE = Ref(ClassId.REGISTER, ACTIVE_IMPORT.obis, 3)
