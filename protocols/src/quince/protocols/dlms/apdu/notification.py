"""What a meter says unasked: an event's attribute, or a pushed list."""

from dataclasses import dataclass

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.invocation import LongInvoked, read_long_invoke_id
from quince.protocols.dlms.apdu.reference import Ref, read_ref
from quince.protocols.dlms.encoding.axdr import Data, encode, read_data
from quince.protocols.dlms.encoding.date_time import DATE_TIME_OCTETS
from quince.protocols.dlms.encoding.reader import Reader, sized
from quince.protocols.dlms.encoding.tags import Tag

DATA_NOTIFICATION = 0x0F
EVENT_NOTIFICATION = 0xC2
# The standard marks the time of an event with 01; meters in the field (MX382) send a 09.
_TIME_PRESENT = 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class EventNotification:
    """What a meter says unasked: an attribute's value, with the meter's time as its 12 octets."""

    date_time: bytes | None
    ref: Ref
    data: Data

    def encode(self) -> bytes:
        """Write the event-notification, its time marked as meters in the field do."""
        time = b"\x00"
        if self.date_time is not None:
            time = bytes((Tag.OCTET_STRING,)) + sized(self.date_time)
        return bytes((EVENT_NOTIFICATION,)) + time + self.ref.encode() + encode(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataNotification(LongInvoked):
    """A list that a meter pushes: to a consumer's port every few seconds, to a head-end daily.

    The invoke id tells one push from the next; nobody answers it.
    """

    invoke_id: int = 0
    is_confirmed: bool = False
    is_urgent: bool = False
    date_time: bytes | None
    data: Data

    def encode(self) -> bytes:
        """Write the data-notification."""
        time = b"\x00" if self.date_time is None else sized(self.date_time)
        return self.head(DATA_NOTIFICATION) + time + encode(self.data)


def read_event_notification(reader: Reader) -> EventNotification:
    """Read what follows the tag of an event-notification."""
    marker = reader.octet()
    if marker not in (0, _TIME_PRESENT, Tag.OCTET_STRING):
        raise CodecError(f"a time marked {marker:#04x}")
    date_time = reader.sized() if marker else None
    if date_time is not None and len(date_time) != DATE_TIME_OCTETS:
        raise CodecError(f"a time of {len(date_time)} octets")
    return EventNotification(date_time=date_time, ref=read_ref(reader), data=read_data(reader))


def read_data_notification(reader: Reader) -> DataNotification:
    """Read what follows the tag of a data-notification."""
    invoke_id = read_long_invoke_id(reader)
    length = reader.octet()
    if length == Tag.OCTET_STRING:
        length = reader.octet()  # some meters mark the time as a value
    if length not in (0, DATE_TIME_OCTETS):
        raise CodecError(f"a time of {length} octets")
    date_time = reader.take(length) if length else None
    return DataNotification(invoke_id=invoke_id, date_time=date_time, data=read_data(reader))
