"""Push setup (class 40): what a meter sends unasked, to whom, and when.

Attributes: 2 push_object_list, 3 send_destination_and_method, 4 communication_window,
5 randomisation_start_interval, 6 number_of_retries, 7 repetition_delay. Method: 1 push.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.names import PUSH_SETUP, ClassId, read_enum
from quince.protocols.dlms.cosem.profile import Column, read_columns
from quince.protocols.dlms.encoding.axdr import Data, array, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag

PUSH_OBJECTS = Ref(ClassId.PUSH_SETUP, PUSH_SETUP, 2)
PUSH_DESTINATION = Ref(ClassId.PUSH_SETUP, PUSH_SETUP, 3)
PUSH_NOW = Ref(ClassId.PUSH_SETUP, PUSH_SETUP, 1)


class TransportService(IntEnum):
    """What carries a push."""

    TCP = 0
    UDP = 1
    FTP = 2
    SMTP = 3
    SMS = 4
    HDLC = 5
    MBUS = 6
    ZIGBEE = 7


def read_push_objects(data: Data) -> tuple[Column, ...]:
    """Read which attributes a push carries, written as a profile writes what it captures."""
    return read_columns(data)


def encode_push_objects(columns: Sequence[Column]) -> Data:
    """Write which attributes a push carries."""
    return array(column.encode() for column in columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a push goes; `message` 0 is A-XDR."""

    service: TransportService
    address: bytes
    message: int = 0

    @classmethod
    def read(cls, data: Data) -> Self:
        """Read attribute 3."""
        service, address, message = data.as_items(3)
        return cls(
            service=read_enum(TransportService, service),
            address=address.as_octets(),
            message=message.as_int(),
        )

    def encode(self) -> Data:
        """Write attribute 3."""
        return structure(
            Data(Tag.ENUM, self.service),
            octet_string(self.address),
            Data(Tag.ENUM, self.message),
        )
