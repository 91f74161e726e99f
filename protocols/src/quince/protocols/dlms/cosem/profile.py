"""The profile (class 7): what it captures, how often, and in which order it tells it.

Attributes: 2 buffer, 3 capture_objects, 4 capture_period in seconds (0: on events), 5 sort_method,
6 sort_object, 7 entries_in_use, 8 profile_entries. Methods: 1 reset, 2 capture.
"""

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.clock import CLOCK_TIME
from quince.protocols.dlms.cosem.names import LOAD_PROFILE, ClassId, read_enum, read_ref
from quince.protocols.dlms.encoding.axdr import Data, array, encode, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag

PROFILE_BUFFER = Ref(ClassId.PROFILE, LOAD_PROFILE, 2)
PROFILE_COLUMNS = Ref(ClassId.PROFILE, LOAD_PROFILE, 3)
PROFILE_PERIOD = Ref(ClassId.PROFILE, LOAD_PROFILE, 4)
PROFILE_SORT_METHOD = Ref(ClassId.PROFILE, LOAD_PROFILE, 5)
PROFILE_ENTRIES_IN_USE = Ref(ClassId.PROFILE, LOAD_PROFILE, 7)
PROFILE_ENTRIES = Ref(ClassId.PROFILE, LOAD_PROFILE, 8)

_LAYOUT_ID_OCTETS = 8


class SortMethod(IntEnum):
    """In which order a profile keeps its rows; the sorted ones go by a column's value."""

    FIFO = 1
    LIFO = 2
    LARGEST = 3
    SMALLEST = 4
    NEAREST_TO_ZERO = 5
    FARTHEST_FROM_ZERO = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A capture object: which attribute a profile's column holds, or which part of it."""

    ref: Ref
    data_index: int = 0

    def encode(self) -> Data:
        """Write the capture object definition."""
        return structure(
            Data(Tag.UINT16, self.ref.class_id),
            octet_string(bytes(self.ref.obis)),
            Data(Tag.INT8, self.ref.index),
            Data(Tag.UINT16, self.data_index),
        )


def read_column(data: Data) -> Column:
    """Read one capture object definition."""
    class_id, name, index, data_index = data.as_items(4)
    return Column(ref=read_ref(class_id, name, index), data_index=data_index.as_int())


def read_columns(data: Data) -> tuple[Column, ...]:
    """Read the capture objects of a profile."""
    return tuple(read_column(item) for item in data.as_items())


def read_sort_method(data: Data) -> SortMethod:
    """Read how a profile is sorted."""
    return read_enum(SortMethod, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What must be known before a profile's rows mean anything.

    It changes with a meter's firmware or its tariff: what was read of rows under another one
    says nothing of these.
    """

    columns: tuple[Column, ...]
    period_s: int
    sort_method: SortMethod = SortMethod.FIFO
    clock: int = field(init=False)

    def __post_init__(self) -> None:
        if self.period_s < 0:
            raise InvalidValueError("layout.period_s", self.period_s, "0 or more")
        refs = [column.ref for column in self.columns]
        if CLOCK_TIME not in refs:
            raise CodecError("the profile captures no clock")
        object.__setattr__(self, "clock", refs.index(CLOCK_TIME))

    @property
    def layout_id(self) -> str:
        """The same for the same columns, period and order; 16 hexadecimal digits."""
        data = structure(
            array(column.encode() for column in self.columns),
            Data(Tag.UINT32, self.period_s),
            Data(Tag.ENUM, self.sort_method),
        )
        return hashlib.sha256(encode(data)).hexdigest()[: 2 * _LAYOUT_ID_OCTETS]
